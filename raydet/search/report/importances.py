"""How much each parameter of a sweep matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydet.search.records import TrialRecord
from raydet.search.report.axes import Axis
from raydet.search.report.ranking import RANKED, is_finite, values_of
from raydet.search.settings import Objective

LEAST_TRIALS = 4
"""Below this many trials with results nothing can be said."""


def importances(
    records: Sequence[TrialRecord], axes: Sequence[Axis], objectives: Sequence[Objective], index: int = 0
) -> list[tuple[str, float]]:
    """Shares of the parameters in what makes a trial good, largest first; they add up to 1.

    Pruned trials count with their last value, so that what was stopped early for being bad speaks as well.

    Args:
        records: of the sweep.
        axes: of its parameters.
        objectives: of the sweep.
        index: of the objective in question.

    Returns:
        Empty while there are too few trials or no parameter varies. arXiv:2304.10255 says what is measured.
    """
    known = [each for each in records if each.state in RANKED and is_finite(values_of(each, objectives))]
    varied = {axis.name: axis for axis in axes if len({axis.place(each) for each in _values(known, axis.name)}) > 1}
    if len(known) < LEAST_TRIALS or not varied:
        return []
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if objectives[index].mode == "max" else "minimize")
    for record in known:
        study.add_trial(_frozen(record, varied, values_of(record, objectives)[index]))
    found = optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    return [(name, float(share)) for name, share in found.items()]


def _values(records: Sequence[TrialRecord], name: str) -> list[Any]:
    return [record.params[name] for record in records if name in record.params]


def _frozen(record: TrialRecord, axes: dict[str, Axis], value: float | None) -> Any:
    import optuna

    params = {name: axes[name].place(each) for name, each in record.params.items() if name in axes}
    return optuna.trial.create_trial(
        params=params, distributions={name: _distribution(axes[name]) for name in params}, value=value
    )


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if axis.kind == "choice":
        return CategoricalDistribution(axis.choices)
    return FloatDistribution(axis.low, axis.high, log=axis.kind == "log")
