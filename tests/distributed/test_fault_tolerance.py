"""The section of a config and the numbers of workers that a caller may ask for."""

import pytest

from raydet.config import Config
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.request import parse_workers
from raydet.distributed.resources import Capacity, NodeGroup, check_resources, plan_resources


def test_arguments_go_before_the_section_and_the_section_before_the_defaults():
    cfg = Config({"fault_tolerance": {"max_failures": 7, "grace": 5}})
    faults = FaultTolerance.of(cfg, max_failures=1, grace=None)
    assert (faults.max_failures, faults.grace, faults.controller_failure_limit) == (1, 5, 10)
    assert FaultTolerance.of(Config({})) == FaultTolerance()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"max_failure": 3}, "max_failure is no setting; did you mean 'max_failures'"),
        ({"retries": 3}, "expected some of max_failures, "),
        ({"max_failures": -2}, "max_failures is -2, expected a whole number of -1"),
        ({"max_failures": 1.5}, "max_failures is 1.5"),
        ({"on_hang": "wait"}, "on_hang is 'wait', expected one of 'restart', 'report'"),
        ({"worker_timeout": 0}, "worker_timeout is 0, expected seconds above 0"),
        ({"hang_timeout": -1}, "or None"),
    ],
)
def test_section_with_impossible_setting_names_it_and_what_is_possible(section, message):
    with pytest.raises(ValueError, match=message):
        FaultTolerance.of({"fault_tolerance": section})


def test_section_of_a_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "run.py"
    path.write_text("seed = 1\nfault_tolerance = dict(grace=-1)\n")
    with pytest.raises(ValueError, match=r"grace is -1.*run\.py:2"):
        FaultTolerance.of(Config.fromfile(str(path)))


def test_waits_double_up_to_a_bound_and_the_first_restart_waits_not():
    faults = FaultTolerance(back_off=5, max_back_off=30)
    assert [faults.wait_before(restart) for restart in range(1, 6)] == [0, 5, 10, 20, 30]


def test_elastic_runs_give_up_a_placement_sooner():
    assert FaultTolerance().train_settings(True)["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] == "15"
    assert FaultTolerance(start_timeout=7).train_settings(False)["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] == "7"


@pytest.mark.parametrize(("asked", "workers"), [(3, (3, 3)), ("4", (4, 4)), ("2:8", (2, 8)), ((1, 2), (1, 2))])
def test_parse_workers(asked, workers):
    assert parse_workers(asked) == workers


@pytest.mark.parametrize("asked", [0, "0:2", (4, 2), "2:", "two", (1, 2, 3), 1.5, True])
def test_parse_workers_refuses_what_is_no_range(asked):
    with pytest.raises(ValueError, match="num_workers must be a number of 1 at least"):
        parse_workers(asked)


def test_elastic_plan_fits_node_by_node_and_gives_data_actors_a_part_of_the_worker():
    nodes = Capacity([NodeGroup({"CPU": 4.0}), NodeGroup({"CPU": 8.0})])
    plan = plan_resources(nodes, 1, most_workers=6, use_gpu=False, data_actors=2)
    assert (plan.worker, plan.data_cpus, plan.num_workers, plan.most_workers) == ({"CPU": 3.0}, 0.0, 1, 6)
    check_resources(plan, nodes)
    assert str(plan).startswith("1 to 6 workers of 3 CPU")
