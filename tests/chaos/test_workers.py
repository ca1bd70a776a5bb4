"""Workers that die, hang or err on one machine."""

from __future__ import annotations

import pytest
from harness import INTERVAL, ITERATIONS, assert_equal, weights

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
NOTHING = "no run to compare"


@pytest.fixture(scope="module")
def calm_two(cluster, coco, tmp_path_factory):
    """The weights of the undisturbed run with two workers."""
    from harness import Chaos

    two = Chaos(tmp_path_factory.mktemp("calm_two"), coco, [], "")
    return weights(two.train(two.config(), num_workers=2))


def assert_continued(chaos, result, at, calm):
    """The run went on from the checkpoint before the fault, with the same batches, to the same weights."""
    assert chaos.hurt(at)
    assert [restart.iteration for restart in result.restarts] == [at // INTERVAL * INTERVAL]
    # The iteration of the fault itself is finished on the other rank, if there is one.
    assert at % INTERVAL - 1 <= result.restarts[0].lost_iterations <= at % INTERVAL
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm)


def test_killed_worker(cluster, chaos, calm):
    result = chaos.train(chaos.config("kill_worker", at=13))
    assert_continued(chaos, result, 13, calm)
    assert chaos.said("went on after", "from iteration 10 with 1 worker; 2 iterations")
    chaos.row("1 killed worker", "SIGKILL of the only worker", "the run", result.restarts)


@pytest.mark.slow
def test_worker_killed_again_and_again(cluster, chaos, calm):
    at = (6, 7, 11, 12)
    result = chaos.train(chaos.config("kill_worker", at=at), max_failures=len(at))
    assert len(result.restarts) == len(at)
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm)
    chaos.row("2 killed at any step", f"SIGKILL after iterations {', '.join(map(str, at))}", "the run", result.restarts)


def test_worker_out_of_memory(cluster, chaos, calm):
    result = chaos.train(chaos.config("run_out_of_memory", at=8))
    assert_continued(chaos, result, 8, calm)
    assert chaos.said("MemoryError: no more memory")
    chaos.row("30 memory", "MemoryError in a worker", "the run", result.restarts)


@pytest.mark.slow
def test_mistake_ends_the_run_with_the_first_error(cluster, chaos):
    with pytest.raises(KeyError, match="zebra"):
        chaos.train(chaos.config("make_a_mistake", at=4, rank=1), num_workers=2)
    assert not chaos.said("went on after")
    assert len(chaos.iterations()) == 4
    chaos.row("10 error on one rank", "KeyError on one of two ranks", "its message, no restart", (), NOTHING)


def test_killed_controller(cluster, chaos, calm):
    result = chaos.train(chaos.config("kill_controller", at=13))
    assert_continued(chaos, result, 13, calm)
    assert chaos.said("the controller of the run was lost")
    chaos.row("5 killed controller", "SIGKILL of Ray Train's controller", "the run, with another", result.restarts)


@pytest.mark.slow
def test_full_disk(cluster, chaos, calm):
    result = chaos.train(chaos.config("fill_disk", at=13))
    assert chaos.said("worker failure")
    assert result.restarts[0].iteration == 10
    assert_equal(weights(result), calm)
    assert not list((chaos.folder / "run").glob("*.tmp"))
    chaos.row("14 disk full", "files cannot grow while a checkpoint is written", "the run", result.restarts)


@pytest.mark.slow
def test_damaged_checkpoint(cluster, chaos, calm):
    chaos.train(chaos.config(runner={"type": "IterBasedRunner", "max_iters": 10}))
    folder = chaos.folder / "run"
    for newest in [folder / "iter_10.pth", *folder.glob("checkpoint_*/iter_10.pth")]:
        newest.write_bytes(newest.read_bytes()[:5000])
    result = chaos.train(chaos.config(), resume=True)
    assert any("passing over a checkpoint that cannot be read" in log.read_text() for log in folder.glob("*.log"))
    assert sum(number == 6 for number, *_ in chaos.iterations()) == 2
    assert_equal(weights(result), calm)
    chaos.row("13 torn write", "the newest checkpoint is cut off", "the one before it", (), "equal")


@pytest.mark.slow
def test_killed_data_actors(cluster, chaos, calm_two):
    cfg = chaos.config("kill_data_actors", at=13)
    cfg.data.workers_per_gpu = 1
    result = chaos.train(cfg, carrier="ray", num_workers=(1, 2), resources_per_worker={"CPU": 1})
    assert chaos.hurt(13)
    assert not result.restarts
    assert {workers for _, workers, _ in chaos.iterations()} == {2}
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm_two)
    chaos.row("29 a task dies", "SIGKILL of the actors that read", "the run, without a restart", (), "equal")


@pytest.mark.slow
def test_one_of_two_workers_killed(cluster, chaos, calm_two):
    result = chaos.train(chaos.config("kill_worker", at=13, rank=1), num_workers=2)
    assert_continued(chaos, result, 13, calm_two)
    chaos.row("1 killed worker", "SIGKILL of one of two workers", "the run", result.restarts)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stop_worker", "sleep_for_ever"])
def test_hang_of_one_of_two_workers(cluster, chaos, calm_two, fault):
    cfg = chaos.config(fault, at=13, rank=1, fault_tolerance={"hang_timeout": 10})
    result = chaos.train(cfg, num_workers=2)
    assert_continued(chaos, result, 13, calm_two)
    stacks = {path.name: path.read_text() for path in (chaos.folder / "run" / "hangs").glob("*/rank_*.txt")}
    assert sorted(stacks) == ["rank_0.txt", "rank_1.txt"]
    waits = ("backward", "reach", "all_reduce", "gather_object", "broadcast_from_rank_zero")  # for the other rank
    assert any(f"in {place}" in stacks["rank_0.txt"] for place in waits), stacks["rank_0.txt"]
    place = "run_training" if fault == "stop_worker" else fault  # until all threads are stopped, this one goes on
    assert f"in {place}" in stacks["rank_1.txt"], stacks["rank_1.txt"]
    assert ("T (stopped)" in stacks["rank_1.txt"]) == (fault == "stop_worker")
    what = "SIGSTOP of" if fault == "stop_worker" else "an endless loop in"
    chaos.row("9 hang", f"{what} one of two workers (hang_timeout 10 s)", "the run, all stacks", result.restarts)


@pytest.mark.slow
def test_worker_that_answers_no_questions(cluster, chaos, calm_two):
    cfg = chaos.config("stop_worker", at=8, rank=0, fault_tolerance={"hang_timeout": None, "worker_timeout": 8})
    result = chaos.train(cfg, num_workers=2)
    assert_continued(chaos, result, 8, calm_two)
    assert chaos.said("the stacks of all ranks are in")
    chaos.row("9 hang", "SIGSTOP of rank 0 (worker_timeout 8 s)", "the run, all stacks", result.restarts)


@pytest.mark.slow
def test_collective_that_waits_too_long(cluster, chaos, calm_two):
    limits = {"collective_timeout": 8, "hang_timeout": None}
    result = chaos.train(chaos.config("sleep_for_ever", at=8, rank=1, fault_tolerance=limits), num_workers=2)
    assert_continued(chaos, result, 8, calm_two)
    chaos.row("9 hang", "one of two ranks never comes (collective_timeout 8 s)", "the run", result.restarts)


@pytest.mark.slow
def test_limits_of_restarts(cluster, chaos):
    from raydet.distributed import TrainingFailed

    with pytest.raises(TrainingFailed, match="failed after 1 restarts"):
        chaos.train(chaos.config("kill_worker", at=(6, 7)), max_failures=1)
    assert (chaos.folder / "run" / "iter_5.pth").exists()
    assert max(number for number, *_ in chaos.iterations()) < ITERATIONS
    chaos.row("1 killed worker", "more losses than max_failures", "the checkpoints, a sentence", (), NOTHING)
