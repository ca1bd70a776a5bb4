"""`raydet cluster`: list, render and check."""

import pytest

from raydet.cli import main
from raydet.distributed.clusters.render import TARGETS, render
from raydet.distributed.clusters.simulate import Nodes, parse_nodes


def test_list_names_every_kind(capsys):
    assert main(["cluster", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in TARGETS)


def test_render_prints_or_writes_the_same(tmp_path, capsys):
    options = ["--gpu", "g5.xlarge", "--max-workers", "3", "--spot", "--fill", "BUCKET=mine"]
    assert main(["cluster", "render", "aws", *options]) == 0
    shown = capsys.readouterr().out
    assert shown == render("aws", gpu="g5.xlarge", max_workers=3, market="spot", fill={"BUCKET": "mine"})
    assert main(["cluster", "render", "aws", *options, "-o", str(tmp_path / "a.yaml")]) == 0
    assert (tmp_path / "a.yaml").read_text() == shown


def test_render_of_a_job_takes_its_command(capsys):
    assert main(["cluster", "render", "kuberay-job", "--command", "raydet train x.py"]) == 0
    assert "entrypoint: raydet train x.py\n" in capsys.readouterr().out


def test_check_of_what_is_shipped_passes_though_it_is_to_be_filled_in(capsys):
    assert main(["cluster", "check"]) == 0
    assert "to fill in: <AWS_ACCOUNT_ID> at" in capsys.readouterr().out


def test_check_of_a_file_fails_until_it_is_filled_in(tmp_path, capsys):
    path = tmp_path / "aws.yaml"
    path.write_text(render("aws", image="r/i:1"))
    assert main(["cluster", "check", str(path)]) == 1
    path.write_text(render("aws", image="r/i:1", fill={"AWS_ACCOUNT_ID": "1"}))
    assert main(["cluster", "check", str(path)]) == 0
    assert f"{path}: a file for `ray up` (aws), ready" in capsys.readouterr().out


def test_check_of_a_file_with_mistakes_names_them(tmp_path, capsys):
    path = tmp_path / "aws.yaml"
    path.write_text(render("aws") + "max_worker: 2\n")
    assert main(["cluster", "check", str(path)]) == 1
    assert "max_worker: unknown key, did you mean 'max_workers'?" in capsys.readouterr().out


def test_parse_nodes_reads_pools_with_cpus_and_counts():
    assert parse_nodes(["head:0", "train:2x3"]) == [Nodes("head", 0), Nodes("train", 2, 3)]
    with pytest.raises(ValueError, match=r"POOL:CPUSxCOUNT, such as train:1x2, got 'train'"):
        parse_nodes(["train"])


def test_simulate_wants_one_head(capsys):
    assert main(["cluster", "simulate", "--nodes", "head:0x2", "--", "true"]) == 2
    assert "is the head, of which there is one" in capsys.readouterr().err
