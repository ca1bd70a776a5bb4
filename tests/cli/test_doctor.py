from __future__ import annotations

import pytest
import raydet_ops
import torch
from raydet_ops._library import Library

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


def operator_findings():
    return {finding.name: finding for finding in checks.check_operators()}


def test_doctor_says_what_computes_each_operator():
    found = operator_findings()
    for name in raydet_ops.OPERATORS:
        if not name.endswith("_backward"):
            assert f"cpu by {raydet_ops.serves(name, 'cpu')}" in found[name].text
    assert torch.__version__ in found["kernels cpu"].text
    assert found["operators cpu"].state == "ok"


def test_doctor_says_how_to_get_a_missing_library(monkeypatch):
    missing = Library("cpu", None, "it has not been built; install a C++17 compiler")
    monkeypatch.setattr(raydet_ops, "LIBRARIES", (missing,))
    found = operator_findings()["kernels cpu"]
    assert found.state == "note"
    assert "C++17 compiler" in found.text


def test_doctor_reports_an_operator_that_fails(monkeypatch):
    def broken(*_):
        raise RuntimeError("undefined symbol")

    monkeypatch.setattr("raydet.ops.nms", broken)
    found = operator_findings()["operators cpu"]
    assert found.state == "bad"
    assert "nms fails: undefined symbol" in found.text


@pytest.mark.ray
@pytest.mark.slow
def test_doctor_with_ray_runs_a_task(capsys):
    assert main(["doctor", "--ray"]) == 0
    assert "a task ran on" in capsys.readouterr().out
