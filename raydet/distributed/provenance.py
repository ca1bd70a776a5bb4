"""Where a run comes from: the command, the code, the packages and the environment, without secrets."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from raydet import __version__
from raydet.config.nested import map_leaves
from raydet.engine.logging import redact
from raydet.transforms.object_store import shown

SOURCE_VARIABLE = "RAYDET_SOURCE"
"""Holds the state of the code of a submitted job as JSON, since `.git` does not travel with it."""

_SECRET = re.compile(r"pass|secret|token|key|credential|cert|cookie|dsn|webhook|private", re.IGNORECASE)
_LONGEST_DIFF = 2**20


def is_secret(name: str) -> bool:
    """Whether a variable of this name may hold a password, a token or a key."""
    return _SECRET.search(name) is not None


def masked(value: Any) -> Any:
    """Text without passwords, tokens and the credentials in URLs, also inside dicts and lists."""
    return map_leaves(lambda leaf: redact(shown(leaf)) if isinstance(leaf, str) else leaf, value, tuples=False)


def describe_command() -> dict[str, Any]:
    """The command and the machine that it runs on."""
    return {
        "command": masked(sys.argv),
        "directory": os.getcwd(),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "raydet": __version__,
    }


def describe_environment() -> dict[str, str]:
    """The environment variables, sorted; stars stand for the values of those that may be secret."""
    return {name: "***" if is_secret(name) else masked(value) for name, value in sorted(os.environ.items())}


def describe_packages() -> dict[str, str]:
    """Versions of all installed packages by name."""
    found = {each.metadata["Name"]: each.version for each in metadata.distributions() if each.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def describe_source(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and changed files of the git checkout around `folder`; None without one.

    In a submitted job, what was true where it was submitted.
    """
    told = os.environ.get(SOURCE_VARIABLE)
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return dict(json.loads(told)) if told else None
    remote, changed = _git(folder, "remote", "get-url", "origin"), _git(folder, "status", "--porcelain")
    return {
        "commit": commit.strip(),
        "branch": (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "remote": masked(remote.strip()) if remote else None,
        "changed": (changed or "").splitlines(),
    }


def changes(folder: Path) -> str:
    """What differs from the commit, as a patch of at most one MiB; empty without a git checkout."""
    return str(masked((_git(folder, "diff", "HEAD") or "")[:_LONGEST_DIFF]))


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
