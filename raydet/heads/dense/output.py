"""What a dense head predicts: declared as predictors, delivered on the flat axis R."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from raydet.heads.dense.layout import LevelLayout


@dataclass(frozen=True)
class Predictor:
    """One output convolution of a dense head, shared by all levels or one for each.

    Attributes:
        key: attribute of the head, thus the prefix of its state_dict keys.
        role: name of its output in `DenseOutput`; `cls` and `box` are read by `DenseHead` itself.
        dims: numbers predicted per prior.
        tower: attribute of the tower it stands on; None stands on the feature map.
        kernel: side of the convolution, padded to keep the size.
        scaled: multiply by a factor learned per level (`scales.<level>.scale`).
        per_level: each level has a convolution of its own (`<key>.<level>`).
    """

    key: str
    role: str
    dims: int
    tower: str | None = None
    kernel: int = 3
    scaled: bool = False
    per_level: bool = False


@dataclass(frozen=True)
class DenseOutput:
    """Predictions of a dense head on the flat axis R.

    Attributes:
        values: role -> `(N, R, D)`.
        priors: `(R, 4)` or `(R, 2)`, shared by all images, or with a leading `N`.
        layout: which prior is of which level.
    """

    values: Mapping[str, Tensor]
    priors: Tensor
    layout: LevelLayout

    def __getitem__(self, role: str) -> Tensor:
        return self.values[role]

    def rows(self, role: str, index: Tensor) -> Tensor:
        """`(P, D)` predictions at flat indices `image * R + prior`."""
        return self.values[role].flatten(0, 1)[index]

    def within(self, role: str, image: int, inside: Tensor | None) -> Tensor:
        """`(r, D)` predictions of an image at the priors that are `inside` `(R,)`; at all of them when that is None."""
        return self.values[role][image] if inside is None else self.values[role][image, inside]

    def levels(self, index: Tensor | None) -> Tensor:
        """Level of each flat index `image * R + prior`; of all of them in order when `index` is None."""
        per_prior = self.layout.level_of(self.priors.device)
        if index is None:
            return per_prior.repeat(len(next(iter(self.values.values()))))
        return per_prior[index % len(per_prior)]

    def image_priors(self, image: int) -> Tensor:
        return self.priors[image] if self.priors.ndim == 3 else self.priors
