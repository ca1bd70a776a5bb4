"""Checks of files for KubeRay: by the fields of its kinds, as operator and autoscaler do, and for open doors."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from raydet.distributed.clusters.kuberay_rules import cluster_rules, groups_of, workers_of
from raydet.distributed.clusters.kuberay_run_rules import run_rules
from raydet.distributed.clusters.problems import Problem, schema_problems

CLUSTER_AT = {
    "RayCluster": "spec",
    "RayJob": "spec.rayClusterSpec",
    "RayService": "spec.rayClusterConfig",
    "RayCronJob": "spec.jobTemplate.rayClusterSpec",
}
WITHOUT_LIMIT = 2**31 - 1
"""What the operator takes for `maxReplicas` where there is none."""


def check_kuberay(document: dict[str, Any]) -> list[Problem]:
    """All that is wrong with a RayCluster, RayJob, RayService or RayCronJob.

    Rules between fields are looked at when the fields are right one by one.
    """
    problems = list(schema_problems(document, kuberay_schema()))
    if problems:
        return problems
    where = CLUSTER_AT[document["kind"]]
    spec: Any = document
    for key in where.split("."):
        spec = spec.get(key, {})
    problems += run_rules(document)
    if spec:
        problems += cluster_rules(spec, where, document["metadata"].get("annotations", {}))
        problems += [*_by_autoscaler(spec), *_open_doors(spec, where), *_groups(spec, where)]
    return problems


@functools.cache
def kuberay_schema() -> Any:
    """What KubeRay's kinds may hold, as JSON Schema."""
    folder = Path(__file__).parent
    schema, pods = (yaml.safe_load((folder / f"{name}_schema.yaml").read_text()) for name in ("kuberay", "pod"))
    return {**schema, "definitions": {**schema["definitions"], **pods["definitions"]}}


def _by_autoscaler(spec: dict[str, Any]) -> Iterator[Problem]:
    """What the autoscaler beside the head would say."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as derive

    if not spec.get("enableInTreeAutoscaling"):
        return
    defaults = {"minReplicas": 0, "maxReplicas": WITHOUT_LIMIT}
    workers = [{**defaults, **group} for group in spec.get("workerGroupSpecs", [])]
    try:
        derive({"metadata": {"name": "checked", "namespace": "default"}, "spec": {**spec, "workerGroupSpecs": workers}})
    except Exception as error:
        yield Problem("", f"Ray's autoscaler cannot read it: {type(error).__name__}: {error}")


def _open_doors(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    if spec.get("authOptions", {}).get("mode") != "token":
        yield Problem(
            f"{where}.authOptions.mode", "must be token, or everybody in Kubernetes can run code on the cluster"
        )
    head = spec["headGroupSpec"]
    if head.get("serviceType", "ClusterIP") != "ClusterIP":
        yield Problem(f"{where}.headGroupSpec.serviceType", f"{head['serviceType']} opens the head to the outside")
    if head.get("enableIngress"):
        yield Problem(f"{where}.headGroupSpec.enableIngress", "opens the dashboard, which runs code, to the outside")


def _groups(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    names = Counter(group["groupName"] for group, _ in workers_of(spec, where))
    for name in (name for name, count in names.items() if count > 1):
        yield Problem(f"{where}.workerGroupSpecs", f"two groups are called {name!r}")
    for group, at in workers_of(spec, where):
        least, most = group.get("minReplicas", 0), group.get("maxReplicas", WITHOUT_LIMIT)
        if least <= most and not least <= group.get("replicas", least) <= most:
            yield Problem(f"{at}.replicas", f"{group['replicas']} is not between {least} and {most}")
        if spec.get("enableInTreeAutoscaling") and most == WITHOUT_LIMIT:
            yield Problem(f"{at}.maxReplicas", "missing: the autoscaler may start any number of nodes")
    for group, at in groups_of(spec, where):
        yield from _pods(group, at)


def _pods(group: dict[str, Any], where: str) -> Iterator[Problem]:
    pod, at = group["template"]["spec"], f"{where}.template.spec"
    for label in group.get("labels", {}):
        if label.startswith("ray.io/"):
            yield Problem(f"{where}.labels.{label}", "labels that start with ray.io/ are Ray's own")
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0].get("volumeMounts", [])}
    for name in sorted(set(mounts.values()) - set(volumes)):
        yield Problem(f"{at}.containers[0].volumeMounts", f"there is no volume {name!r}")
    shared = volumes.get(mounts.get("/dev/shm", ""), {})
    if shared.get("emptyDir", {}).get("medium") != "Memory":
        yield Problem(
            f"{at}.volumes", "nothing of medium Memory is mounted on /dev/shm, where 64 MiB are too few for Ray"
        )
