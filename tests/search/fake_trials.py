"""Sweeps whose trials compute a number instead of training, for the tests of what runs them."""

import json
import os
import signal
import time
from pathlib import Path

import msgspec
import yaml

from raydet.search.file import load_sweep

BASE = "x = 0.0\ny = 0\nkind = 'a'\nrunner = dict(type='EpochBasedRunner', max_epochs=9)\n"
TIMES = ("started", "ended", "attempts")
SPACE = {"x": {"uniform": [0, 1]}, "y": {"int": [0, 5]}}


def hill(task, report):
    """Best at x = 0.3 and y = 2, and better with every step."""
    for step in range(1, 10):
        score = step / 100 - (task.params["x"] - 0.3) ** 2 - (task.params["y"] - 2) ** 2 / 10
        if not report(step, {"score": score}):
            return None
    return {"cost": task.params["y"]}


def climber(task, report):
    """Adds x to its weight at every step; the weight is its checkpoint, which others may go on from."""
    start, weight = _newest(task)
    for step in range(start + 1, 10):
        weight += task.options["x"]
        _write(task, step, weight)
        if not report(step, {"score": weight}):
            return None
    return {}


def _newest(task):
    """The step and weight to go on from; the last report comes again, as that of a detector does."""
    folder = Path(task.folder)
    own = sorted(int(path.stem) for path in folder.glob("*.json")) if folder.is_dir() else []
    if own:
        return own[-1] - 1, json.loads((folder / f"{own[-1]}.json").read_text()) - task.options["x"]
    if task.source:
        return task.source_step, json.loads((Path(task.source) / f"{task.source_step}.json").read_text())
    return 0, 0.0


def _write(task, step, weight):
    Path(task.folder).mkdir(parents=True, exist_ok=True)
    (Path(task.folder) / f"{step}.json").write_text(json.dumps(weight))


def moody(task, report):
    """Trials that go wrong in every way that a trial can."""
    mood = task.number % 4
    if mood == 1:
        raise RuntimeError("out of luck\nand more")
    if not report(1, {"score": float("nan") if mood == 2 else 1.0} if mood != 3 else {"other": 1.0}):
        return None
    return {}


def mortal(task, report):
    """Trial 1 kills its process at every start, trial 2 at its first one; trial 3 does not obey."""
    marker = Path(task.folder) / "died"
    for step in range(1, 5):
        if step == 3 and (task.number == 1 or (task.number == 2 and not marker.exists())):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if not report(step, {"score": float(task.number != 3)}) and task.number != 3:
            return None
        while task.number == 3 and step > 1:
            time.sleep(1)
    return {}


def busy(task, report):
    """Works for a second at each step, and notes which process did when."""
    notes = Path(task.folder) / "work.txt"
    notes.parent.mkdir(parents=True, exist_ok=True)
    for step in range(1, 5):
        for _ in range(50):
            with notes.open("a") as file:
                file.write(f"{os.getpid()} {time.time()}\n")
            time.sleep(0.02)
        if not report(step, {"score": float(step)}):
            return None
    return {}


def fake_sweep(folder, **changes):
    """A sweep of 12 trials with ASHA; `changes` are sections of its file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.py").write_text(BASE)
    values = {
        "base": "base.py",
        "objective": {"metric": "score"},
        "space": SPACE,
        "num_trials": 12,
        "seed": 3,
        "pruning": {"scheduler": "asha", "min_steps": 1, "reduction": 3},
        **changes,
    }
    (folder / "fake.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(folder / "fake.yaml")


def course(records):
    """All of a sweep but its times, and how often trials were started."""
    return [
        {key: value for key, value in msgspec.structs.asdict(each).items() if key not in TIMES}
        | {"reports": [(report.step, report.metrics) for report in each.reports]}
        for each in records
    ]
