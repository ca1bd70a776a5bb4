"""Anchors made from the boxes of the training data, as a part of a space, and how well anchors cover these boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raydet.config import Config, ConfigError, ConfigKeyError, compat_cfg, update_data_root
from raydet.geometry.anchor_fit import best_overlaps, fit_grid, fit_sizes
from raydet.registry import PRIOR_GENERATORS
from raydet.search.grammar import KEPT, Choice, LogUniform, Parameter
from raydet.search.keys import all_keys, expand, look_up
from raydet.search.settings import AnchorSettings
from raydet.search.tree import Tree

if TYPE_CHECKING:
    from raydet.search.draft import Draft

GRID_TYPES = ("AnchorGenerator", "LegacyAnchorGenerator")
YOLO_TYPE = "YOLOAnchorGenerator"
NAME, STRETCH = "anchors", "anchors.stretch"
GOOD_OVERLAP = 0.5
SEED = 0

Boxes = NDArray[np.float64]


@dataclass
class AnchorFamily:
    """Anchors to choose from.

    Args:
        settings: of the sweep file.
        key: dotted key of the anchor generator.
        generator: its dict in the base config.
    """

    settings: AnchorSettings
    key: str
    generator: Mapping[str, Any]
    _boxes: Boxes | None = None
    _made: dict[int, dict[str, Any]] = field(default_factory=dict)

    def parameters(self) -> dict[str, Parameter]:
        """What is drawn, by name."""
        if self.settings.method == "free":
            return {}
        k = self.settings.k
        choices = [KEPT] * self.settings.keep + list(k if isinstance(k, tuple) else [k])
        found: dict[str, Parameter] = {NAME: Choice(choice=tuple(choices))}
        if self.settings.stretch is not None:
            found[STRETCH] = LogUniform(loguniform=self.settings.stretch)
        return found

    def draw(self, draft: Draft) -> None:
        """Draw which anchors a point has."""
        for name, parameter in self.parameters().items():
            draft.draw(name, parameter)

    def place(self, draft: Draft) -> None:
        """Put the drawn anchors into the point."""
        if NAME not in draft.params:
            return
        chosen, factor = draft.params[NAME], draft.params.get(STRETCH, 1.0)
        generator = dict(self.generator) if chosen == KEPT else self.make(chosen, draft.base)
        if chosen != KEPT or factor != 1.0:
            draft.add((self.key,), NAME, stretched(generator, factor))

    def make(self, k: int, base: Config) -> dict[str, Any]:
        """The generator of `k` anchors that suit the boxes of the base config's training data."""
        if k not in self._made:
            self._made[k] = fitted(self.generator, self.boxes(base), k, self.settings.method, self.settings.iterations)
        return self._made[k]

    def boxes(self, base: Config) -> Boxes:
        """The boxes `(G, 4)` xyxy that anchors are made for, in pixels of the network's input."""
        if self._boxes is None:
            self._boxes = training_boxes(base, self.settings.input_shape, self.settings.max_boxes)
        return self._boxes

    def measure(self, draft: Draft) -> dict[str, float]:
        """How the anchors of a point cover the boxes: `anchor_recall` at IoU 0.5 and mean best IoU `anchor_iou`."""
        return coverage(look_up(self.key, draft.config()), self.boxes(draft.base))


def read_anchors(tree: Tree, settings: AnchorSettings, config: Config) -> AnchorFamily | None:
    """The anchors of a sweep file; what is wrong with them is noted in `tree`."""
    try:
        key = find_generator(config, settings.generator)
    except ConfigError as error:
        tree.add(("anchors", "generator") if settings.generator else ("anchors",), error.message)
        return None
    family = AnchorFamily(settings, key, look_up(key, dict(config.items())))
    for message in _mistakes(family):
        tree.add(("anchors",), message)
    return family


def find_generator(config: Config, key: str | None = None) -> str:
    """The dotted key of a model's anchor generator.

    Args:
        config: whose model is meant.
        key: as it may be written in a sweep file; None for the only one that there is.

    Raises:
        ConfigKeyError: no such key, or not one generator but none or several.
    """
    values = dict(config.items())
    if key is None:
        found = [
            each for each in all_keys(values) if each.startswith("model.") and _is_generator(look_up(each, values))
        ]
    else:
        found = expand(key, values)
    if len(found) != 1:
        given = ", ".join(found) or "none"
        raise ConfigKeyError(f"say by `generator` which anchor generator is meant; the model has {given}")
    return found[0]


def _mistakes(family: AnchorFamily) -> list[str]:
    generator, settings = family.generator, family.settings
    found = [mistake for each in family.parameters().values() if (mistake := each.mistake()) is not None]
    if not _is_generator(generator):
        found.append(f"{family.key} is no anchor generator but {generator!r}")
    elif settings.method != "free" and generator["type"] not in (*GRID_TYPES, YOLO_TYPE):
        made = ", ".join((*GRID_TYPES, YOLO_TYPE))
        found.append(f"anchors can be made for {made}, not for {generator['type']}; search its keys in `space`")
    elif settings.method != "free" and generator["type"] == YOLO_TYPE:
        levels = len(generator["strides"])
        counts = settings.k if isinstance(settings.k, tuple) else (settings.k,)
        found += [f"k = {k} anchors cannot be shared out to {levels} levels" for k in counts if k % levels]
    return found


def _is_generator(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") in PRIOR_GENERATORS
        and "strides" in value
        and ("base_sizes" in value or "ratios" in value)
    )


def training_boxes(cfg: Config, input_shape: tuple[int, int] | None = None, max_boxes: int | None = None) -> Boxes:
    """The boxes `(G, 4)` xyxy of a config's training data in pixels of the network's input.

    Args:
        cfg: the config.
        input_shape: width and height that images are fitted into; what `Resize` says when None.
        max_boxes: a fixed random draw of so many.
    """
    from raydet.datasets.scaled_boxes import InputSize, scaled_boxes

    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    boxes = scaled_boxes(cfg["data"]["train"], None if input_shape is None else InputSize(*input_shape))
    if max_boxes is None or len(boxes) <= max_boxes:
        return boxes
    return boxes[np.random.default_rng(SEED).choice(len(boxes), max_boxes, replace=False)]


def fitted(generator: Mapping[str, Any], boxes: Boxes, k: int, method: Any, iterations: int) -> dict[str, Any]:
    """The dict of an anchor generator with anchors that suit boxes.

    Args:
        generator: its dict; strides stay.
        boxes: `(G, 4)` in pixels of the network's input.
        k: anchors at each place of a map; YOLO's: in all, the largest where the stride is largest.
        method: see `raydet.geometry.anchor_fit`.
        iterations: of the method.

    Raises:
        ValueError: too few boxes, or a generator of another kind.
    """
    if generator["type"] not in (*GRID_TYPES, YOLO_TYPE):
        made = ", ".join((*GRID_TYPES, YOLO_TYPE))
        raise ValueError(f"anchors can be made for {made}, not for {generator['type']}")
    sizes = boxes[:, 2:] - boxes[:, :2]
    strides = [float(np.min(stride)) for stride in generator["strides"]]
    if generator["type"] == YOLO_TYPE:
        anchors = np.maximum(fit_sizes(sizes, k, method, iterations, SEED, strides).round(), 1).astype(int)
        levels = np.empty((len(strides), k // len(strides), 2), int)
        levels[np.argsort(strides, kind="stable")] = anchors.reshape(levels.shape)
        return {**generator, "base_sizes": [[(int(w), int(h)) for w, h in level] for level in levels]}
    scales, ratios = fit_grid(sizes, strides, k, method, iterations, SEED, generator.get("base_sizes"))
    kept = {key: value for key, value in generator.items() if key not in ("octave_base_scale", "scales_per_octave")}
    return {**kept, "scales": [round(each, 4) for each in scales], "ratios": [round(each, 4) for each in ratios]}


def stretched(generator: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """The dict of an anchor generator whose anchors are larger by a factor."""
    if generator["type"] == YOLO_TYPE:
        return {**generator, "base_sizes": (np.asarray(generator["base_sizes"]) * factor).tolist()}
    keys = [key for key in ("scales", "octave_base_scale") if generator.get(key) is not None]
    return {**generator, **{key: (np.asarray(generator[key]) * factor).tolist() for key in keys}}


def coverage(generator: Mapping[str, Any], boxes: Boxes) -> dict[str, float]:
    """How anchors cover boxes, wherever they lie: `anchor_recall` at IoU 0.5 and mean best IoU `anchor_iou`."""
    built = PRIOR_GENERATORS.build(dict(generator))
    best = best_overlaps(boxes, built.strides, [each.numpy().astype(np.float64) for each in built.base_anchors])
    return {"anchor_recall": float((best >= GOOD_OVERLAP).mean()), "anchor_iou": float(best.mean())}
