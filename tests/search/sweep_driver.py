"""A program that runs or resumes a sweep, for tests that kill it.

python sweep_driver.py SWEEP FOLDER [resume] [local]: the name of the sweep says what its trials do.
"""

import sys
import time

import fake_trials

from raydet.search.file import load_sweep
from raydet.search.run import run_sweep


def slow_hill(task, report):
    """The hill, with time to be killed."""

    def slowly(step, metrics):
        time.sleep(0.02)
        return report(step, metrics)

    return fake_trials.hill(task, slowly)


FUNCTIONS = {"tiny": None, "fake": slow_hill, "busy": fake_trials.busy}
"""None trains a real detector."""

if __name__ == "__main__":
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(fake_trials)
    path, folder, *more = sys.argv[1:]
    sweep = load_sweep(path)
    result = run_sweep(sweep, folder, resume="resume" in more, local="local" in more, function=FUNCTIONS[sweep.name])
    print("interrupted" if result.interrupted else "finished")
