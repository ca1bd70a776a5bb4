"""Keys, shapes and `requires_grad` of backbones, necks and shared heads beside the reference's."""

import gzip
import json
from ast import literal_eval
from importlib.util import find_spec
from pathlib import Path

import pytest

from raydet.registry import BACKBONES, LAYERS, NECKS, SHARED_HEADS

MANIFEST = Path(__file__).parents[3] / "shared" / "conformance" / "manifest_dev.json.gz"
TYPES = {*BACKBONES.names(), "FPN", "ResLayer"}


def _parts(model):
    yield "backbone.", BACKBONES, model.get("backbone")
    yield "neck.", NECKS, model.get("neck")
    yield "roi_head.shared_head.", SHARED_HEADS, (model.get("roi_head") or {}).get("shared_head")


def _layer_types(cfg):
    if isinstance(cfg, dict):
        yield from ([cfg["type"]] if isinstance(cfg.get("type"), str) else [])
        for value in cfg.values():
            yield from _layer_types(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from _layer_types(value)


def _buildable(cfg):
    if "TIMM" in cfg.get("type", "") and find_spec("timm") is None:
        return False
    inner = {key: value for key, value in cfg.items() if key not in ("type", "init_cfg")}
    return cfg.get("type") in TYPES and all(kind in LAYERS for kind in _layer_types(inner))


def _rows(module, prefix):
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for key, value in module.state_dict().items():
        kind = "P" if key in parameters else "B"
        grad = key in parameters and parameters[key].requires_grad
        yield [prefix + key, list(value.shape), str(value.dtype).removeprefix("torch."), kind, grad]


@pytest.mark.conformance
@pytest.mark.skipif(not MANIFEST.is_file(), reason="reference manifest is absent")
def test_part_of_every_reference_config_has_the_reference_keys_in_order():
    manifest = json.loads(gzip.decompress(MANIFEST.read_bytes()))
    seen = {}
    for name, entry in manifest["configs"].items():
        model, table = manifest["models"][entry["model"]], manifest["keys"][entry["keys"]]
        model = literal_eval(model) if isinstance(model, str) else model
        for prefix, registry, cfg in _parts(model):
            if isinstance(cfg, dict) and _buildable(cfg) and str(cfg) not in seen:
                seen[str(cfg)] = name
                expected = [row for row in table if row[0].startswith(prefix)]
                offline = {**cfg, "pretrained": False} if cfg.get("pretrained") is True else cfg
                assert list(_rows(registry.build(offline), prefix)) == expected, f"{prefix} of {name}"
    assert len(seen) >= 60
