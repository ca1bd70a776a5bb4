"""The `train_cfg` and `test_cfg` dicts of 2.x, read once into what a head wants."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from raydet.registry import ASSIGNERS, SAMPLERS, place_of

S = TypeVar("S", bound="_Settings")
# Losses that weigh every prior themselves; 2.x ignores a sampler beside them.
UNSAMPLED_LOSSES = ("FocalLoss", "GHMC", "QualityFocalLoss")


@dataclass(frozen=True)
class _Settings:
    """Keys that no field names stay in `extra`, for heads that have their own."""

    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @classmethod
    def read(cls: type[S], cfg: Mapping[str, Any] | None) -> S:
        """Read a 2.x dict; None gives the defaults.

        Raises:
            TypeError: `cfg` is no dict.
        """
        if cfg is None:
            return cls()
        if not isinstance(cfg, Mapping):
            raise TypeError(f"expected a dict of settings for {cls.__name__}, got {cfg!r}")
        names = {f.name for f in fields(cls)} - {"extra"}
        known = {key: value for key, value in cfg.items() if key in names and value is not None}
        return cls(**known, extra={key: value for key, value in cfg.items() if key not in names})


@dataclass(frozen=True)
class DenseTraining(_Settings):
    """How a dense head learns.

    Attributes:
        assigner: part or dict; None for heads that assign by themselves.
        sampler: part or dict; None takes all that is assigned.
        allowed_border: how far a prior may reach over the image and still learn, in pixels; negative for any distance.
        pos_weight: classification weight of positives; not positive means 1.
    """

    assigner: Any = None
    sampler: Any = None
    allowed_border: float = -1
    pos_weight: float = -1


@dataclass(frozen=True)
class Prediction(_Settings):
    """How candidates become detections or proposals.

    Attributes:
        score_thr: candidates must score more.
        nms_pre: candidates kept per level, or for each class-free prior; not positive keeps all.
        nms: dict for `raydet_ops.batched_nms`; None only sorts.
        max_per_img: detections kept per image; not positive keeps all.
        min_bbox_size: proposals must be wider and higher; negative keeps all.
        mask_thr_binary: masks are where the probability is at least this; negative asks for probabilities * 255.
    """

    score_thr: float = 0.0
    nms_pre: int = -1
    nms: Mapping[str, Any] | None = None
    max_per_img: int = -1
    min_bbox_size: float = -1
    mask_thr_binary: float = 0.5

    @classmethod
    def read(cls, cfg: Mapping[str, Any] | None) -> Prediction:
        """Read a 2.x dict, with the old names `nms_thr` and `max_num` of proposals.

        Raises:
            ValueError: an old and a new name disagree.
        """
        return super().read(_renamed(cfg) if isinstance(cfg, Mapping) else cfg)


@dataclass(frozen=True)
class RoITraining(_Settings):
    """How one stage of a RoI head learns.

    Attributes:
        assigner: part or dict.
        sampler: part or dict.
        pos_weight: classification weight of positives; not positive means 1.
        mask_size: side or `(h, w)` of mask targets.
        soft_mask_target: mask targets keep values between 0 and 1.
    """

    assigner: Any = None
    sampler: Any = None
    pos_weight: float = -1
    mask_size: int | tuple[int, int] = 28
    soft_mask_target: bool = False


def _renamed(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with `nms_thr` and `max_num` under their present names."""
    old = {"nms_thr", "max_num"} & set(cfg)
    new = {key: value for key, value in cfg.items() if key not in old}
    if old:
        warnings.warn(f"{place_of(cfg)}nms_thr and max_num are old names of nms.iou_threshold and max_per_img")
    if "nms_thr" in cfg:
        nms = new.setdefault("nms", {"type": "nms", "iou_threshold": cfg["nms_thr"]})
        _agree(cfg, "nms_thr", "nms.iou_threshold", nms.get("iou_threshold"))
    if "max_num" in cfg:
        _agree(cfg, "max_num", "max_per_img", new.setdefault("max_per_img", cfg["max_num"]))
    return new


def _agree(cfg: Mapping[str, Any], old: str, new: str, value: Any) -> None:
    if cfg[old] != value:
        raise ValueError(f"{place_of(cfg, old)}{old}={cfg[old]!r} and {new}={value!r} disagree; remove {old}")


def build_assigner_and_sampler(settings: DenseTraining | RoITraining, context: Any = None) -> tuple[Any, Any]:
    """The parts that `settings` describe; without a sampler, all that is assigned is taken.

    Samplers that mine hard boxes ask `context`, see `raydet.assignment.Judge`.
    """
    assigner = None if settings.assigner is None else ASSIGNERS.build(settings.assigner)
    extra = None if context is None else {"context": context}
    return assigner, SAMPLERS.build(settings.sampler or {"type": "PseudoSampler"}, default_args=extra)


def samples(settings: DenseTraining, loss_cls: object) -> bool:
    """Whether a dense head draws samples; losses that weigh every prior forbid it."""
    if settings.sampler is None:
        return False
    kind = settings.sampler.get("type") if isinstance(settings.sampler, Mapping) else settings.sampler
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", type(kind).__name__)
    if name.split(".")[-1] == "PseudoSampler":
        return False
    if type(loss_cls).__name__ in UNSAMPLED_LOSSES:
        warnings.warn(f"the sampler {name} is ignored beside {type(loss_cls).__name__}; remove it from train_cfg")
        return False
    return True
