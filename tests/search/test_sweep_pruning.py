"""Who is stopped where, counted by hand."""

import pytest

from raydet.search.pruning import Asha, Hyperband, MedianStopping, bracket_sizes, make_rule, rungs
from raydet.search.records import Decision
from raydet.search.settings import Objective, PruningSettings

ASHA = PruningSettings(scheduler="asha", min_steps=1, reduction=3)


def stops(rule, reports):
    return [rule.judge(*report).stop for report in reports]


def test_rungs_are_powers_of_the_reduction_before_the_end():
    assert rungs(1, 3, 9) == [1, 3]
    assert rungs(2, 2, 17) == [2, 4, 8, 16]
    assert rungs(5, 3, 5) == []


def test_asha_lets_the_best_third_of_those_at_a_rung_pass():
    rule = Asha(ASHA, 9, sign=1)
    values = [0.5, 0.4, 0.6, 0.55, 0.5, 0.59]
    # Of 1, 2 and 3 trials the best passes; of 4 and 5, one; of 6, two.
    assert stops(rule, [(number, 1, value) for number, value in enumerate(values)]) == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert rule.judge(0, 2, 0.1) == Decision(2, None, 0.1, stop=False)


def test_asha_judges_once_at_each_rung_and_by_the_sign_of_the_objective():
    rule = Asha(ASHA, 9, sign=-1)
    assert stops(rule, [(0, 1, 5.0), (1, 1, 6.0), (2, 1, 4.0)]) == [False, True, False]
    decisions = [rule.judge(0, step, 5.0) for step in (2, 3, 4)]
    assert [decision.rung for decision in decisions] == [None, 3, None]


def test_asha_with_evaluations_that_miss_a_rung_judges_at_the_last_one_passed():
    rule = Asha(ASHA, 27, sign=1)
    assert [rule.judge(0, step, 0.5).rung for step in (4, 8, 12)] == [3, None, 9]


def test_hyperband_deals_most_trials_to_the_earliest_bracket():
    assert bracket_sizes(3, 3) == [9, 5, 3]
    rule = Hyperband(ASHA, 9, sign=1)
    dealt = [rule.bracket(number) for number in range(17)]
    assert [dealt.count(index) for index in range(3)] == [9, 5, 3]
    assert rule.bracket(3) == dealt[3]
    last = dealt.index(2)
    assert not any(stops(rule, [(last, step, -1.0) for step in range(1, 9)]))


def test_median_stops_what_is_worse_than_half_of_the_others():
    rule = MedianStopping(PruningSettings(scheduler="median", min_steps=2, options={"min_trials": 2}), sign=1)
    assert not any(stops(rule, [(0, 1, 0.2), (0, 2, 0.4), (1, 1, 0.4), (1, 2, 0.6)]))
    # Means up to step 2 are 0.3 and 0.5, their median is 0.4.
    assert stops(rule, [(2, 1, 0.0), (2, 2, 0.39)]) == [False, True]
    assert stops(rule, [(3, 1, 0.45), (3, 2, 0.1)]) == [False, False]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median", "none"])
def test_rule_is_what_the_reports_made_of_it(scheduler):
    settings = PruningSettings(scheduler=scheduler, reduction=2)
    reports = [(number, step, ((number * 7 + step) % 11) / 11) for number in range(20) for step in (1, 2, 4, 8)]
    one, other = (make_rule(settings, Objective("mAP"), 16) for _ in range(2))
    whole = [one.judge(*report) for report in reports]
    assert [other.judge(*report) for report in reports] == whole
