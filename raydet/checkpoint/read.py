"""Bring weights from a file into a model, and say what did not fit."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from raydet.checkpoint.adapters import adapt_keys
from raydet.checkpoint.safe import CheckpointError, load
from raydet.checkpoint.sources import shown
from raydet.layers import fit_weights

_STATE_KEYS = ("state_dict", "model", "model_state_dict", "model_state", "module", "net")
_SHOWN = 12  # keys listed per kind in a report
ReviseKeys = Sequence[tuple[str, str]]
STRIP_WRAPPER: ReviseKeys = ((r"^module\.", ""),)


@dataclass(frozen=True)
class LoadReport:
    """What did not fit when weights went into a model.

    Attributes:
        missing: keys of the model that the file does not have.
        unexpected: keys of the file that the model does not have.
        mismatched: `(key, shape in the file, shape in the model)`.
        adapted_from: the other family of models that the keys were translated from, or None.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    adapted_from: str | None = None

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        shapes = [f"{key} (file {there}, model {here})" for key, there, here in self.mismatched]
        parts = {
            "of another shape, not loaded": shapes,
            "missing in the file": self.missing,
            "unknown to the model": self.unexpected,
        }
        return "\n".join(f"  {len(keys)} {what}: {_listed(keys)}" for what, keys in parts.items() if keys)


def _listed(keys: Sequence[str]) -> str:
    more = f", ... and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside a data-parallel wrapper, or the model itself."""
    return model.module if isinstance(model, (DataParallel, DistributedDataParallel)) else model


def read_state_dict(
    checkpoint: Any, name: str = "the checkpoint", revise_keys: ReviseKeys = STRIP_WRAPPER
) -> OrderedDict[str, Tensor]:
    """The weights in a checkpoint, under revised keys.

    Args:
        checkpoint: what `load` returned: a state dict, or a dict with one under "state_dict" (or "model", ...).
        name: of the file, for messages.
        revise_keys: pairs (regular expression, replacement), applied to every key one after the other.

    Raises:
        CheckpointError: there are no weights in it.
    """
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f"{name} holds a {type(checkpoint).__name__}, expected a dict with weights")
    state = next((checkpoint[key] for key in _STATE_KEYS if isinstance(checkpoint.get(key), Mapping)), checkpoint)
    weights = OrderedDict((_revise(key, revise_keys), value) for key, value in state.items() if _is_state(key, value))
    if not weights:
        raise CheckpointError(f"{name} holds no weights; its keys are {_listed([str(key) for key in checkpoint])}")
    metadata = getattr(state, "_metadata", None)
    if metadata is not None:  # versions of modules, which some need to read old layouts
        weights._metadata = {_revise(key, revise_keys): value for key, value in metadata.items()}  # type: ignore[attr-defined]
    return weights


def _is_state(key: object, value: object) -> bool:
    return isinstance(key, str) and (isinstance(value, Tensor) or key.endswith("_extra_state"))


def _revise(key: str, revise_keys: ReviseKeys) -> str:
    for pattern, replacement in revise_keys:
        key = re.sub(pattern, replacement, key)
    return key


def load_state_dict(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    strict: bool = False,
    logger: logging.Logger | None = None,
    name: str = "the state dict",
) -> LoadReport:
    """Copy weights into a model. Keys of other families that raydet knows are translated, and modules revise
    what they take in another form, see `raydet.layers.fit_weights`.

    Args:
        model: the receiver, wrapped or not.
        state_dict: the weights.
        strict: whether everything must fit.
        logger: where to report what did not fit; the module's logger when None.
        name: of the file, for messages.

    Raises:
        RuntimeError: `strict` and something does not fit, or nothing at all fits.
    """
    model = unwrap(model)
    own = model.state_dict()
    weights, family = adapt_keys(state_dict, own)
    weights = fit_weights(model, weights)
    mismatched = tuple(
        (key, tuple(value.shape), tuple(own[key].shape))
        for key, value in weights.items()
        if isinstance(value, Tensor) and key in own and value.shape != own[key].shape
    )
    skipped = {key for key, _, _ in mismatched}
    fitting = OrderedDict((key, value) for key, value in weights.items() if key not in skipped)
    if hasattr(state_dict, "_metadata"):
        fitting._metadata = state_dict._metadata  # type: ignore[attr-defined]
    outcome = model.load_state_dict(fitting, strict=False)
    missing = [key for key in outcome.missing_keys if key not in skipped and not key.endswith("num_batches_tracked")]
    report = LoadReport(tuple(missing), tuple(outcome.unexpected_keys), mismatched, family)
    if report:
        _tell(report, strict, len(fitting) == len(report.unexpected), type(model).__name__, name, logger)
    return report


def _tell(
    report: LoadReport, strict: bool, nothing_fits: bool, model: str, name: str, logger: logging.Logger | None
) -> None:
    if nothing_fits:
        raise RuntimeError(
            f"none of the weights in {name} fit {model}; are they another model's, or is a prefix in the way?\n{report}"
        )
    if strict:
        raise RuntimeError(f"the weights in {name} do not fit {model} exactly, as strict=True asks for:\n{report}")
    (logger or logging.getLogger(__name__)).warning("weights from %s fit %s in part:\n%s", name, model, report)


def load_checkpoint(
    model: nn.Module,
    filename: str | Path,
    map_location: Any = None,
    strict: bool = False,
    logger: logging.Logger | None = None,
    revise_keys: ReviseKeys = STRIP_WRAPPER,
) -> Any:
    """Read a checkpoint and copy its weights into a model.

    Args:
        model: the receiver.
        filename: a file, or anything else that `load` reads.
        map_location: where tensors go before they are copied; the CPU when None.
        strict: whether everything must fit.
        logger: where to report what did not fit.
        revise_keys: see `read_state_dict`.

    Returns:
        The checkpoint, with `meta` and `optimizer` if it has them.
    """
    checkpoint = load(filename, "cpu" if map_location is None else map_location)
    weights = read_state_dict(checkpoint, shown(filename), revise_keys)
    load_state_dict(model, weights, strict, logger, shown(filename))
    return checkpoint
