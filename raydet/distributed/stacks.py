"""Where each worker of a run stands: the stacks of all threads of all ranks, saved when a run hangs."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from raydet.distributed.signs import Sign
from raydet.distributed.storage import RunFolder

FOLDER = "hangs"
_SIGNAL = signal.SIGUSR2
_PATIENCE = 5.0
_POLL = 0.01


def listen() -> None:
    """Let this process write its stacks into a file when it gets a signal, even if it is in an endless operation.

    The thread that calls this is the one that will get the signal, and stand still while it writes.
    """
    file = _file_of(os.getpid()).open("w")
    file.write(f"{threading.get_native_id()}\n")
    file.flush()
    # Open as long as the process lives; the handler writes to the bare descriptor.
    faulthandler.register(_SIGNAL, file, all_threads=True, chain=False)


def save_stacks(signs: Sequence[Sign], folder: RunFolder, kill: bool) -> str:
    """Save the stacks of the workers as `hangs/<time>/rank_<r>.txt` in the run folder.

    Nodes that do not answer are passed over.

    Args:
        signs: of the workers.
        folder: of the run.
        kill: end the workers afterwards; a stopped process only shows its stacks when it goes on, so it does then.

    Returns:
        Name of the folder in the run folder.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(stacks_of)
    tasks = {}
    for node in {sign.node for sign in signs}:
        pids = {sign.rank: sign.pid for sign in signs if sign.node == node}
        place = NodeAffinitySchedulingStrategy(node, soft=False)
        tasks[look.options(scheduling_strategy=place).remote(pids, kill)] = pids
    done, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=6 * _PATIENCE)
    texts = {sign.rank: f"the node {sign.node} did not answer\n" for sign in signs}
    for task in done:
        with contextlib.suppress(ray.exceptions.RayError):
            texts.update(ray.get(task))
    name = f"{FOLDER}/{time.strftime('%Y%m%d_%H%M%S')}"
    folder.filesystem.create_dir(f"{folder.path}/{name}")
    for rank, text in texts.items():
        with folder.filesystem.open_output_stream(f"{folder.path}/{name}/rank_{rank}.txt") as stream:
            stream.write(text.encode())
    return name


def stacks_of(pids: dict[int, int], kill: bool) -> dict[int, str]:
    """The stacks of processes of this node by rank; then they are killed if that is asked for.

    Stopped ones come last and are killed at once: awake, they train.
    """
    ranks = sorted(pids, key=lambda rank: _state(pids[rank]).startswith("T"))
    texts = {rank: _stacks(pids[rank], wake=kill) for rank in ranks}
    for rank in reversed(ranks) if kill else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[rank], signal.SIGKILL)
    return texts


def _stacks(pid: int, wake: bool) -> str:
    state, file = _state(pid), _file_of(pid)
    try:
        _signal_thread(pid, int(_read(file)[0] or pid))
        if wake:
            os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return f"process {pid}: gone\n"
    end = time.monotonic() + _PATIENCE
    text = ""
    while time.monotonic() < end:
        before, text = text, _read(file)[1]
        if text and text == before:  # written to its end
            break
        time.sleep(_POLL)
    return f"process {pid}, state {state}\n{text or 'it wrote no stacks'}\n"


def _signal_thread(pid: int, thread: int) -> None:
    """Ask a thread of a process for the stacks of all; Python itself can only ask a process, which lets any answer."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "tgkill"):  # only Linux has it
        os.kill(pid, _SIGNAL)
    elif library.tgkill(pid, thread, _SIGNAL):
        raise ProcessLookupError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _read(file: Path) -> tuple[str, str]:
    """The thread that listens, and what was written when it was asked."""
    thread, _, text = (file.read_text(errors="replace") if file.exists() else "").partition("\n")
    return thread, text


def _state(pid: int) -> str:
    """What the kernel says a process does, such as `S (sleeping)` or `T (stopped)`."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(maxsplit=1)[1] for line in lines if line.startswith("State:")), "unknown")


def _file_of(pid: int) -> Path:
    return Path(tempfile.gettempdir(), f"raydet_stacks_{os.getuid()}_{pid}.txt")
