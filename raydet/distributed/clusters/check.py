"""Checking cluster files of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raydet.distributed.clusters.check_kuberay import check_kuberay
from raydet.distributed.clusters.check_launcher import check_launcher
from raydet.distributed.clusters.problems import Problem, placeholders
from raydet.distributed.clusters.text import read_yaml


@dataclass(frozen=True)
class Report:
    """What a check says of a file.

    Attributes:
        kind: of file, in words.
        problems: mistakes.
        missing: placeholders with the keys at which they stand.
    """

    kind: str
    problems: list[Problem]
    missing: dict[str, list[str]]


def check_file(path: Path) -> Report:
    """Read a cluster file and say all that is wrong with it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no YAML document, or none that describes a cluster.
    """
    document = read_yaml(path)
    if isinstance(document, dict) and str(document.get("apiVersion", "")).startswith("ray.io/"):
        return Report(f"a {document.get('kind')} of KubeRay", check_kuberay(document), placeholders(document))
    if isinstance(document, dict) and ("provider" in document or "available_node_types" in document):
        provider = document.get("provider")
        kind = provider.get("type") if isinstance(provider, dict) else "no provider"
        return Report(f"a file for `ray up` ({kind})", check_launcher(document), placeholders(document))
    raise ValueError(
        f"{path} describes no cluster: a file for `ray up` has the key provider, one for KubeRay apiVersion: ray.io/v1"
    )
