"""How this process starts others, and how many threads OpenCV may use."""

from __future__ import annotations

import multiprocessing
from typing import Any

import cv2


def set_up_processes(cfg: Any) -> None:
    """Apply `mp_start_method` and `opencv_num_threads` of a config; without them everything stays as it is.

    Raises:
        ValueError: a value is none that the system knows.
    """
    method, threads = cfg.get("mp_start_method"), cfg.get("opencv_num_threads")
    if method is not None:
        known = multiprocessing.get_all_start_methods()
        if method not in known:
            raise ValueError(f"mp_start_method is {method!r}, expected one of {', '.join(known)}")
        multiprocessing.set_start_method(method, force=True)
    if threads is not None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
            raise ValueError(f"opencv_num_threads must be a whole number of 0 (no threads) at least, got {threads!r}")
        cv2.setNumThreads(threads)
