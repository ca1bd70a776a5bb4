"""Heads that predict masks."""

from raydet.heads.mask.fcn import FCNMaskHead

__all__ = ["FCNMaskHead"]
