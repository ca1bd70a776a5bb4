from __future__ import annotations

import json
import os
import shlex
import socket

import pytest

from raydet.cli import main
from raydet.distributed.access import api_server, check_answers, explain, keep_token_private
from raydet.distributed.job_package import EXCLUDES, JobPackage, parse_env


@pytest.fixture
def project(run_folder, monkeypatch):
    """The working directory of someone who submits, away from any cluster."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(run_folder)
    return run_folder


def dry_run(capsys, *words):
    assert main(["submit", *words, "--dry-run"]) == 0
    return shlex.split(capsys.readouterr().out)


def after(words, option):
    return words[words.index(option) + 1]


def test_dry_run_prints_a_ray_command_that_a_shell_understands(project, capsys):
    words = dry_run(
        capsys, "tiny.py", "--num-workers", "2:4", "--storage", "/shared/my runs", "--cfg-options", "seed=1"
    )
    assert words[:3] == ["ray", "job", "submit"]
    assert after(words, "--address") == "http://127.0.0.1:8265"
    assert after(words, "--working-dir") == "."
    command = words[words.index("--") + 1 :]
    assert command[:5] == ["raydet", "train", "tiny.py", "--num-workers", "2:4"]
    assert after(command, "--storage") == "/shared/my runs"
    assert after(command, "--cfg-options") == "seed=1"
    assert after(command, "--name") == after(words, "--submission-id")
    metadata = json.loads(after(words, "--metadata-json"))
    assert metadata["run"] == after(command, "--name")
    assert metadata["config"] == "tiny.py"


def test_options_of_the_job_may_stand_before_and_behind_the_config(project, capsys):
    options = ["--env", "A=1", "tiny.py", "--env", "B=2", "--name", "first", "--storage", "s3://bucket/runs"]
    words = dry_run(capsys, *options, "--exclude", "*.mp4", "--include", "start.pth")
    env = json.loads(after(words, "--runtime-env-json"))
    assert env["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "60", "A": "1", "B": "2"}
    assert env["excludes"][-2:] == ["*.mp4", "!start.pth"]
    command = words[words.index("--") + 1 :]
    assert command == ["raydet", "train", "tiny.py", "--name", "first", "--storage", "s3://bucket/runs"]


def test_dry_run_shows_no_secret(project, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "hunter2hunter2")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token2token2")
    options = ["--env", "WANDB_API_KEY", "--storage", "s3://key:hunter2hunter2@bucket/runs"]
    assert main(["submit", "tiny.py", *options, "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert "token2" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny.py"], "needs a storage that stays"),
        (["tiny.py", "--storage", "runs"], "needs a storage that stays"),
        (["tiny.py", "--storage", "/runs", "--local"], "leave out --local"),
        (["tiny.py", "--storage", "/runs", "--env", "NOBODY_SET_THIS"], "no environment variable NOBODY_SET_THIS"),
        (["tiny.py", "--storage", "/runs", "--working-dir", "gone"], "no working directory gone"),
        (["tiny.py", "--storage", "/runs", "--py-module", "gone"], "no folder of a package and no wheel"),
        (["tiny.py", "--storage", "/runs", "--address", "ftp://x"], "starts with http://"),
        (["nowhere.py", "--storage", "/runs"], "nowhere.py"),
        ([], "what shall be submitted"),
        (["list", "job"], "takes no job"),
        (["logs"], "takes one JOB"),
    ],
)
def test_submit_refuses_before_anything_is_sent(project, capsys, words, message):
    assert main(["submit", *words, "--dry-run"]) == 2
    assert message in capsys.readouterr().err


def test_config_outside_the_working_directory_is_refused(project, tmp_path, capsys):
    assert (
        main(["submit", str(project / "tiny.py"), "--storage", "/runs", "--working-dir", str(tmp_path), "--dry-run"])
        == 2
    )
    assert "outside the working directory" in capsys.readouterr().err


def test_shipped_config_keeps_its_name(project, capsys):
    words = dry_run(capsys, "retinanet_r50_fpn_1x_coco", "--storage", "/runs")
    assert words[words.index("--") + 1 :][2] == "retinanet_r50_fpn_1x_coco"


def test_package_leaves_secrets_data_and_results_at_home(tmp_path):
    from ray._private.runtime_env.packaging import create_package

    kept = ["configs/a.py", "data_tools/b.py", "start.pth"]
    left = [
        ".git/HEAD",
        ".env",
        "deploy/key.pem",
        "data/img.jpg",
        "work_dirs/r/log",
        "a/epoch_1.pth",
        ".aws/credentials",
    ]
    for name in [*kept, *left]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    env = JobPackage(tmp_path, includes=["start.pth"]).runtime_env()
    target = tmp_path.parent / f"{tmp_path.name}.zip"
    create_package(str(tmp_path), target, include_gitignore=True, excludes=env["excludes"])
    import zipfile

    names = [name for name in zipfile.ZipFile(target).namelist() if not name.endswith("/")]
    assert sorted(names) == sorted(kept)
    assert ".git/" in EXCLUDES


def test_parse_env_takes_values_and_names(monkeypatch):
    monkeypatch.setenv("HERE", "there")
    assert parse_env(["A=1=2", "HERE", "EMPTY="]) == {"A": "1=2", "HERE": "there", "EMPTY": ""}
    with pytest.raises(ValueError, match="NAME=value or NAME"):
        parse_env(["1A=2"])


def test_api_server_prefers_the_variable_as_ray_does(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265/")
    assert api_server(None) == "http://head:8265"
    assert api_server("http://head:8265") == "http://head:8265"
    with pytest.raises(ValueError, match="RAY_API_SERVER_ADDRESS=http://head:8265/ goes before it"):
        api_server("http://other:8265")
    assert "RAY_API_SERVER_ADDRESS" in os.environ


def test_check_answers_tells_at_once_who_does_not_listen():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="no Ray cluster answers at 127"):
            check_answers(address)
        server.listen()
        check_answers(address)
        check_answers(f"ray://{address}")
    check_answers("auto")
    with pytest.raises(ValueError, match="for `raydet submit`"):
        check_answers("http://127.0.0.1:8265")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("Unauthorized: Missing authentication token"), "wants a token and got none"),
        (RuntimeError("Forbidden: Invalid authentication token"), "does not know this token"),
        (ConnectionError("SSLError: wrong version number"), "does not speak http"),
        (ConnectionError("refused"), "no Ray cluster answers at http://head:1"),
    ],
)
def test_explain_says_what_to_do(error, words):
    assert words in explain(error, "http://head:1")


def test_token_is_kept_from_other_users(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    keep_token_private()  # there is none
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0" * 64)
    token.chmod(0o644)
    keep_token_private()
    assert token.stat().st_mode & 0o777 == 0o600
