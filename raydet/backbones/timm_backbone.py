"""Backbones of timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from raydet.layers import BaseModule, InitCfg
from raydet.registry import LAYERS, nearest


class TIMMBackbone(BaseModule):
    """Any network of timm; its child is `timm_model`.

    Args:
        model_name: as `timm.list_models()` has it.
        features_only: return one map per stage instead of the last features alone.
        pretrained: let timm load its weights.
        checkpoint_path: a file of weights that timm loads.
        in_channels: channels of the images.
        out_indices: which stages to return, for `features_only`; all when None.
        init_cfg: how to initialise what timm has not loaded; timm's own way when None.
        kwargs: other arguments of `timm.create_model`.

    Attributes:
        channels: of each map.
        strides: of each map; empty without `features_only`.
    """

    hands_arguments_on = True  # to timm, so that the registry cannot know them

    def __init__(
        self,
        model_name: str,
        features_only: bool = False,
        pretrained: bool = False,
        checkpoint_path: str = "",
        in_channels: int = 3,
        out_indices: Sequence[int] | None = None,
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(pretrained, bool):
            raise TypeError(
                f"pretrained of a TIMMBackbone must be True or False, got {pretrained!r}; checkpoint_path takes a file"
            )
        if isinstance(kwargs.get("norm_layer"), str):
            kwargs["norm_layer"] = LAYERS.resolve(kwargs["norm_layer"])
        if features_only:
            kwargs.update(features_only=True, **({} if out_indices is None else {"out_indices": tuple(out_indices)}))
        self.features_only = features_only
        self.has_weights = pretrained or bool(checkpoint_path)
        self.timm_model: Any = _create(
            model_name, pretrained=pretrained, checkpoint_path=checkpoint_path, in_chans=in_channels, **kwargs
        )
        if features_only:
            self.channels = tuple(self.timm_model.feature_info.channels())
            self.strides = tuple(self.timm_model.feature_info.reduction())
        else:
            self.timm_model.reset_classifier(0, "")
            self.channels, self.strides = (self.timm_model.num_features,), ()

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says, unless timm has loaded weights."""
        if not self.has_weights:
            super().init_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to maps `(N, C, h, w)`, finest first, or to the last features."""
        if not self.features_only:
            return (self.timm_model.forward_features(x),)
        layout = getattr(self.timm_model, "output_fmt", None)
        is_channels_last = str(getattr(layout, "value", layout)) == "NHWC"
        return tuple(each.permute(0, 3, 1, 2).contiguous() if is_channels_last else each for each in self.timm_model(x))


def _create(model_name: str, **kwargs: Any) -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"the backbone TIMMBackbone({model_name!r}) needs the package timm: pip install timm"
        ) from error
    try:
        return timm.create_model(model_name, **kwargs)
    except RuntimeError as error:
        if "Unknown model" not in str(error):
            raise
        hint = nearest(model_name, timm.list_models())
        raise ValueError(f"timm {timm.__version__} has no model {model_name!r}{hint}") from error
    except (IndexError, AssertionError) as error:
        if "out_indices" not in kwargs:
            raise
        raise ValueError(f"{model_name!r} of timm cannot return out_indices={kwargs['out_indices']!r}") from error
