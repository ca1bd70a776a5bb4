from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from raydet.evaluation import evaluate_cityscapes

NAME = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"


class _DataSet:
    def __init__(self, root: Path) -> None:
        self.img_prefix = f"{root}/leftImg8bit/val/"

    def format_results(self, results, txtfile_prefix):
        return [f"{txtfile_prefix}/{each}_pred.txt" for each in results], None


@pytest.fixture
def engine(monkeypatch):
    """Stands in for the package: remembers what it is asked."""
    engine = types.ModuleType(NAME)
    engine.args = types.SimpleNamespace()
    engine.getPrediction = lambda truth, args: f"{args.predictionPath}/{Path(truth).name}"
    engine.evaluateImgLists = lambda found, truths, args: {
        "averages": {"allAp": len(found) / 10, "allAp50%": len(truths) / 5},
    }
    for name in ("cityscapesscripts", "cityscapesscripts.evaluation"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, NAME, engine)
    return engine


def test_package_compares_the_written_files_with_the_ground_truth_beside_the_images(engine, tmp_path):
    truths = tmp_path / "gtFine" / "val" / "town"
    truths.mkdir(parents=True)
    for name in ("a", "b"):
        (truths / f"{name}_gtFine_instanceIds.png").write_bytes(b"")
    scores = evaluate_cityscapes(_DataSet(tmp_path), ["a", "b"], str(tmp_path / "out"), logger="silent")
    assert scores == {"mAP": 0.2, "AP@50": 0.4}
    assert engine.args.predictionPath == str(tmp_path / "out")
    assert engine.args.groundTruthSearch == f"{tmp_path}/gtFine/val/*/*_gtFine_instanceIds.png"
    assert engine.args.JSONOutput is False


def test_missing_ground_truth_is_named(engine, tmp_path):
    with pytest.raises(FileNotFoundError, match="gtFine/val"):
        evaluate_cityscapes(_DataSet(tmp_path), ["a"], str(tmp_path), logger="silent")


def test_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cityscapesscripts", None)
    with pytest.raises(ImportError, match="pip install cityscapesscripts"):
        evaluate_cityscapes(_DataSet(tmp_path), ["a"], str(tmp_path), logger="silent")
