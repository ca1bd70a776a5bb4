"""Older versions of our own weights, and backbones of other projects, under the keys of 2.x.

Each function takes weights by name and returns new ones; tensors that do not change are shared.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydet.checkpoint.safe import CheckpointError, UnsafeCheckpointError

Weights = Mapping[str, Tensor]

_ROI_PARTS = ("bbox_head", "mask_head", "grid_head", "mask_iou_head", "semantic_head", "shared_head")


def upgrade_1x(weights: Weights, num_classes: int) -> OrderedDict[str, Tensor]:
    """Weights of MMDetection 1.x: heads of regions move below `roi_head`, the background from the front to the end.

    Args:
        weights: of a detector.
        num_classes: `K`, without the background.
    """
    two_stage = any(".fc_cls." in key or key.startswith("mask_head.") for key in weights)
    retina = any(".retina_cls." in key for key in weights)
    upgraded: OrderedDict[str, Tensor] = OrderedDict()
    for key, value in weights.items():
        name = f"roi_head.{key}" if two_stage and key.partition(".")[0] in _ROI_PARTS else key
        if retina:  # the oldest towers were bare convolutions
            name = re.sub(r"((?:cls|reg)_convs\.\d+)\.(weight|bias)$", r"\1.conv.\2", name)
        elif re.search(r"\.fc_cls\.|\.cls_convs\.\d+\.(weight|bias)$", name):
            value = _rotated(value, num_classes)
        elif re.search(r"\.(fc_reg|conv_logits)\.", name):
            value = _without_background(value, num_classes)
        upgraded[name] = value
    return upgraded


def upgrade_ssd(weights: Weights) -> OrderedDict[str, Tensor]:
    """Weights of an SSD before MMDetection 2.14: the extra layers move from the backbone to the neck."""

    def rename(key: str) -> str:
        extra = re.fullmatch(r"backbone\.extra\.(\d+)\.(\w+)", key)
        if extra is not None:
            level, place = divmod(int(extra[1]), 2)
            return f"neck.extra_layers.{level}.{place}.conv.{extra[2]}"
        key = key.replace("backbone.l2_norm.", "neck.l2_norm.")
        return re.sub(r"^(bbox_head\.(?:cls|reg)_convs\.\d+)\.(weight|bias)$", r"\1.0.\2", key)

    return _renamed(weights, rename)


def convert_moco(weights: Weights) -> OrderedDict[str, Tensor]:
    """The backbone of MoCo v2 (arXiv:2003.04297): its query encoder, without the projection."""
    return _below(weights, "module.encoder_q.", ("fc.",))


def convert_swav(weights: Weights) -> OrderedDict[str, Tensor]:
    """The backbone of SwAV (arXiv:2006.09882), without projection and prototypes."""
    return _below(weights, "module.", ("projection_head.", "prototypes."))


def convert_pycls_regnet(weights: Weights) -> OrderedDict[str, Tensor]:
    """A RegNet of pycls (arXiv:2003.13678), with its classifier as `fc`."""
    names = {"a": "conv1", "b": "conv2", "c": "conv3", "a_bn": "bn1", "b_bn": "bn2", "c_bn": "bn3"}
    shortcut = {"proj": "downsample.0", "bn": "downsample.1"}

    def rename(key: str) -> str:
        block = re.fullmatch(r"s(\d+)\.b(\d+)\.(?:f\.(\w+)|(proj|bn))\.(\w+)", key)
        if block is None:
            return key.replace("stem.conv.", "conv1.").replace("stem.bn.", "bn1.").replace("head.fc.", "fc.")
        part = names.get(block[3]) if block[3] else shortcut[block[4]]
        if part is None:
            raise CheckpointError(f"{key} is no key of a RegNet of pycls that raydet knows")
        return f"layer{block[1]}.{int(block[2]) - 1}.{part}.{block[5]}"

    return _renamed(weights, rename)


def convert_detectron_resnet(blobs: Mapping[str, Any]) -> OrderedDict[str, Tensor]:
    """A ResNet of Detectron or Detectron2's model zoo in the names of Caffe2.

    Its batch norms are fixed scales and shifts, so they get a mean of 0 and a variance of 1.

    Args:
        blobs: arrays by name, such as `res2_0_branch2a_w`; see `read_blobs`.
    """
    converted: OrderedDict[str, Tensor] = OrderedDict()
    for key, value in blobs.items():
        target = _detectron_name(key)
        if target is None:
            continue
        name, leaf = target
        tensor = torch.as_tensor(np.asarray(value))
        converted[f"{name}.{leaf}"] = tensor
        if leaf == "weight" and tensor.dim() == 1:
            converted[f"{name}.running_mean"] = torch.zeros_like(tensor)
            converted[f"{name}.running_var"] = torch.ones_like(tensor)
    if not converted:
        raise CheckpointError(f"there is no ResNet of Detectron among the keys {sorted(map(str, blobs))[:5]}, ...")
    return converted


def _detectron_name(key: str) -> tuple[str, str] | None:
    """Module and kind of parameter of a blob; None for what is no part of the backbone."""
    stem = {"conv1_w": ("conv1", "weight"), "res_conv1_bn_s": ("bn1", "weight"), "res_conv1_bn_b": ("bn1", "bias")}
    found = re.fullmatch(r"res(\d)_(\d+)_branch(1|2[abc])_(w|bn_s|bn_b)", key)
    if found is None:
        return stem.get(key)
    is_norm, leaf = found[4] != "w", "bias" if found[4] == "bn_b" else "weight"
    if found[3] == "1":
        part = f"downsample.{int(is_norm)}"
    else:
        part = f"{'bn' if is_norm else 'conv'}{'abc'.index(found[3][1]) + 1}"
    return f"layer{int(found[1]) - 1}.{found[2]}.{part}", leaf


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, numbers and texts, and calls nothing else."""

    _KNOWN = re.compile(r"numpy(\._?core\.multiarray)? (ndarray|dtype|_reconstruct|scalar)|_codecs encode")

    def find_class(self, module: str, name: str) -> Any:
        if self._KNOWN.fullmatch(f"{module} {name}") is None:
            raise UnsafeCheckpointError(f"it asks for {module}.{name}, which raydet does not load")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_blobs(path: str | Path) -> dict[str, Any]:
    """The arrays of a `.pkl` of Detectron, read without running code of the file.

    Raises:
        UnsafeCheckpointError: the file asks for something else than arrays.
        CheckpointError: the file is something else.
    """
    try:
        content = _ArrayUnpickler(io.BytesIO(Path(path).read_bytes()), encoding="latin1").load()
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise CheckpointError(f"{path} is not a pickle of arrays ({error})") from error
    blobs = next((content[key] for key in ("blobs", "model") if isinstance(content, dict) and key in content), content)
    if not isinstance(blobs, dict):
        raise CheckpointError(f"{path} holds a {type(blobs).__name__}, expected a dict of arrays")
    return blobs


def _renamed(weights: Weights, rename: Callable[[str], str]) -> OrderedDict[str, Tensor]:
    return OrderedDict((rename(key), value) for key, value in weights.items())


def _below(weights: Weights, prefix: str, dropped: tuple[str, ...]) -> OrderedDict[str, Tensor]:
    """What stands below a prefix, without some parts of it."""
    names = {key: key.removeprefix(prefix) for key in weights if key.startswith(prefix)}
    if not names:
        raise CheckpointError(f"no key starts with {prefix!r}; the first are {list(weights)[:3]}")
    return OrderedDict((name, weights[key]) for key, name in names.items() if not name.startswith(dropped))


def _rotated(value: Tensor, num_classes: int) -> Tensor:
    """Scores of `(A * (K + 1), ...)` channels with the background at the end of each K + 1."""
    if value.shape[0] % (num_classes + 1):
        return value
    return value.reshape(-1, num_classes + 1, *value.shape[1:]).roll(-1, 1).reshape(value.shape)


def _without_background(value: Tensor, num_classes: int) -> Tensor:
    """Values per class, `((K + 1) * D, ...)`, without those of the background at the front."""
    if value.shape[0] % (num_classes + 1):
        return value  # the same for all classes
    return value[value.shape[0] // (num_classes + 1) :].clone()
