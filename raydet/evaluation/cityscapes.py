"""The metric of Cityscapes (arXiv:1604.01685) by the data set's own package."""

from __future__ import annotations

import glob
import importlib
import os.path as osp
from collections.abc import Sequence
from typing import Any

from raydet.evaluation.report import Logger, say


def evaluate_cityscapes(
    dataset: Any, results: Sequence[Any], outfile_prefix: str | None = None, logger: Logger = None
) -> dict[str, float]:
    """Evaluate instance masks as the Cityscapes benchmark does.

    Args:
        dataset: has `img_prefix`, a folder below `leftImg8bit` beside which `gtFine` lies, and `format_results`.
        results: per image (boxes by class, masks by class).
        outfile_prefix: folder for the files that are compared; a temporary one when left out.
        logger: where messages go.

    Returns:
        `mAP` and `AP@50`.

    Raises:
        ImportError: the package cityscapesscripts is not installed.
        FileNotFoundError: there is no ground truth.
    """
    engine = _engine()
    pattern = osp.join(dataset.img_prefix.replace("leftImg8bit", "gtFine"), "*/*_gtFine_instanceIds.png")
    truths = sorted(glob.glob(pattern))
    if not truths:
        raise FileNotFoundError(f"there is no ground truth for the metric 'cityscapes': no file is like {pattern}")
    files, folder = dataset.format_results(results, txtfile_prefix=outfile_prefix)
    where = osp.abspath(osp.dirname(files[0]))
    say(f"Evaluating results below {where} in the way of Cityscapes...", logger)
    arguments = engine.args
    arguments.cityscapesPath = osp.join(dataset.img_prefix, "../..")
    arguments.predictionPath = where
    arguments.predictionWalk = None
    arguments.JSONOutput = False
    arguments.colorized = False
    arguments.gtInstancesFile = osp.join(where, "gtInstances.json")
    arguments.groundTruthSearch = pattern
    found = [engine.getPrediction(truth, arguments) for truth in truths]
    averages = engine.evaluateImgLists(found, truths, arguments)["averages"]
    if folder is not None:
        folder.cleanup()
    return {"mAP": averages["allAp"], "AP@50": averages["allAp50%"]}


def _engine() -> Any:
    try:
        return importlib.import_module("cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling")
    except ImportError:
        raise ImportError(
            "the metric 'cityscapes' needs the package cityscapesscripts: pip install cityscapesscripts; "
            "or evaluate with metric=['bbox', 'segm']"
        ) from None
