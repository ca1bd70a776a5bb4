"""Where the shipped configs, cluster files and sweeps are, and how to name one."""

from __future__ import annotations

import difflib
from contextlib import suppress
from functools import cache
from pathlib import Path

KINDS = ("configs", "clusters", "tuning")
_SUFFIXES = (".py", ".yaml", ".yml", ".json")
_PACKAGE = Path(__file__).resolve().parents[1]


def assets_root() -> Path:
    """The folder of the data that travels inside the package."""
    return _PACKAGE / "assets"


@cache
def shipped_root(kind: str) -> Path:
    """The folder of the shipped `configs`, `clusters` or `tuning` files, in a checkout or an installed package.

    Raises:
        ValueError: no such kind.
        FileNotFoundError: this installation came without them.
    """
    if kind not in KINDS:
        raise ValueError(f"shipped files are of the kinds {KINDS}, not {kind!r}")
    for folder in (_PACKAGE / "shipped" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"this installation of raydet has no {kind}: {_PACKAGE.parent / kind} does not exist")


def find_config(name: str | Path, kind: str = "configs") -> Path:
    """The file of a config given as a path or by the name of a shipped one.

    Args:
        name: a path; or a shipped config with or without folder and extension, such as `retinanet_r50_fpn_1x_coco`.
        kind: "configs", "clusters" or "tuning", for files of these.

    Raises:
        FileNotFoundError: no such config; the message has the nearest names.
        ValueError: several shipped configs have the name.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    found = _shipped(path, kind)
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(str(each.relative_to(shipped_root(kind))) for each in found)
        raise ValueError(f"several shipped files are called {str(name)!r}; say which: {choices}")
    what = {"configs": "config", "clusters": "cluster", "tuning": "sweep"}[kind]
    raise FileNotFoundError(f"there is no {what} file {str(name)!r}{_hint(path, kind)}")


def _shipped(path: Path, kind: str) -> list[Path]:
    if path.is_absolute() or ".." in path.parts:
        return []
    try:
        root = shipped_root(kind)
    except FileNotFoundError:
        return []
    parts = path.parts[1:] if path.parts[:1] == (kind,) else path.parts
    inside = root.joinpath(*parts)
    candidates = [inside, *(inside.with_name(inside.name + suffix) for suffix in _SUFFIXES)]
    exact = [each for each in candidates if each.is_file()]
    return exact[:1] or [each for each in _all_shipped(root) if len(parts) == 1 and path.name in (each.name, each.stem)]


def _all_shipped(root: Path) -> list[Path]:
    return sorted(each for each in root.rglob("*") if each.suffix in _SUFFIXES and "_base_" not in each.parts)


def _hint(path: Path, kind: str) -> str:
    names: list[str] = []
    if path.parent.is_dir():
        names += [each.name for each in path.parent.iterdir() if each.suffix in _SUFFIXES]
    with suppress(FileNotFoundError):
        names += [each.stem for each in _all_shipped(shipped_root(kind))]
    close = difflib.get_close_matches(path.name, names, n=3) or difflib.get_close_matches(path.stem, names, n=3)
    return f"; did you mean {' or '.join(repr(each) for each in close)}?" if close else ""
