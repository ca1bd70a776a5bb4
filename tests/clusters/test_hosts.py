"""Machines that are reached by ssh: their list, their cluster file, `raydet up` and `raydet down`."""

import subprocess

import pytest

from raydet.cli import main
from raydet.cli import up as cli_up
from raydet.config import shipped_root
from raydet.distributed.clusters.check import check_file
from raydet.distributed.clusters.hosts import Host, Login, read_hosts, render_hosts
from raydet.distributed.clusters.text import read_yaml

SHIPPED = shipped_root("clusters") / "hosts.txt"


def listed(folder, text):
    path = folder / "hosts.txt"
    path.write_text(text)
    return path


def test_read_hosts_knows_options_and_comments(tmp_path):
    path = listed(tmp_path, "# cluster\nhead pool=head cpus=0\n\na.b  # fast\n10.0.0.3 pool=data cpus=8 gpus=0\n")
    assert read_hosts(path) == [Host("head", "head", 0), Host("a.b"), Host("10.0.0.3", "data", 8, 0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no machine"),
        ("a\na\n", "a twice"),
        ("a\nb gpu=2\n", r"hosts.txt:2: 'gpu=2' is not one of pool=NAME, cpus=N, gpus=N"),
        ("a cpus=many\n", "'cpus=many' is not one of"),
        ("me@a\n", "write the address alone, 'a', and give --user"),
    ],
)
def test_read_hosts_says_what_is_wrong_and_where(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_hosts(listed(tmp_path, text))


@pytest.mark.parametrize("text", ["only\n", "head\nworker\n", "head pool=head cpus=0\nw1\nw2 pool=data\n"])
def test_up_writes_a_file_that_ray_understands(tmp_path, text, monkeypatch):
    asked = []
    monkeypatch.setattr(cli_up, "make_token", lambda: None)
    monkeypatch.setattr(cli_up, "ray", lambda *words: asked.append(words) or 0)
    path = listed(tmp_path, text)
    assert main(["up", str(path), "--user", "me", "--key", "~/.ssh/k", "--setup", "pip install raydet"]) == 0
    written = tmp_path / "hosts.yaml"
    assert check_file(written).problems == []
    document = read_yaml(written)
    assert document["provider"]["head_ip"] == text.split()[0]
    assert document["auth"] == {"ssh_user": "me", "ssh_private_key": "~/.ssh/k"}
    assert main(["down", str(path)]) == 0
    assert [words[0] for words in asked] == ["up", "down"]


def test_up_dry_run_shows_all_and_does_nothing(tmp_path, capsys):
    path = listed(tmp_path, SHIPPED.read_text())
    assert main(["up", str(path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "head_ip: 10.0.0.10" in shown
    assert f"ray up -y {tmp_path / 'hosts.yaml'}" in shown
    assert not (tmp_path / "hosts.yaml").exists()


def test_down_without_a_cluster_file_asks_whether_it_is_up(tmp_path, capsys):
    assert main(["down", str(tmp_path / "hosts.txt")]) == 2
    assert "is the cluster up?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "flags"), [("w1", "--labels=pool=train"), ("10.1.1.9", "--labels=pool=data --num-cpus=4")]
)
def test_each_machine_looks_up_its_own_flags(name, flags):
    hosts = [Host("head"), Host("w1"), Host("10.1.1.9", "data", 4)]
    command = render_hosts(hosts, Login("me", activate="true"))["worker_start_ray_commands"][1]
    stand_ins = f'hostname() {{ echo "{name}"; }}; ulimit() {{ :; }}; ray() {{ echo "$@"; }}; RAY_HEAD_IP=head; '
    shown = subprocess.run(["bash", "-ec", stand_ins + command], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == f"start --address=head:6379 {flags}"
