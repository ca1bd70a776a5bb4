"""Which of several evaluations is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GREATER_KEYS = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
LESS_KEYS = ("loss",)


@dataclass(frozen=True)
class Ranking:
    """An order of evaluations.

    Args:
        key: the metric that counts.
        rule: "greater" or "less" of it is better.
    """

    key: str
    rule: str

    @classmethod
    def of(cls, section: Mapping[str, Any], metrics: Mapping[str, Any]) -> Ranking | None:
        """The order that a config's `evaluation` asks for; None when it wants no best checkpoint.

        Raises:
            KeyError: it names a metric that is not among `metrics`.
            ValueError: it is not known which direction is better.
        """
        key = section.get("save_best")
        if key is None or not metrics:
            return None
        key = next(iter(metrics)) if key == "auto" else key
        check_key(key, metrics)
        greater, less = names(section.get("greater_keys"), GREATER_KEYS), names(section.get("less_keys"), LESS_KEYS)
        return cls(key, section.get("rule") or rule_of(key, greater, less))

    def better(self, score: float, than: float) -> bool:
        """Whether one score is better than another."""
        return score > than if self.rule == "greater" else score < than

    def best(self, scores: Mapping[str, float], count: int) -> list[str]:
        """Names of the `count` best scores, the best first; of equal ones the earlier is better."""
        return sorted(scores, key=lambda name: scores[name], reverse=self.rule == "greater")[:count]


def check_key(key: str, metrics: Mapping[str, Any]) -> None:
    """Raise KeyError for a metric that is not there."""
    if key not in metrics:
        raise KeyError(f"evaluation.save_best is {key!r}, but the metrics are {', '.join(map(repr, metrics))}")


def rule_of(name: str, greater: Sequence[str], less: Sequence[str]) -> str:
    """Whether greater or less is better: by the exact name, then by a part of it.

    Raises:
        ValueError: neither says so.
    """
    lowered = name.lower()
    for matches in (lambda key: key == lowered, lambda key: key in lowered):
        for rule, keys in (("greater", greater), ("less", less)):
            if any(matches(key.lower()) for key in keys):
                return rule
    raise ValueError(
        f"it is not known whether a greater or a smaller {name!r} is better; set evaluation.rule to 'greater' or 'less'"
    )


def names(given: str | Sequence[str] | None, default: Sequence[str]) -> tuple[str, ...]:
    """One name or several as a tuple."""
    if given is None:
        return tuple(default)
    return (given,) if isinstance(given, str) else tuple(given)


def check_count(keep_best: int) -> int:
    """A number of best checkpoints to keep; ValueError when it is none."""
    if isinstance(keep_best, bool) or not isinstance(keep_best, int) or keep_best < 1:
        raise ValueError(f"evaluation.keep_best is {keep_best!r}, expected the number of best checkpoints, 1 or more")
    return keep_best
