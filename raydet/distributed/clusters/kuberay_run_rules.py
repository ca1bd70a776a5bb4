"""What KubeRay's operator refuses in a job or a service, besides its cluster, as its release 1.7.0 does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml

from raydet.distributed.clusters.problems import Problem

ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")
"""What is deleted, least first: a later one goes with all before it."""


def run_rules(document: dict[str, Any]) -> Iterator[Problem]:
    """What the operator refuses in a RayJob, RayCronJob or RayService that is right by the schema."""
    spec = document["spec"]
    if document["kind"] == "RayJob":
        yield from _job(spec, "spec")
    elif document["kind"] == "RayCronJob":
        yield from _job(spec["jobTemplate"], "spec.jobTemplate")
    elif document["kind"] == "RayService":
        yield from _service(spec)


def _owned(cluster: dict[str, Any], where: str) -> Iterator[Problem]:
    """What only a RayCluster of its own may have."""
    if cluster.get("authOptions", {}).get("enableK8sTokenAuth"):
        yield Problem(f"{where}.authOptions.enableK8sTokenAuth", "is for a RayCluster alone")
    if "type" in cluster.get("upgradeStrategy", {}):
        yield Problem(f"{where}.upgradeStrategy.type", "is for a RayCluster alone")


def _job(job: dict[str, Any], where: str) -> Iterator[Problem]:
    cluster, selects = job.get("rayClusterSpec", {}), "clusterSelector" in job
    yield from _owned(cluster, f"{where}.rayClusterSpec")
    for key in ("suspend", "ttlSecondsAfterFinished"):
        if job.get(key) and not job.get("shutdownAfterJobFinishes"):
            yield Problem(f"{where}.{key}", "needs shutdownAfterJobFinishes: true")
    if job.get("suspend") and selects:
        yield Problem(f"{where}.suspend", "cannot be with clusterSelector, as the cluster is not the job's")
    mode = job.get("submissionMode", "K8sJobMode")
    if job.get("backoffLimit") and (selects or mode == "InteractiveMode"):
        reason = "clusterSelector" if selects else "submissionMode: InteractiveMode"
        yield Problem(f"{where}.backoffLimit", f"a job with {reason} is not tried again: leave it away")
    if mode == "SidecarMode":
        yield from _sidecar(job, where)
    yield from _runtime_env(job.get("runtimeEnvYAML", ""), f"{where}.runtimeEnvYAML")
    if "deletionStrategy" in job:
        yield from _deletion(job, where)


def _sidecar(job: dict[str, Any], where: str) -> Iterator[Problem]:
    for key in ("clusterSelector", "submitterPodTemplate"):
        if key in job:
            yield Problem(f"{where}.{key}", "cannot be with submissionMode: SidecarMode")
    pod = job.get("rayClusterSpec", {}).get("headGroupSpec", {}).get("template", {}).get("spec", {})
    if pod.get("restartPolicy", "Never") != "Never":
        at = f"{where}.rayClusterSpec.headGroupSpec.template.spec.restartPolicy"
        yield Problem(at, "must be Never with submissionMode: SidecarMode")


def _runtime_env(text: str, where: str) -> Iterator[Problem]:
    try:
        is_mapping = isinstance(yaml.safe_load(text) or {}, dict)
    except yaml.YAMLError as error:
        yield Problem(where, f"not a YAML document: {' '.join(str(error).split())}")
    else:
        if not is_mapping:
            yield Problem(where, "must be a mapping, such as working_dir: URI")


def _deletion(job: dict[str, Any], where: str) -> Iterator[Problem]:
    strategy, at = job["deletionStrategy"], f"{where}.deletionStrategy"
    ends, rules = [key for key in ("onSuccess", "onFailure") if key in strategy], strategy.get("deletionRules", [])
    if len(ends) == 1 or not (ends or rules) or (ends and rules):
        yield Problem(at, "needs deletionRules, or both of onSuccess and onFailure")
    if rules and job.get("shutdownAfterJobFinishes"):
        yield Problem(f"{at}.deletionRules", "say when the cluster goes; shutdownAfterJobFinishes must be false")
    policies = [(strategy[key]["policy"], f"{at}.{key}.policy") for key in ends]
    policies += [(rule["policy"], f"{at}.deletionRules[{number}].policy") for number, rule in enumerate(rules)]
    for policy, here in policies:
        yield from _policy(job, policy, here)
        if policy == "DeleteNone" and not rules and job.get("shutdownAfterJobFinishes"):
            yield Problem(here, "DeleteNone and shutdownAfterJobFinishes: true say the opposite")
    yield from _conditions(rules, f"{at}.deletionRules")


def _policy(job: dict[str, Any], policy: str, where: str) -> Iterator[Problem]:
    if policy in ORDER[:2] and "clusterSelector" in job:
        yield Problem(where, f"{policy} cannot be with clusterSelector, as the cluster is not the job's")
    elif policy == "DeleteWorkers" and job.get("rayClusterSpec", {}).get("enableInTreeAutoscaling"):
        yield Problem(where, "DeleteWorkers cannot be while the autoscaler is on")


def _conditions(rules: list[dict[str, Any]], where: str) -> Iterator[Problem]:
    waits: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for number, rule in enumerate(rules):
        condition = rule["condition"]
        states = [(key, condition[key]) for key in ("jobStatus", "jobDeploymentStatus") if key in condition]
        if len(states) != 1:
            yield Problem(f"{where}[{number}].condition", "needs one of jobStatus and jobDeploymentStatus")
        elif rule["policy"] in waits[states[0]]:
            yield Problem(f"{where}[{number}]", f"there is a rule for {rule['policy']} on {states[0][1]} already")
        else:
            waits[states[0]][rule["policy"]] = condition.get("ttlSeconds", 0)
    for (_, state), seconds in waits.items():
        order = [seconds[policy] for policy in ORDER if policy in seconds]
        if order != sorted(order):
            yield Problem(where, f"on {state}, ttlSeconds must not fall in the order {', '.join(ORDER)}")


def _service(spec: dict[str, Any]) -> Iterator[Problem]:
    cluster, at = spec["rayClusterConfig"], "spec.rayClusterConfig"
    yield from _owned(cluster, at)
    if cluster["headGroupSpec"].get("headService", {}).get("metadata", {}).get("name"):
        yield Problem(f"{at}.headGroupSpec.headService.metadata.name", "a RayService names it itself: leave it away")
    strategy = spec.get("upgradeStrategy", {})
    if strategy.get("type") != "NewClusterWithIncrementalUpgrade":
        return
    options, here = strategy.get("clusterUpgradeOptions"), "spec.upgradeStrategy.clusterUpgradeOptions"
    if not cluster.get("enableInTreeAutoscaling"):
        yield Problem(f"{at}.enableInTreeAutoscaling", "must be true to upgrade in steps")
    if options is None:
        yield Problem(here, "missing: upgrades in steps need stepSizePercent, intervalSeconds and gatewayClassName")
    elif options["stepSizePercent"] > options.get("maxSurgePercent", 100):
        yield Problem(f"{here}.stepSizePercent", "is more than maxSurgePercent")
