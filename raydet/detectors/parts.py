"""How `train_cfg` and `test_cfg` of a detector reach its heads."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

Settings = Mapping[str, Any] | None


def with_settings(head: Any, train_cfg: Settings, test_cfg: Settings) -> Any:
    """The dict of a head with the detector's settings for it; a built head has its own and passes through.

    The detector's settings win over those in the head's dict.
    """
    if not isinstance(head, MutableMapping):
        return head
    settled = copy.copy(head)  # keeps the places of the keys in the config file, unlike a new dict
    settled["train_cfg"], settled["test_cfg"] = train_cfg, test_cfg
    return settled


def section(cfg: Settings, key: str) -> Any:
    """One part of a detector's settings, or None."""
    return None if cfg is None else cfg.get(key)
