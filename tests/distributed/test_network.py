import pytest

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
