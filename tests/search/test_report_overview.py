"""What a report works out from the records of a sweep."""

import math

import pytest
from made_up import BASE, OBJECTIVES, made_up_overview, made_up_records

from raydet.search.records import Report, TrialRecord
from raydet.search.report import ranking
from raydet.search.report.axes import axes_of, short_names
from raydet.search.report.importances import importances
from raydet.search.report.overview import differences_of, overview
from raydet.search.settings import Objective

MAX, MIN = Objective("bbox_mAP"), Objective("latency", "min")


def trial(number, *values, state="complete", ended=None, reports=(), **params):
    record = TrialRecord(number, params, {}, 0, state=state, values=values or None, reports=list(reports))
    record.ended = number if ended is None else ended
    return record


def test_complete_trials_rank_before_pruned_ones_and_those_before_the_rest():
    records = [
        trial(0, 0.1),
        trial(1, 0.9, state="pruned", reports=[Report(1, {}, 0.0)]),
        trial(2, 0.3, state="pruned", reports=[Report(3, {}, 0.0)]),
        trial(3, state="failed"),
        trial(4, 0.2),
        trial(5, math.nan),
    ]
    assert [each.number for each in ranking.ranked(records, [MAX])] == [4, 0, 2, 1, 3, 5]
    assert ranking.best_of(records, [MAX]).number == 4
    assert ranking.best_of(records, [MIN]).number == 0
    assert ranking.best_of(records[3:4], [MAX]) is None


def test_the_front_holds_what_no_other_trial_beats():
    records = [trial(0, 0.5, 10.0), trial(1, 0.4, 5.0), trial(2, 0.4, 6.0), trial(3, 0.1, 1.0, state="pruned")]
    assert [each.number for each in ranking.front(records, [MAX, MIN])] == [0, 1]


def test_equal_trials_share_the_front():
    assert len(ranking.front([trial(0, 0.5, 10.0), trial(1, 0.5, 10.0)], [MAX, MIN])) == 2


def test_best_so_far_follows_the_order_of_ending():
    records = [trial(0, 0.3, ended=9), trial(1, 0.2, ended=1), trial(2, 0.1, ended=2), trial(3, 0.9, state="failed")]
    assert ranking.best_so_far(records, [MAX]) == [(1, 0.2), (0, 0.3)]


def test_a_running_trial_shows_its_last_evaluation():
    record = trial(0, state="running", reports=[Report(1, {"bbox_mAP": 0.1}, 0.0), Report(2, {"other": 1.0}, 0.0)])
    assert ranking.values_of(record, [MAX, MIN]) == [0.1, None]


def test_rungs_count_who_was_judged_and_who_was_stopped():
    view = made_up_overview()
    assert [rung for rung, _, _ in view.rungs] == [1, 3, 9]
    survivors = [judged - stopped for _, judged, stopped in view.rungs]
    assert [judged for _, judged, _ in view.rungs[1:]] == survivors[:-1]


def test_axes_tell_numbers_decades_and_choices_apart():
    records = [trial(0, lr=1e-4, momentum=0.9, loss="L1", nesterov=True), trial(1, lr=0.1, momentum=0.5, loss="IoU")]
    axes = {axis.name: axis for axis in axes_of(records)}
    assert [axes[name].kind for name in ("lr", "momentum", "loss", "nesterov")] == ["log", "linear", "choice", "choice"]
    assert axes["loss"].choices == ("IoU", "L1")
    assert axes["nesterov"].place(True) == "true"


def test_labels_are_as_short_as_they_can_be():
    names = ["optimizer.lr", "loss_cls.gamma", "loss_cls.FocalLoss.gamma", "loss_cls.alpha", "alpha", "pipeline.3"]
    labels = ["lr", "loss_cls.gamma", "FocalLoss.gamma", "loss_cls.alpha", "alpha", "pipeline.3"]
    assert list(short_names(names).values()) == labels


def test_importances_name_what_the_value_follows():
    records = [trial(n, float(n % 7), a=float(n % 7), b=float(n * 5 % 11), c="x" if n % 3 else "y") for n in range(40)]
    found = importances(records, axes_of(records), [MAX])
    assert found[0][0] == "a"
    assert sum(share for _, share in found) == pytest.approx(1.0)


def test_importances_of_a_space_with_conditions_and_of_too_few_trials():
    records = made_up_records()
    axes = axes_of(records)
    assert {name for name, _ in importances(records, axes, OBJECTIVES[:1])} <= {axis.name for axis in axes}
    assert importances(records[:3], axes, OBJECTIVES[:1]) == []


def test_differences_leave_out_what_the_base_config_says_already():
    options = {
        "optimizer.lr": 0.002,
        "model.bbox_head.loss_cls": {"_delete_": True, **BASE["model"]["bbox_head"]["loss_cls"], "gamma": 1.5},
        "model.bbox_head.anchor_generator.octave_base_scale": 4,
        "data.samples_per_gpu": 8,
    }
    assert differences_of(options, BASE) == {
        "optimizer.lr": (0.001, 0.002),
        "model.bbox_head.loss_cls.gamma": (2.0, 1.5),
        "data.samples_per_gpu": (None, 8),
    }


def test_another_type_is_a_difference_as_a_whole_and_tuples_are_lists():
    base = {"loss": {"type": "L1Loss"}, "steps": (8, 11), "pipeline": [{"type": "A"}, {"type": "B", "size": 4}]}
    options = {"loss": {"type": "GIoULoss", "loss_weight": 2.0}, "steps": [8, 11], "pipeline.1.size": 5}
    assert differences_of(options, base) == {
        "loss": ({"type": "L1Loss"}, {"type": "GIoULoss", "loss_weight": 2.0}),
        "pipeline.1.size": (4, 5),
    }


def test_the_default_is_the_trial_that_changes_nothing():
    view = made_up_overview()
    assert view.default == 0
    assert view.value(view.best) > view.value(view.default)
    assert overview("x", made_up_records(), OBJECTIVES[:1]).default is None


def test_an_empty_sweep_has_an_overview():
    view = overview("new", [], [MAX])
    assert (view.best, view.counts(), view.rungs, view.importances) == (None, {}, (), ((),))


def test_the_first_listed_point_stands_in_for_a_default_that_nobody_ran():
    records = made_up_records()[1:4]
    view = overview("x", records, OBJECTIVES[:1], base=BASE, has_points=True)
    assert (view.default, view.default_name) == (0, "first point")


def test_parameters_that_most_trials_have_come_first_and_constant_ones_not_at_all():
    records = [trial(n, float(n), a=n % 5, b=7, **({"c": n} if n < 8 else {})) for n in range(20)]
    assert [axis.name for axis in overview("x", records, [MAX]).telling()] == ["a", "c"]
