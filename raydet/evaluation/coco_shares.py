"""Metrics in COCO layout from the shares of several processes: each matches its own images, one accumulates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from raydet.datasets.coco_results import box_columns, mask_columns, proposal_columns
from raydet.evaluation.coco_columns import Found, found_of
from raydet.evaluation.coco_matching import Matches, merge
from raydet.evaluation.report import Logger, say

FAST = "proposal_fast"
METRICS = ("bbox", "segm", "proposal", FAST)


class Share(NamedTuple):
    """What one process found in its images.

    Attributes:
        kinds: metrics that its results are for.
        counts: numbers of detections, by metric.
        matches: what became of them, by metric.
    """

    kinds: tuple[str, ...]
    counts: dict[str, int]
    matches: dict[str, Matches]


class Measure(Protocol):
    """What COCO and LVIS do in different ways."""

    @property
    def dataset(self) -> Any:
        """Has `annotations`, `img_ids`, `cat_ids` and `CLASSES`."""

    @property
    def logger(self) -> Logger:
        """Where tables go."""

    def match(self, metric: str, found: Found, image_ids: Sequence[int]) -> Matches:
        """Match the detections of some images."""

    def scores(self, metric: str, matches: Matches) -> dict[str, Any]:
        """The numbers out of the matches of all images."""

    def fast_recall(self, results: Sequence[Any]) -> dict[str, Any]:
        """The numbers of "proposal_fast", which looks at the results of all images."""


def evaluate_whole(
    measure: Measure, results: Sequence[Any], metric: str | Sequence[str], jsonfile_prefix: str | None = None
) -> dict[str, Any]:
    """The numbers of the results of a whole data set.

    Args:
        measure: how.
        results: one 2.x result per image.
        metric: one of `METRICS`, or several.
        jsonfile_prefix: also write the results to `<prefix>.bbox.json` and so on.

    Raises:
        KeyError: unknown metric, or the results lack what one needs.
        ValueError: they do not belong to the data set.
    """
    metrics = metric_names(metric)
    if jsonfile_prefix is not None:
        measure.dataset.format_results(results, jsonfile_prefix=jsonfile_prefix)
    check_results(measure.dataset, results)
    share = match_images(measure, results, range(len(results)), metrics)
    return score_shares(measure, [share], metrics, results)


def match_images(measure: Measure, results: Sequence[Any], positions: Sequence[int], metrics: Sequence[str]) -> Share:
    """Match what was found in some of the images.

    Args:
        measure: how.
        results: one 2.x result for each of these images.
        positions: of the images in the data set.
        metrics: names; "proposal_fast" is left out.
    """
    dataset = measure.dataset
    _check_classes(dataset, results)
    image_ids = [dataset.img_ids[position] for position in positions]
    found = found_by_metric(dataset, results, image_ids) if set(metrics) - {FAST} else {}
    present = [name for name in metrics if name in found]
    return Share(
        kinds=tuple(found),
        counts={name: len(found[name]) for name in present},
        matches={name: measure.match(name, found[name], image_ids) for name in present},
    )


def score_shares(
    measure: Measure, shares: Sequence[Share], metrics: Sequence[str], results: Sequence[Any] = ()
) -> dict[str, Any]:
    """The numbers out of the shares of all images, up to the first metric of which there are no detections at all.

    Args:
        measure: how.
        shares: at least one; no image in two of them.
        metrics: names.
        results: of all images, for "proposal_fast".

    Raises:
        KeyError: no share has what a metric needs.
    """
    scores: dict[str, Any] = {}
    for name in metrics:
        say(f"Evaluating {name}...", measure.logger)
        if name == FAST:
            scores.update(measure.fast_recall(results))
            continue
        having = _having(name, shares)
        if not sum(share.counts[name] for share in having):
            say("The results of the whole data set are empty: not a single detection.", measure.logger)
            break
        scores.update(measure.scores(name, merge([share.matches[name] for share in having])))
    return scores


def _having(metric: str, shares: Sequence[Share]) -> list[Share]:
    having = [share for share in shares if metric in share.matches]
    if not having:
        kinds = sorted({kind for share in shares for kind in share.kinds})
        raise KeyError(f"{metric} is not in results; this model yields {', '.join(kinds)}")
    return having


def known(names: Sequence[str], supported: Any, what: str) -> Sequence[str]:
    """The names; KeyError when one is not `supported`."""
    for name in names:
        if name not in supported:
            raise KeyError(f"{what} {name} is not supported; expected some of {', '.join(supported)}")
    return names


def metric_names(metric: str | Sequence[str]) -> list[str]:
    """The metrics that are asked for; KeyError when one is unknown."""
    return list(known([metric] if isinstance(metric, str) else metric, METRICS, "metric"))


def thresholds(iou_thrs: Any) -> np.ndarray:
    """`(T,)` overlaps: those given, else 0.5, 0.55, ... 0.95."""
    return np.linspace(0.5, 0.95, 10) if iou_thrs is None else np.atleast_1d(np.asarray(iou_thrs, dtype=np.float64))


def check_results(dataset: Any, results: Sequence[Any]) -> None:
    """ValueError when results are not of the images and classes of a data set."""
    if len(results) != len(dataset):
        raise ValueError(f"{len(results)} results for a data set of {len(dataset)} images; expected one for each image")
    _check_classes(dataset, results)


def _check_classes(dataset: Any, results: Sequence[Any]) -> None:
    first = results[0] if len(results) else None
    boxes = first[0] if isinstance(first, tuple) else first
    classes = dataset.CLASSES
    if isinstance(boxes, list) and classes is not None and len(boxes) != len(classes):
        raise ValueError(
            f"the results have {len(boxes)} classes but the data set has {len(classes)}, {', '.join(classes[:5])} ...; "
            "make num_classes of the model's heads and data.*.classes agree"
        )


def found_by_metric(dataset: Any, results: Sequence[Any], image_ids: Sequence[int]) -> Mapping[str, Found]:
    """The detections in results, by the metric that they are for.

    Raises:
        TypeError: results of another form.
    """
    first = results[0] if len(results) else []
    if isinstance(first, np.ndarray):
        return {"proposal": found_of(proposal_columns(image_ids, results))}
    if isinstance(first, tuple):
        boxes = found_of(box_columns(image_ids, dataset.cat_ids, [boxes for boxes, _ in results]))
        masks = found_of(mask_columns(image_ids, dataset.cat_ids, results))
        return {"bbox": boxes, "proposal": boxes, "segm": masks}
    if isinstance(first, list):
        boxes = found_of(box_columns(image_ids, dataset.cat_ids, results))
        return {"bbox": boxes, "proposal": boxes}
    raise TypeError(
        f"a result is a list of arrays, (boxes, masks) or an array of proposals, got {type(first).__name__}"
    )
