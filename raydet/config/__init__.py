"""Configs: Python, YAML and JSON files with inheritance, as in MMDetection 2.x, read without executing them."""

from raydet.config.check import ConfigProblem, check_config, ensure_valid
from raydet.config.compat import compat_cfg, replace_cfg_vals, update_data_root
from raydet.config.config import Config, import_modules
from raydet.config.config_dict import ConfigDict
from raydet.config.errors import (
    ConfigError,
    ConfigFormatError,
    ConfigImportError,
    ConfigKeyError,
    ConfigSyntaxError,
    ConfigTypeError,
)
from raydet.config.find import assets_root, find_config, shipped_root
from raydet.config.options import DictAction, parse_value

__all__ = [
    "Config",
    "ConfigDict",
    "ConfigError",
    "ConfigFormatError",
    "ConfigImportError",
    "ConfigKeyError",
    "ConfigProblem",
    "ConfigSyntaxError",
    "ConfigTypeError",
    "DictAction",
    "assets_root",
    "check_config",
    "compat_cfg",
    "ensure_valid",
    "find_config",
    "import_modules",
    "parse_value",
    "replace_cfg_vals",
    "shipped_root",
    "update_data_root",
]
