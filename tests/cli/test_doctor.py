from __future__ import annotations

import pytest

from raydet.cli import checks, main


def test_doctor_names_versions_devices_operators_and_files(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for name in ("python", "torch", "ray", "cpus", "roi_align", "configs"):
        assert f"\n  {name} " in printed or f"\n! {name} " in printed, name


def test_doctor_with_a_missing_package_marks_it_and_returns_1(monkeypatch, capsys):
    monkeypatch.setattr(checks, "REQUIRED", ("torch", "no_such_package"))
    assert main(["doctor"]) == 1
    assert "X no_such_package" in capsys.readouterr().out


def test_doctor_goes_on_when_a_check_fails(monkeypatch, capsys):
    def check_devices():
        raise OSError("driver gone")
        yield

    monkeypatch.setattr(checks, "check_devices", check_devices)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "X devices              OSError: driver gone" in printed
    assert "roi_align" in printed


@pytest.mark.ray
@pytest.mark.slow
def test_doctor_with_ray_runs_a_task(capsys):
    assert main(["doctor", "--ray"]) == 0
    assert "a task ran on" in capsys.readouterr().out
