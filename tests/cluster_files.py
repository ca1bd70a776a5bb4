"""Cluster files with one key changed, and what `raydet cluster check` says of them."""

import copy

import yaml

from raydet.config import shipped_root
from raydet.distributed.clusters.check import check_file
from raydet.distributed.clusters.text import read_yaml


def shipped(target):
    return read_yaml(shipped_root("clusters") / f"{target}.yaml")


def written(folder, text, name="cluster.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def problems_of(folder, document):
    return [str(problem) for problem in check_file(written(folder, yaml.safe_dump(document))).problems]


def change(document, dotted, value):
    """A copy with one key set, or taken away when the value is None."""
    changed = copy.deepcopy(document)
    *path, last = dotted.split(".")
    at = changed
    for key in path:
        at = at[int(key)] if key.isdigit() else at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return changed
