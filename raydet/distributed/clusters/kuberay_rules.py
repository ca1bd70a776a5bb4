"""What KubeRay's operator refuses in a cluster whose fields are right one by one, as its release 1.7.0 does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from raydet.distributed.clusters.problems import Problem

SIZES = ("num-cpus", "num-gpus", "memory", "resources")
"""Parameters of `ray start` that say the same as the resources of a group."""
V2_VARIABLE = "RAY_enable_autoscaler_v2"
TLS_VARIABLES = ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
REDIS_FIELDS = ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace")


def cluster_rules(spec: dict[str, Any], where: str, annotations: dict[str, str]) -> Iterator[Problem]:
    """What the operator refuses in the part that all kinds share.

    Args:
        spec: fields of a RayCluster, right by the schema.
        where: key of these fields in the file.
        annotations: of the file's object.
    """
    yield from _ray_version(spec, where)
    yield from _authentication(spec, where)
    yield from _fault_tolerance(spec, where, annotations)
    yield from _autoscaler(spec, where)
    yield from _network(spec, where)
    for group, at in groups_of(spec, where):
        yield from _group(spec, group, at)
    for group, at in workers_of(spec, where):
        yield from _workers(spec, group, where, at)


def groups_of(spec: dict[str, Any], where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The head's group and those of the workers, with their keys."""
    yield spec["headGroupSpec"], f"{where}.headGroupSpec"
    yield from workers_of(spec, where)


def workers_of(spec: dict[str, Any], where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The groups of workers, with their keys."""
    for number, group in enumerate(spec.get("workerGroupSpecs", [])):
        yield group, f"{where}.workerGroupSpecs[{number}]"


def is_autoscaler_v2(spec: dict[str, Any]) -> bool:
    """Whether the file asks for autoscaler v2; without a version, Ray chooses and the operator does not know."""
    return bool(spec.get("autoscalerOptions", {}).get("version") == "v2")


def _ray_version(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    needs = [((0, 0), "")]
    if spec.get("authOptions", {}).get("mode") == "token":
        by_kubernetes = spec["authOptions"].get("enableK8sTokenAuth", False)
        needs.append(((2, 55) if by_kubernetes else (2, 52), "authentication by token"))
    if any(group.get("priority") for group in spec.get("workerGroupSpecs", [])):
        needs.append(((2, 56), "the priority of a group"))
    least, what = max(needs)
    version = spec.get("rayVersion", "")
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if what and (not found or (int(found[1]), int(found[2])) < least):
        yield Problem(f"{where}.rayVersion", f"{what} needs Ray {least[0]}.{least[1]} or newer, got {version!r}")


def _authentication(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    options, at = spec.get("authOptions", {}), f"{where}.authOptions"
    if options.get("enableK8sTokenAuth") and options.get("mode") != "token":
        yield Problem(f"{at}.enableK8sTokenAuth", "needs mode: token")
    if options.get("enableK8sTokenAuth") and options.get("secretName"):
        yield Problem(f"{at}.secretName", "of no use with enableK8sTokenAuth: keep one of them")


def _fault_tolerance(spec: dict[str, Any], where: str, annotations: dict[str, str]) -> Iterator[Problem]:
    head, at = spec["headGroupSpec"], f"{where}.headGroupSpec"
    options, here = spec.get("gcsFaultToleranceOptions"), f"{where}.gcsFaultToleranceOptions"
    by_annotation = annotations.get("ray.io/ft-enabled", "").lower() == "true"
    named = variables(head)
    if "redis-username" in head.get("rayStartParams", {}) or "REDIS_USERNAME" in named:
        yield Problem(at, f"the user of Redis stands in {here}.redisUsername")
    if "RAY_REDIS_ADDRESS" in named and (options is not None or not by_annotation):
        yield Problem(f"{at}.template.spec.containers[0].env", f"the address of Redis stands in {here}.redisAddress")
    if options is None:
        return
    if "redis-password" in head.get("rayStartParams", {}) or "REDIS_PASSWORD" in named:
        yield Problem(at, f"the password of Redis stands in {here}.redisPassword")
    for key in ("ray.io/ft-enabled", "ray.io/external-storage-namespace"):
        if annotations.get(key):
            yield Problem(f"metadata.annotations.{key}", f"says the same as {here}: keep the latter")
    yield from _backend(options, here)


def _backend(options: dict[str, Any], where: str) -> Iterator[Problem]:
    storage = options.get("storage", {})
    if options.get("backend", "redis") == "redis":
        if "storage" in options:
            yield Problem(f"{where}.storage", "is for backend: rocksdb")
        return
    for key in REDIS_FIELDS:
        if options.get(key):
            yield Problem(f"{where}.{key}", "is for backend: redis")
    for key in ("size", "storageClassName", "accessModes"):
        if storage.get("claimName") and storage.get(key):
            yield Problem(f"{where}.storage.{key}", "the volume of claimName has its own: keep one of them")


def _autoscaler(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    options, env = spec.get("autoscalerOptions", {}), f"{where}.headGroupSpec.template.spec.containers[0].env"
    named = variables(spec["headGroupSpec"])
    if V2_VARIABLE in named:
        if not spec.get("enableInTreeAutoscaling") and named[V2_VARIABLE] in ("1", "true"):
            yield Problem(env, f"{V2_VARIABLE} needs enableInTreeAutoscaling: true")
        if spec.get("enableInTreeAutoscaling") and "version" in options:
            yield Problem(env, f"{V2_VARIABLE} says the same as {where}.autoscalerOptions.version: keep the latter")
    if "KUBERAY_GEN_AUTOSCALER_START_CMD" in _named(options.get("env", [])):
        yield Problem(f"{where}.autoscalerOptions.env", "KUBERAY_GEN_AUTOSCALER_START_CMD is set by the operator")


def _network(spec: dict[str, Any], where: str) -> Iterator[Problem]:
    policy, at = spec.get("networkPolicy", {}), f"{where}.networkPolicy"
    names = {group["groupName"] for group in spec.get("workerGroupSpecs", [])}
    rules = [(policy.get(part, {}), f"{at}.{part}") for part in ("head", "worker")]
    for number, part in enumerate(policy.get("workerGroups", [])):
        rules.append((part, f"{at}.workerGroups[{number}]"))
        if part["groupName"] not in names:
            yield Problem(f"{at}.workerGroups[{number}].groupName", f"there is no group {part['groupName']!r}")
    useless = {"DenyAllEgress": "ingressRules", "DenyAllIngress": "egressRules"}.get(policy.get("mode", "DenyAll"))
    for part, here in rules:
        if useless and part.get(useless):
            yield Problem(f"{here}.{useless}", f"mode: {policy['mode']} lets all of it through")


def _group(spec: dict[str, Any], group: dict[str, Any], where: str) -> Iterator[Problem]:
    started = group.get("rayStartParams", {})
    for key in SIZES:
        if started.get(key) and group.get("resources"):
            yield Problem(f"{where}.rayStartParams.{key}", f"{where}.resources says how large nodes are: keep one")
    if "labels" in started:
        yield Problem(f"{where}.rayStartParams.labels", f"labels of nodes stand in {where}.labels")
    if spec.get("tlsOptions", {}).get("enabled"):
        for name in sorted(variables(group).keys() & set(TLS_VARIABLES)):
            yield Problem(f"{where}.template.spec.containers[0].env", f"tlsOptions sets {name} itself")
    policy = group["template"]["spec"].get("restartPolicy", "Never")
    if spec.get("enableInTreeAutoscaling") and is_autoscaler_v2(spec) and policy != "Never":
        yield Problem(f"{where}.template.spec.restartPolicy", "must be Never: autoscaler v2 makes pods anew itself")


def _workers(spec: dict[str, Any], group: dict[str, Any], where: str, at: str) -> Iterator[Problem]:
    least, most = group.get("minReplicas", 0), group.get("maxReplicas")
    if most is not None and least > most:
        yield Problem(f"{at}.minReplicas", f"{least} is more than maxReplicas, {most}")
    if group.get("suspend") and spec.get("enableInTreeAutoscaling"):
        yield Problem(f"{at}.suspend", "a group cannot be suspended while the autoscaler is on")
    is_v2 = is_autoscaler_v2(spec) or variables(spec["headGroupSpec"]).get(V2_VARIABLE) in ("1", "true")
    for key in ("idleTimeoutSeconds", "priority"):
        if group.get(key) and not is_v2:
            yield Problem(f"{at}.{key}", f"needs {where}.autoscalerOptions.version: v2")


def variables(group: dict[str, Any]) -> dict[str, str]:
    """Environment variables of a group's Ray container, which is the first one."""
    return _named(group["template"]["spec"]["containers"][0].get("env", []))


def _named(env: list[dict[str, Any]]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in env}
