"""Checkpoints: found, opened safely, translated, brought into models, written atomically."""

from raydet.checkpoint.adapters import ADAPTERS, KeyAdapter, adapt_keys
from raydet.checkpoint.checksum import check_sidecar, remove_checkpoint
from raydet.checkpoint.folders import cache_folder, find_weights, weight_folders
from raydet.checkpoint.packaged import fetch_packaged_weights
from raydet.checkpoint.pretrained import Pretrained
from raydet.checkpoint.read import LoadReport, load_checkpoint, load_state_dict, read_state_dict, unwrap
from raydet.checkpoint.safe import CheckpointError, UnsafeCheckpointError, load
from raydet.checkpoint.safetensors import read_safetensors, save_safetensors
from raydet.checkpoint.save import remove_leftovers, save_checkpoint, weights_to_cpu, write_atomically
from raydet.checkpoint.sources import locate

__all__ = [
    "ADAPTERS",
    "CheckpointError",
    "KeyAdapter",
    "LoadReport",
    "Pretrained",
    "UnsafeCheckpointError",
    "adapt_keys",
    "cache_folder",
    "check_sidecar",
    "fetch_packaged_weights",
    "find_weights",
    "load",
    "load_checkpoint",
    "load_state_dict",
    "locate",
    "read_safetensors",
    "read_state_dict",
    "remove_checkpoint",
    "remove_leftovers",
    "save_checkpoint",
    "save_safetensors",
    "unwrap",
    "weight_folders",
    "weights_to_cpu",
    "write_atomically",
]
