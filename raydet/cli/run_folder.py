"""What a finished or running training left in its folder."""

from __future__ import annotations

from pathlib import Path


def find_checkpoint(place: str | Path) -> Path:
    """A checkpoint file; of a run folder the best one, or else the newest.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(place).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"there is no checkpoint {place}; expected a .pth file or the folder of a run")
    from raydet.engine.environment import checkpoints_in

    best = sorted(path.glob("best_*.pth"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    found = [*best, *checkpoints_in(path)]
    if not found:
        raise FileNotFoundError(f"the folder {path} holds no checkpoint (*.pth); has its run saved one yet?")
    return found[0]


def default_run() -> Path:
    """The run to take when none is named: one that ships with raydet, else the newest in work_dirs/ of this folder.

    Raises:
        ValueError: there is none.
    """
    from raydet.config import assets_root

    shipped = assets_root() / "demo_run"
    runs = [shipped] if shipped.is_dir() else sorted({path.parent for path in Path("work_dirs").glob("*/*.pth")})
    if not runs:
        raise ValueError(
            "which model? give --run FOLDER, or --config and --checkpoint; `raydet demo nuclei` trains one"
        )
    return max(runs, key=lambda folder: max(path.stat().st_mtime_ns for path in folder.glob("*.pth")))


def find_run_config(folder: str | Path) -> Path:
    """The whole config that a run wrote into its folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"there is no run folder {folder}")
    found = sorted(path.glob("*.py"))
    if not found:
        raise FileNotFoundError(f"the folder {path} holds no config (*.py); give one with --config")
    if len(found) > 1:
        raise ValueError(f"{path} holds several configs ({', '.join(each.name for each in found)}); name one: --config")
    return found[0]
