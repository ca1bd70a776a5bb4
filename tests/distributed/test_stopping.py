"""SIGTERM to the process that started a run, and the wishes of several ranks."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from raydet.distributed.stop_requests import Agreement
from raydet.distributed.stopping import EXIT_CODE, StopOnSignal, Stopped


def test_first_signal_asks_the_run_to_stop_and_the_second_ends_the_process():
    watch, before = SimpleNamespace(stopping=False), signal.getsignal(signal.SIGTERM)
    with StopOnSignal(watch, grace=60):
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.stopping
        with pytest.raises(Stopped) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == EXIT_CODE == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_grace_ends_the_process_when_the_checkpoint_takes_longer():
    watch = SimpleNamespace(stopping=False)
    with StopOnSignal(watch, grace=0.05):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            signal.pause()


def agree(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    agreement = Agreement(dist.new_group(backend="gloo"))
    wishes = [0, 3 * rank, 1 - rank, 0, 0]
    assert [agreement.reach(wish) for wish in wishes] == [0, 0, 3, 1, 0]
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_agree_on_the_largest_wish_one_iteration_later(tmp_path):
    torch.multiprocessing.spawn(agree, (str(tmp_path),), nprocs=2)


def test_one_process_agrees_with_itself_at_once():
    assert Agreement(None).reach(2) == 2
