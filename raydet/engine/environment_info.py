"""The facts about machine and packages that help to understand a log."""

from __future__ import annotations

import platform
import sys
from functools import lru_cache
from importlib.metadata import version

import cv2
import numpy as np
import torch

from raydet import __version__


@lru_cache(maxsize=1)
def environment_info() -> str:
    """Versions and devices, one a line; no names of hosts or users and no environment variables."""
    facts = {
        "raydet": __version__,
        "Python": sys.version.split()[0],
        "platform": platform.platform(),
        "PyTorch": torch.__version__,
        "torchvision": version("torchvision"),
        "OpenCV": cv2.__version__,
        "numpy": np.__version__,
        "CUDA available": torch.cuda.is_available(),
        "CPU threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["CUDA"] = torch.version.cuda
        facts["cuDNN"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        for index in range(torch.cuda.device_count()):
            facts[f"GPU {index}"] = torch.cuda.get_device_name(index)
    return "\n".join(f"{name}: {value}" for name, value in facts.items())
