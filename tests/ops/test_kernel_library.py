"""The compiled libraries: built, loaded, and never absent without a word."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import raydet_ops
from raydet_ops import _library
from raydet_ops.__main__ import report

ROOT = Path(__file__).parents[2]


def builder():
    spec = importlib.util.spec_from_file_location("build_kernels", ROOT / "ops" / "build_kernels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_kernels"] = module
    spec.loader.exec_module(module)
    return module


def test_report_names_every_operator_and_library():
    text = report()
    assert all(name in text for name in raydet_ops.OPERATORS)
    assert all(f"{library.device}: " in text for library in raydet_ops.LIBRARIES)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.skipif(os.environ.get("RAYDET_OPS") == "torch", reason="plain versions are asked for")
def test_cpu_kernels_serve_where_they_can_be_built():
    assert raydet_ops.LIBRARIES[0].path is not None, raydet_ops.LIBRARIES[0].problem


def test_plain_versions_serve_when_asked_for():
    environment = {**os.environ, "RAYDET_OPS": "torch"}
    done = subprocess.run(
        [sys.executable, "-m", "raydet_ops"], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert "cpp" not in done.stdout
    assert "RAYDET_OPS=torch asks for the plain versions" in done.stdout


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda path: None, "has not been built"),
        (lambda path: path.write_bytes(b"\x7fELF torn"), "does not load"),
        (lambda path: path.with_name(f"{path.name}.log").write_text("error: no"), "could not be built"),
    ],
)
def test_library_that_cannot_serve_says_why(tmp_path, monkeypatch, prepare, words):
    monkeypatch.setattr(_library, "FOLDER", tmp_path)
    monkeypatch.delenv("RAYDET_OPS", raising=False)
    prepare(tmp_path / "libx.so")
    library = _library._load("cpu", "libx.so")
    assert library.path is None
    assert words in library.problem


def test_old_torch_is_told_to_be_upgraded(tmp_path, monkeypatch):
    monkeypatch.setattr(_library.torch, "__version__", "2.9.1+cpu")
    monkeypatch.delenv("RAYDET_OPS", raising=False)
    assert "upgrade torch" in _library._load("cpu", "libx.so").problem


def test_flags_of_nvcc_follow_the_list_of_architectures():
    flags = builder().code_flags("8.0;9.0+PTX")
    assert flags[1::2] == [
        "arch=compute_80,code=sm_80",
        "arch=compute_90,code=sm_90",
        "arch=compute_90,code=compute_90",
    ]


def test_broken_source_fails_with_the_words_of_the_compiler(tmp_path, monkeypatch):
    kernels = builder()
    variants = kernels.variants(cuda=False, architectures="")
    if not variants:
        pytest.skip("no compiler")
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators" / "bad.cpp").write_text("int main( {")
    (tmp_path / "a.h").write_text("")
    monkeypatch.setattr(kernels, "SOURCES", tmp_path)
    with pytest.raises(RuntimeError, match=r"bad\.cpp"):
        kernels.build(variants[:1], tmp_path / "lib", tmp_path / "objects", 1)
