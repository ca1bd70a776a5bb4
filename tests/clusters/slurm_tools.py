"""Stands for Slurm's programs in the test of clusters/slurm.sh: each is a copy of this file, and acts by its name."""

import os
import sys
from pathlib import Path

NODES = ["127.0.0.1", "127.0.0.1"]


def srun(words):
    """Runs the command here, in place of the node; notes which node it was for."""
    options = [word for word in words if word.startswith("--")]
    flags = len(options) if words[: len(options)] == options else next(i for i, w in enumerate(words) if w[:2] != "--")
    command = words[flags:]
    node = next(word.partition("=")[2] for word in words[:flags] if word.startswith("--nodelist="))
    note(f"srun {node} {' '.join(command[:2])}")
    if command[:1] == ["hostname"]:
        print("127.0.0.1")
        return 0
    os.execvp(command[0], command)


def scontrol(words):
    note(f"scontrol {' '.join(words)}")
    if words[:2] == ["show", "hostnames"]:
        print("\n".join(NODES))
    return 0


def note(text):
    with Path(os.environ["SLURM_NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")


if __name__ == "__main__":
    name = Path(sys.argv[0]).name
    sys.exit({"srun": srun, "scontrol": scontrol}[name](sys.argv[1:]))
