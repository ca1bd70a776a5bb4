"""A sweep that nobody ran: records of trials as the driver would have left them."""

import math
import random
from types import SimpleNamespace

from raydet.search.records import Decision, Report, TrialRecord
from raydet.search.report.overview import AnchorPlot, AnchorSet, overview
from raydet.search.settings import Objective, PruningSettings

RUNGS = (1, 3, 9)
BASE = {
    "optimizer": {"lr": 0.001},
    "model": {
        "bbox_head": {
            "anchor_generator": {"octave_base_scale": 4},
            "loss_cls": {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25},
        }
    },
}
OBJECTIVES = (Objective("bbox_mAP"), Objective("latency", "min"))
REASONS = {7: "loss_bbox was not finite in iteration 12 </script>", 11: "breaks the constraint `warmup < epochs`"}


def made_up_records(num=24, num_objectives=1):
    """Trial 0 is the default, 7 failed, 11 was rejected, the last one runs."""
    rng = random.Random(0)
    return [_record(number, rng, num_objectives, is_last=number == num - 1) for number in range(num)]


def _record(number, rng, num_objectives, is_last):
    lr, loss, scale = 10 ** rng.uniform(-4, -1.5), rng.choice(["FocalLoss", "GHMC"]), rng.choice([2, 3, 4, 5])
    if number == 0:
        lr, loss, scale = 0.001, "FocalLoss", 4
    gamma = {"gamma": 2.0 if number == 0 else rng.uniform(1, 3)} if loss == "FocalLoss" else {}
    record = TrialRecord(
        number, {"lr": lr, "loss": loss, "scale": scale, **gamma}, {}, 40 + number, reports=[], decisions=[]
    )
    record.options = {
        "optimizer.lr": lr,
        "model.bbox_head.anchor_generator.octave_base_scale": scale,
        "model.bbox_head.loss_cls": {
            "_delete_": True, "type": loss, "use_sigmoid": True, **({"alpha": 0.25, **gamma} if gamma else {})
        },
    }  # fmt: skip
    record.facts = {"anchor_recall": 0.9}
    record.folder, record.attempts, record.started = f"trials/{number:04d}", 1, 1e9 + 60 * number
    top = 0.4 * math.exp(-((math.log10(lr) + 2.6) ** 2)) * (1.0 if gamma else 0.7) - 0.02 * abs(scale - 3)
    _run(record, max(top, 0.01), rng)
    _end(record, num_objectives, is_last)
    return record


def _run(record, top, rng):
    for step in range(1, 10):
        value = top * (1 - math.exp(-step / 2.5))
        metrics = {"bbox_mAP": value, "latency": 8.0 + 2 * record.params["scale"]}
        record.reports.append(Report(step, metrics, record.started + 6 * step))
        stop = step in RUNGS[:2] and record.number > 0 and rng.random() > 0.4 + top
        record.decisions.append(Decision(step, step if step in RUNGS else None, value, stop))
        if stop:
            break


def _end(record, num_objectives, is_last):
    record.state = "pruned" if record.decisions[-1].stop else "complete"
    record.values = (*record.reports[-1].metrics.values(),)[:num_objectives]
    record.ended = record.reports[-1].time
    if record.number in REASONS:
        record.state, record.values = ("failed" if record.number == 7 else "rejected"), None
        record.reason = REASONS[record.number]
    if record.state == "rejected":
        record.reports, record.decisions, record.started = [], [], None
    if is_last:
        record.state, record.values, record.ended = "running", None, None


def made_up_overview(num_objectives=1):
    """The overview of the records, with anchors."""
    sizes = tuple((16.0 * 2**level, 20.0 * 2**level) for level in range(3))
    anchors = AnchorPlot(((12.0, 14.0), (25.0, 20.0)), (AnchorSet("base config", sizes), AnchorSet("best", sizes[:2])))
    records = made_up_records(num_objectives=num_objectives)
    return overview("lr_anchors", records, OBJECTIVES[:num_objectives], base=BASE, anchors=anchors)


def made_up_sweep(num_trials=24, num_objectives=1):
    """What watchers ask of a sweep."""
    pruning = PruningSettings("asha", max_steps=9)
    objectives = OBJECTIVES[:num_objectives]
    return SimpleNamespace(name="lr_anchors", objectives=objectives, num_trials=num_trials, pruning=pruning)
