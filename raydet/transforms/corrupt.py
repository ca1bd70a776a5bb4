"""Damage images as cameras and weather do."""

from __future__ import annotations

import numpy as np

from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import check_within
from raydet.transforms.optional import need


class Corrupt(Transform):
    """A corruption of the robustness benchmark (arXiv:1907.07484), by the module `imagecorruptions`.

    Of the packages with this module, `imagecorruptions-imaug` works with current numpy and scikit-image.

    Args:
        corruption: its name there, such as "gaussian_noise" or "fog".
        severity: in [1, 5].
    """

    def __init__(self, corruption: str, severity: int = 1) -> None:
        check_within("severity", severity, 1, 5)
        package = need("imagecorruptions", "imagecorruptions-imaug", self)
        names = package.get_corruption_names("all")
        if corruption not in names:
            raise ValueError(f"corruption must be one of {sorted(names)}, got {corruption!r}")
        self.corruption = corruption
        self.severity = severity
        self._corrupt = package.corrupt

    def apply(self, results: Results, params: None) -> Results:
        image = results["img"].astype(np.uint8)
        results["img"] = self._corrupt(image, corruption_name=self.corruption, severity=self.severity)
        return results
