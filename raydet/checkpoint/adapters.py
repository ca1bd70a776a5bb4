"""Translate the keys of other model families into 2.x ones, and back."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class KeyAdapter:
    """Names of one family of weights, beside ours.

    Templates are literal but for fields in braces, which stand for anything and reappear on the other side:
    `("features.0.0.{leaf}", "conv1.conv.{leaf}")`. The first rule that fits a key wins; a key that none fits is kept.

    Attributes:
        name: of the family.
        signature: keys by which a file of the family is recognised.
        rules: pairs of templates, theirs and ours.
        dropped: templates of their keys that have no counterpart here.
    """

    name: str
    signature: tuple[str, ...]
    rules: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()

    def recognises(self, keys: Collection[str]) -> bool:
        """Whether these are the keys of the family."""
        return all(key in keys for key in self.signature)

    def to_ours(self, key: str) -> str | None:
        """Our name of a key; None when it has none here."""
        if any(_pattern(template).fullmatch(key) for template in self.dropped):
            return None
        return _translate(key, self.rules)

    def to_theirs(self, key: str) -> str:
        """The family's name of one of our keys."""
        return _translate(key, [(ours, theirs) for theirs, ours in self.rules])


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)))


def _translate(key: str, rules: Collection[tuple[str, str]]) -> str:
    for source, target in rules:
        found = _pattern(source).fullmatch(key)
        if found is not None:
            return target.format(**found.groupdict())
    return key


def adapt_keys(state_dict: Mapping[str, Any], wanted: Collection[str]) -> tuple[Mapping[str, Any], str | None]:
    """Rename the keys of a state dict of another family, unless the model has that family's keys itself.

    Args:
        state_dict: as it stands in the file.
        wanted: keys of the model.

    Returns:
        The state dict under our keys, and the name of the family when it was another one.
    """
    state_dict = _move_offsets(state_dict, wanted)
    for adapter in ADAPTERS:
        if adapter.recognises(state_dict) and not adapter.recognises(wanted):
            renamed = ((adapter.to_ours(key), value) for key, value in state_dict.items())
            return OrderedDict((key, value) for key, value in renamed if key is not None), adapter.name
    return state_dict, None


def _move_offsets(state_dict: Mapping[str, Any], wanted: Collection[str]) -> Mapping[str, Any]:
    """What predicts the offsets of the deformable `conv2` was its neighbour `conv2_offset` in early files."""
    moves = {
        key: re.sub(r"_offset\.(weight|bias)$", r".conv_offset.\1", key) for key in state_dict if key not in wanted
    }
    moves = {old: new for old, new in moves.items() if new in wanted and new not in state_dict}
    if not moves:
        return state_dict
    return OrderedDict((moves.get(key, key), value) for key, value in state_dict.items())


_MOBILENET_V2_BLOCKS = (1, 2, 3, 4, 3, 3, 1)


def _mobilenet_v2_rules() -> Iterator[tuple[str, str]]:
    """Torchvision counts all blocks in one list, and convolution and normalisation by position."""
    for part, name in enumerate(("conv", "bn")):
        yield f"features.0.{part}.{{leaf}}", f"conv1.{name}.{{leaf}}"
        yield f"features.18.{part}.{{leaf}}", f"conv2.{name}.{{leaf}}"
    blocks = [(stage, block) for stage, count in enumerate(_MOBILENET_V2_BLOCKS, start=1) for block in range(count)]
    for index, (stage, block) in enumerate(blocks, start=1):
        theirs, ours = f"features.{index}.conv", f"layer{stage}.{block}"
        steps = ["depthwise_conv"] if index == 1 else ["expand_conv", "depthwise_conv"]
        for position, step in enumerate(steps):
            for part, name in enumerate(("conv", "bn")):
                yield f"{theirs}.{position}.{part}.{{leaf}}", f"{ours}.{step}.{name}.{{leaf}}"
        for part, name in enumerate(("conv", "bn"), start=len(steps)):
            yield f"{theirs}.{part}.{{leaf}}", f"{ours}.linear_conv.{name}.{{leaf}}"


ADAPTERS = (
    KeyAdapter(
        "torchvision MobileNetV2",
        signature=("features.0.0.weight", "features.1.conv.0.0.weight", "features.18.1.weight"),
        rules=tuple(_mobilenet_v2_rules()),
        dropped=("classifier.{leaf}",),
    ),
    KeyAdapter("torchvision ResNet", signature=("layer1.0.conv1.weight", "fc.weight"), dropped=("fc.{leaf}",)),
)
"""Known families, asked in this order."""
