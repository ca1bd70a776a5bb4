"""Anchors."""

from __future__ import annotations

from typing import Any


class AnchorFamily:
    def draw(self, draft: Any) -> None: ...
    def place(self, draft: Any) -> dict[str, float]:
        return {}

    def measure(self, draft: Any) -> dict[str, float]:
        return {}

    def parameters(self) -> dict[str, Any]:
        return {}


def read_anchors(tree: Any, config: Any) -> AnchorFamily | None:
    return None
