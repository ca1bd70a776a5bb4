"""Names of published weights: `torchvision://resnet50`, `open-mmlab://detectron2/resnet50_caffe`, `timm://...`."""

from __future__ import annotations

import difflib

_TORCHVISION_URL = "https://download.pytorch.org/models/"
_TIMM_URL = "https://huggingface.co/timm/{}/resolve/main/model.safetensors"
_OPEN_MMLAB_URL = "https://download.openmmlab.com/pretrain/third_party/"

# ImageNet weights, version 1; the digits are the start of the sha256 of the file.
_TORCHVISION = [
    "densenet121-a639ec97",
    "densenet161-8d451a50",
    "densenet169-b2777c0a",
    "densenet201-c1103571",
    "mobilenet_v2-b0353104",
    "mobilenet_v3_large-8738ca79",
    "mobilenet_v3_small-047dcff4",
    "resnet18-f37072fd",
    "resnet34-b627a593",
    "resnet50-0676ba61",
    "resnet101-63fe2227",
    "resnet152-394f9c45",
    "resnext50_32x4d-7cdf4587",
    "resnext101_32x8d-8ba56ff5",
    "resnext101_64x4d-173b62eb",
    "vgg11-8a719046",
    "vgg11_bn-6002323d",
    "vgg13-19584684",
    "vgg13_bn-abd245e5",
    "vgg16-397923af",
    "vgg16_bn-6c64b313",
    "vgg19-dcbb9e9d",
    "vgg19_bn-c79401a0",
    "wide_resnet50_2-95faca4d",
    "wide_resnet101_2-32ee1156",
]

_OPEN_MMLAB = {
    "contrib/resnet50_gn": "resnet50_gn_thangvubk-ad1730dd",
    "darknet53": "darknet53-a628ea1b",
    "detectron/resnet101_caffe": "resnet101_caffe-3ad79236",
    "detectron/resnet101_gn": "resnet101_gn-cac0ab98",
    "detectron/resnet50_caffe": "resnet50_caffe-788b5fa3",
    "detectron/resnet50_gn": "resnet50_gn-9186a21c",
    "detectron2/resnet101_caffe": "resnet101_msra-6cc46731",
    "detectron2/resnet50_caffe": "resnet50_msra-5891d200",
    "detectron2/resnext101_32x8d": "resnext101_32x8d-1516f1aa",
    "jhu/resnet101_gn_ws": "resnet101_gn_ws-3e3c308c",
    "jhu/resnet50_gn_ws": "resnet50_gn_ws-15beedd8",
    "jhu/resnext101_32x4d_gn": "resnext101_32x4d_gn-ac3bb84e",
    "jhu/resnext101_32x4d_gn_ws": "resnext101_32x4d_gn_ws-34ac1a9e",
    "jhu/resnext50_32x4d_gn": "resnext50_32x4d_gn-c7e8b754",
    "jhu/resnext50_32x4d_gn_ws": "resnext50_32x4d_gn_ws-0d87ac85",
    "msra/hrnetv2_w18": "hrnetv2_w18-00eb2006",
    "msra/hrnetv2_w18_small": "hrnetv2_w18_small-b5a04e21",
    "msra/hrnetv2_w32": "hrnetv2_w32-dc9eeb4f",
    "msra/hrnetv2_w40": "hrnetv2_w40-ed0b031c",
    "msra/hrnetv2_w48": "hrnetv2_w48-d2186c55",
    "regnetx_1.6gf": "regnetx_1.6gf-5791c176",
    "regnetx_12gf": "regnetx_12gf-4c2a3350",
    "regnetx_3.2gf": "regnetx_3.2gf-c2599b0f",
    "regnetx_4.0gf": "regnetx_4.0gf-a88f671e",
    "regnetx_400mf": "regnetx_400mf-a5b10d96",
    "regnetx_6.4gf": "regnetx_6.4gf-006af45d",
    "regnetx_8.0gf": "regnetx_8.0gf-3c68abe7",
    "regnetx_800mf": "regnetx_800mf-1f4be4c7",
    "res2net101_v1d_26w_4s": "res2net101_v1d_26w_4s_mmdetv2-f0a600f9",
    "resnest101": "resnest101_d2-f3b931b2",
    "resnest200": "resnest200_d2-ca88e41f",
    "resnest50": "resnest50_d2-7497a55b",
    "resnet101_v1c": "resnet101_v1c-e67eebb6",
    "resnet18_v1c": "resnet18_v1c-b5776b93",
    "resnet50_v1c": "resnet50_v1c-2cccc1ad",
    "resnext101_32x4d": "resnext101_32x4d-a5af3160",
    "resnext101_64x4d": "resnext101_64x4d-ee2c6f71",
    "resnext50_32x4d": "resnext50-32x4d-0ab1a123",
    "vgg16_caffe": "vgg16_caffe-292e1171",
}

_ZOOS: dict[str, tuple[dict[str, str], str]] = {
    "torchvision": ({stem.rpartition("-")[0]: stem for stem in _TORCHVISION}, _TORCHVISION_URL),
    "open-mmlab": (_OPEN_MMLAB, _OPEN_MMLAB_URL),
}
_ALIASES = {"modelzoo": "torchvision", "openmmlab": "open-mmlab"}

SCHEMES = frozenset({*_ZOOS, *_ALIASES, "timm"})


def published_url(scheme: str, name: str) -> str:
    """Where the weights called `scheme://name` are published; timm's under their whole name (`resnet50.a1_in1k`).

    Raises:
        ValueError: there is no such name; the nearest one is suggested.
    """
    if scheme == "timm":
        return _TIMM_URL.format(name)
    stems, base = _ZOOS[_ALIASES.get(scheme, scheme)]
    if name not in stems:
        close = difflib.get_close_matches(name, stems, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there are no weights named {name!r} under {scheme}://{hint}")
    return f"{base}{stems[name]}.pth"
