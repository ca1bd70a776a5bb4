"""Checks of files for KubeRay: by the fields of its kinds, by Ray's autoscaler, and for what leaves a cluster open."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from raydet.distributed.clusters.problems import Problem, schema_problems

CLUSTER_AT = {"RayCluster": "spec", "RayJob": "spec.rayClusterSpec", "RayService": "spec.rayClusterConfig"}


def check_kuberay(document: dict[str, Any]) -> list[Problem]:
    """All that is wrong with a RayCluster, RayJob or RayService."""
    problems = list(schema_problems(document, _schema()))
    where = CLUSTER_AT.get(document.get("kind", ""))
    spec: Any = document
    for key in where.split(".") if where else ():
        spec = (spec or {}).get(key)
    if not isinstance(spec, dict) or problems:
        return problems
    assert where is not None
    return [*_by_autoscaler(spec), *_open_doors(spec, where), *_groups(spec, where)]


@functools.cache
def _schema() -> Any:
    return yaml.safe_load(Path(__file__).with_name("kuberay_schema.yaml").read_text())


def _by_autoscaler(spec: dict[str, Any]) -> Iterator[Problem]:
    """What the autoscaler beside the head would say."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as derive

    try:
        derive({"metadata": {"name": "checked", "namespace": "default"}, "spec": {"workerGroupSpecs": [], **spec}})
    except Exception as error:
        yield Problem("", f"Ray's autoscaler cannot read it: {type(error).__name__}: {error}")


def _open_doors(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    if (spec.get("authOptions") or {"mode": "disabled"}).get("mode", "token") != "token":
        yield Problem(
            f"{where}.authOptions.mode", "must be token, or everybody in Kubernetes can run code on the cluster"
        )
    head = spec["headGroupSpec"]
    if head.get("serviceType", "ClusterIP") != "ClusterIP":
        yield Problem(f"{where}.headGroupSpec.serviceType", f"{head['serviceType']} opens the head to the outside")
    if head.get("enableIngress"):
        yield Problem(f"{where}.headGroupSpec.enableIngress", "opens the dashboard, which runs code, to the outside")


def _groups(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    workers = spec.get("workerGroupSpecs", [])
    names = Counter(group["groupName"] for group in workers)
    for name in (name for name, count in names.items() if count > 1):
        yield Problem(f"{where}.workerGroupSpecs", f"two groups are called {name!r}")
    for number, group in enumerate(workers):
        at = f"{where}.workerGroupSpecs[{number}]"
        least, most = group["minReplicas"], group["maxReplicas"]
        if not least <= group.get("replicas", least) <= most:
            yield Problem(f"{at}.replicas", f"{group.get('replicas', least)} is not between {least} and {most}")
        yield from _pods(spec, group, at)
    yield from _pods(spec, spec["headGroupSpec"], f"{where}.headGroupSpec")


def _pods(spec: dict[str, Any], group: dict[str, Any], where: str) -> Iterator[Problem]:
    pod, at = group["template"]["spec"], f"{where}.template.spec"
    for label in group.get("labels", {}):
        if label.startswith("ray.io/"):
            yield Problem(f"{where}.labels.{label}", "labels that start with ray.io/ are Ray's own")
    is_v2 = (spec.get("autoscalerOptions") or {}).get("version") == "v2"
    if is_v2 and pod.get("restartPolicy") != "Never":
        yield Problem(f"{at}.restartPolicy", "must be Never: autoscaler v2 makes pods anew itself")
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0].get("volumeMounts", [])}
    for name in sorted(set(mounts.values()) - set(volumes)):
        yield Problem(f"{at}.containers[0].volumeMounts", f"there is no volume {name!r}")
    shared = volumes.get(mounts.get("/dev/shm", ""), {})
    if shared.get("emptyDir", {}).get("medium") != "Memory":
        yield Problem(
            f"{at}.volumes", "nothing of medium Memory is mounted on /dev/shm, where 64 MiB are too few for Ray"
        )
