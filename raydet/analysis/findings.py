"""What a scan of a data set finds, counted and with examples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

ERRORS = {
    "data set": "it cannot be built from its config",
    "missing image": "the file does not exist",
    "truncated image": "the file is empty or cut short",
    "undecodable image": "the file is no image that can be decoded",
    "wrong size": "the image has not the size that its annotation says",
    "broken record": "an entry of the annotation file cannot be used",
    "duplicate id": "several images, annotations or categories have the same id",
    "unknown image": "an annotation belongs to an image that is not in the file",
    "unknown category": "an object has a class that does not exist",
    "not finite": "a box or mask has a coordinate that is NaN or infinite",
    "zero-size box": "a box has no area",
    "box outside": "a box lies wholly outside its image",
    "wrong mask": "a mask is no valid polygon or RLE of the image's size",
}
NOTES = {
    "box beyond edge": "a box reaches over the edge of its image by more than a pixel",
    "empty image": "an image has no objects",
    "crowd": "a region of many objects, ignored in training",
    "unused class": "an object is of a category that is not among the classes",
}
KINDS = {**ERRORS, **NOTES}
"""Kinds of findings and what they mean. Errors are wrong data, notes are worth knowing."""

_SIDES = (8, 16, 32, 64, 128, 256, 512)
SIZE_NAMES = (
    f"< {_SIDES[0]}",
    *(f"{low}-{high}" for low, high in pairwise(_SIDES)),
    f">= {_SIDES[-1]}",
)
"""Bins of box sizes: the square root of the area, in pixels."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: a key of `KINDS`.
        message: what is wrong, with the value.
        image: path of the image, where there is one.
        box: x1, y1, x2, y2 of the object, where there is one with numbers.
    """

    kind: str
    message: str
    image: str | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass
class Report:
    """Findings in one data set.

    Attributes:
        name: what was scanned.
        max_examples: of each kind that are kept.
        num_images: scanned.
        num_objects: in them, crowds included.
        counts: by kind.
        examples: by kind, the first ones.
        classes: number of objects by class name.
        box_sizes: number of boxes by `SIZE_NAMES`.
    """

    name: str
    max_examples: int = 5
    num_images: int = 0
    num_objects: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    classes: Counter[str] = field(default_factory=Counter)
    box_sizes: Counter[str] = field(default_factory=Counter)

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings and keep the first of each kind."""
        for finding in findings:
            self.counts[finding.kind] += 1
            if len(self.examples[finding.kind]) < self.max_examples:
                self.examples[finding.kind].append(finding)

    @property
    def num_errors(self) -> int:
        """Findings that are errors."""
        return sum(count for kind, count in self.counts.items() if kind in ERRORS)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        findings = {
            kind: {
                "severity": "error" if kind in ERRORS else "note",
                "count": self.counts[kind],
                "examples": [{"image": each.image, "message": each.message} for each in self.examples[kind]],
            }
            for kind in KINDS
            if self.counts[kind]
        }
        return {
            "name": self.name,
            "images": self.num_images,
            "objects": self.num_objects,
            "errors": self.num_errors,
            "findings": findings,
            "classes": dict(self.classes.most_common()),
            "box_sizes": {name: self.box_sizes[name] for name in SIZE_NAMES},
        }


def size_name(area: float) -> str:
    """The bin of a box."""
    return SIZE_NAMES[sum(area >= side * side for side in _SIDES)]
