import pytest
from tiny import tiny_config

from raydet.distributed import train
from raydet.distributed.network import worker_environment


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")


@pytest.mark.parametrize(
    ("network", "alone", "expected"),
    [
        (None, True, {}),
        (None, False, {"NCCL_DEBUG": "INFO"}),
        ({"env": {"NCCL_DEBUG": "WARN", "N": 1}}, False, {"NCCL_DEBUG": "WARN", "N": "1"}),
        ({"interface": "eth0"}, True, {"GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "eth0"}),
    ],
)
def test_worker_environment_has_what_config_and_driver_say(network, alone, expected, monkeypatch):
    for name in ("GLOO_SOCKET_IFNAME", "RAYDET_DEBUG", "RAYDET_VERBOSE"):
        monkeypatch.delenv(name, raising=False)
    found = worker_environment({"network": network}, alone)
    assert {name: value for name, value in found.items() if not name.startswith(("TORCH_", "RAYDET_"))} == expected


@pytest.mark.parametrize(
    ("network", "message"), [({"iface": "eth0"}, "expected some of"), ({"env": ["A"]}, "expected a dict")]
)
def test_worker_environment_refuses_other_sections(network, message):
    with pytest.raises(ValueError, match=message):
        worker_environment({"network": network}, alone=True)


@pytest.mark.ray
@pytest.mark.slow
def test_variables_reach_workers_of_a_cluster_that_was_there(ray_cluster, coco, tmp_path, monkeypatch):
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    names = ["NCCL_DEBUG", "GREETING", "GLOO_SOCKET_IFNAME", "AWS_SECRET_ACCESS_KEY"]
    cfg = tiny_config(
        *coco,
        max_epochs=1,
        network={"interface": "lo", "env": {"GREETING": "hello"}},
        custom_imports={"imports": ["witness_hook"], "allow_failed_imports": False},
        custom_hooks=[{"type": "Witness", "names": names, "folder": str(tmp_path)}],
    )
    train(cfg, num_workers=2, storage=str(tmp_path / "runs"), data_label_selector="worker", say=lambda _: None)
    for rank in range(2):
        assert (tmp_path / f"rank{rank}").read_text().splitlines() == [
            "NCCL_DEBUG=INFO",
            "GREETING=hello",
            "GLOO_SOCKET_IFNAME=lo",
            "AWS_SECRET_ACCESS_KEY=None",
        ]
