"""What travels with a submitted job: code without data, results and secrets, plug-ins, and a few variables."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydet.distributed.provenance import SOURCE_VARIABLE, describe_source, is_secret

EXCLUDES = (
    # the past of the code, and what programs leave behind
    ".git/",
    ".venv/",
    "venv/",
    "__pycache__/",
    "*.egg-info/",
    # secrets
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "id_rsa*",
    "id_ed25519*",
    ".netrc",
    ".aws/",
    ".ssh/",
    ".kube/",
    ".ray/",
    "*credentials*",
    "*secret*",
    "auth_token",
    # data and results
    "/data/",
    "/datasets/",
    "/work_dirs/",
    "/runs/",
    "/wandb/",
    "/mlruns/",
    "*.pth",
    "*.pt",
    "*.ckpt",
    "*.safetensors",
    "*.onnx",
    "*.parquet",
    "*.lmdb/",
    "*.tar",
    "*.tar.gz",
    "*.zip",
)
"""Patterns as in `.gitignore` of what never travels; what `.gitignore` and `.rayignore` name stays at home as well."""

STOP_SETTINGS = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
"""A job that is told to stop has so many seconds for a last checkpoint; Ray's default is 3."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class JobPackage:
    """The runtime environment of a job.

    Args:
        working_dir: folder that the job starts in, on this machine.
        py_modules: folders of packages, or wheels, that can be imported on every node.
        env: environment variables of all processes of the job; everybody who sees the cluster's dashboard sees them.
        excludes: more patterns of files that stay at home.
        includes: patterns of files that travel although `EXCLUDES` names them.
    """

    working_dir: Path
    py_modules: Sequence[Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    excludes: Sequence[str] = ()
    includes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.working_dir.is_dir():
            raise FileNotFoundError(f"there is no working directory {self.working_dir}; give one with --working-dir")
        for module in self.py_modules:
            if not module.is_dir() and module.suffix != ".whl":
                raise FileNotFoundError(f"{module} is no folder of a package and no wheel; expected one as --py-module")

    def runtime_env(self) -> dict[str, Any]:
        """As Ray takes it; the state of the code travels along, for the record of the run."""
        source = describe_source(self.working_dir)
        told = {} if source is None else {SOURCE_VARIABLE: json.dumps(source)}
        return {
            "working_dir": str(self.working_dir),
            "excludes": [*EXCLUDES, *self.excludes, *(f"!{pattern}" for pattern in self.includes)],
            **({"py_modules": [str(module) for module in self.py_modules]} if self.py_modules else {}),
            "env_vars": {**STOP_SETTINGS, **told, **self.env},
        }

    def shown_env(self) -> dict[str, Any]:
        """`runtime_env` as it may be printed: without secrets, and without the state of the code."""
        known = self.runtime_env()
        variables = {name: "***" if is_secret(name) else value for name, value in known["env_vars"].items()}
        variables.pop(SOURCE_VARIABLE, None)
        return {**{name: value for name, value in known.items() if name != "env_vars"}, "env_vars": variables}


def parse_env(pairs: Sequence[str]) -> dict[str, str]:
    """Environment variables written `NAME=value`, or `NAME` for its value here.

    Raises:
        ValueError: a pair is written in another way, or there is no such variable here.
    """
    found = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not _NAME.fullmatch(name):
            raise ValueError(f"an environment variable is given as NAME=value or NAME, got {name!r}")
        if not mark and name not in os.environ:
            raise ValueError(f"there is no environment variable {name} here to pass on; write {name}=value")
        found[name] = value if mark else os.environ[name]
    return found


def path_in_package(path: str, working_dir: Path) -> str:
    """A file of this machine as the job will find it: relative to the working directory.

    Raises:
        ValueError: it does not travel.
    """
    place = Path(path).expanduser().resolve()
    root = working_dir.resolve()
    if not place.is_relative_to(root):
        raise ValueError(f"{path} is outside the working directory {working_dir} and would not travel with the job")
    return place.relative_to(root).as_posix()
