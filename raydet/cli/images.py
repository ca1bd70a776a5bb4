"""Finding pictures that a user names, and naming those that are written."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


def find_images(sources: Sequence[str]) -> list[Path]:
    """Pictures of files, folders (with all below them) and patterns such as `shots/**/*.jpg`, each once, in order.

    Raises:
        FileNotFoundError: a source names nothing, or a folder without pictures.
    """
    found: dict[Path, None] = {}
    for source in sources:
        files = _of_source(source)
        if not files:
            what = f"there are no pictures in {source}" if Path(source).is_dir() else f"there is no picture {source}"
            raise FileNotFoundError(f"{what}; expected files, folders or patterns of {', '.join(sorted(SUFFIXES))}")
        found.update(dict.fromkeys(files))
    return list(found)


def _of_source(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    names = path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    return sorted(name for name in names if name.suffix.lower() in SUFFIXES and name.is_file())


def output_names(images: Sequence[Path]) -> list[str]:
    """A file name for each picture: its own, with a number where several would be the same."""
    taken: set[str] = set()
    names = []
    for image in images:
        suffix = image.suffix.lower() if image.suffix.lower() in (".jpg", ".jpeg", ".png") else ".png"
        name, count = f"{image.stem}{suffix}", 1
        while name in taken:
            count += 1
            name = f"{image.stem}_{count}{suffix}"
        taken.add(name)
        names.append(name)
    return names
