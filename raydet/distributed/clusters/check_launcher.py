"""Checks of files for `ray up`: by Ray's own schema, and of what Ray hands on unread."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raydet.distributed.clusters.machines import MACHINES
from raydet.distributed.clusters.problems import Problem, schema_problems, unknown_keys

_COMMON = {"type", "cache_stopped_nodes", "disable_node_updaters", "use_internal_ips", "availability_zone"}
PROVIDER_KEYS = {
    "aws": _COMMON | {"region", "security_group", "key_pair", "aws_credentials", "cloudwatch"},
    "gcp": _COMMON | {"region", "project_id", "gcp_credentials"},
    "azure": _COMMON
    | {"location", "resource_group", "subscription_id", "msi_identity_id", "msi_identity_principal_id", "msi_name"}
    | {"msi_resource_group", "subnet_id", "subnet_mask", "unique_id", "tags", "use_external_head_ip"},
    "local": _COMMON | {"head_ip", "worker_ips", "external_head_ip", "coordinator_address"},
}
"""What Ray's node providers read; their schema lets everything through."""

NODE_KEYS = {
    "aws": {
        *("BlockDeviceMappings", "CapacityReservationSpecification", "CpuOptions", "CreditSpecification"),
        *("DisableApiTermination", "EbsOptimized", "EnclaveOptions", "HibernationOptions", "IamInstanceProfile"),
        *("ImageId", "InstanceInitiatedShutdownBehavior", "InstanceMarketOptions", "InstanceType", "Ipv6AddressCount"),
        *("KernelId", "KeyName", "LaunchTemplate", "LicenseSpecifications", "MaintenanceOptions", "MetadataOptions"),
        *("Monitoring", "NetworkInterfaces", "Placement", "PrivateDnsNameOptions", "PrivateIpAddress", "RamdiskId"),
        *("SecurityGroupIds", "SecurityGroups", "SubnetId", "SubnetIds", "TagSpecifications", "UserData"),
    },
    "gcp": {
        *("advancedMachineFeatures", "canIpForward", "confidentialInstanceConfig", "deletionProtection", "description"),
        *("disks", "displayDevice", "guestAccelerators", "hostname", "labels", "machineType", "metadata"),
        *("minCpuPlatform", "networkInterfaces", "networkPerformanceConfig", "params", "privateIpv6GoogleAccess"),
        *("reservationAffinity", "resourcePolicies", "scheduling", "serviceAccounts", "shieldedInstanceConfig"),
        *("sourceMachineImage", "tags"),
        *("acceleratorConfig", "acceleratorType", "runtimeVersion"),  # of TPUs
    },
    "azure": {"azure_arm_parameters"},
}
"""What may stand in `node_config`: arguments of EC2 and Compute Engine, and those of Ray's template for Azure."""

MACHINE_KEY = {"aws": "InstanceType", "gcp": "machineType", "azure": "vmSize"}


def check_launcher(document: dict[str, Any]) -> list[Problem]:
    """All that is wrong with a cluster file, in the order of its keys as far as possible."""
    problems = list(_by_ray(document))
    provider = document.get("provider") or {}
    kind = provider.get("type") if isinstance(provider, dict) else None
    if kind in PROVIDER_KEYS:
        problems += unknown_keys(provider, PROVIDER_KEYS[kind], "provider")
    for name, node in _node_types(document):
        problems += _node_problems(kind, f"available_node_types.{name}", node)
    problems += _command_problems(document)
    if kind == "gcp" and "setup_commands" not in document:
        problems.append(Problem("setup_commands", "missing: Ray would install a wheel of its own that is long gone"))
    return problems


def _by_ray(document: dict[str, Any]) -> Iterator[Problem]:
    """What Ray itself finds; its first look fills in defaults, its last compares sections and knows no keys."""
    import ray
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads(Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text())
    try:
        prepared = prepare_config(copy.deepcopy(document))
    except (Exception, SystemExit) as error:  # its aborts are exceptions of click
        yield from schema_problems(document, schema)
        yield Problem("", f"Ray cannot read it: {type(error).__name__}: {error}".rstrip(": "))
        return
    found = list(schema_problems(prepared, schema))
    yield from found
    if found:
        return
    try:
        validate_config(prepared)
    except Exception as error:
        yield Problem("", f"Ray refuses it: {error}")


def _node_types(document: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    types = document.get("available_node_types")
    return [(name, node) for name, node in types.items() if isinstance(node, dict)] if isinstance(types, dict) else []


def _node_problems(kind: str | None, where: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    least, most = node.get("min_workers", 0), node.get("max_workers")
    if isinstance(least, int) and isinstance(most, int) and not 0 <= least <= most:
        yield Problem(f"{where}.max_workers", f"{most} is not a number of nodes from min_workers={least} on")
    config = node.get("node_config") or {}
    if not isinstance(config, dict) or kind not in NODE_KEYS:
        return
    yield from unknown_keys(config, NODE_KEYS[kind], f"{where}.node_config")
    if kind == "azure":
        config = config.get("azure_arm_parameters") or {}
        yield from unknown_keys(config, _azure_parameters(), f"{where}.node_config.azure_arm_parameters")
    machine = str(config.get(MACHINE_KEY[kind], ""))
    if not machine and "LaunchTemplate" not in config:
        yield Problem(f"{where}.node_config", f"{MACHINE_KEY[kind]} is missing: which machine?")
    yield from _size_problems(kind, machine, node.get("resources") or {}, f"{where}.resources")
    for label in node.get("labels") or {}:
        if str(label).startswith("ray.io/"):
            yield Problem(f"{where}.labels.{label}", "labels that start with ray.io/ are Ray's own")


def _size_problems(kind: str, name: str, resources: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for machine in MACHINES[kind]:
        for resource, there in (("CPU", machine.cpus), ("GPU", machine.gpus)):
            asked = resources.get(resource, 0)
            if machine.name == name and isinstance(asked, int) and asked > there:
                yield Problem(
                    f"{where}.{resource}", f"{asked}, but {machine} has {there}; it would never be used fully"
                )


def _azure_parameters() -> list[str]:
    import ray

    template = Path(ray.__file__).parent / "autoscaler" / "_private" / "_azure" / "azure-vm-template.json"
    return [*json.loads(template.read_text())["parameters"], "availability_zone"]


def _command_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Of the commands that start Ray: what would leave the cluster open, or without its autoscaler."""
    for section in ("head_start_ray_commands", "worker_start_ray_commands"):
        text = "\n".join(map(str, document.get(section) or []))
        if "RAY_AUTH_MODE=token" not in text:
            yield Problem(section, "RAY_AUTH_MODE=token is not set, so that the cluster asks nobody for a token")
        if "dashboard-host=0.0.0.0" in text.replace(" 0.0.0.0", "=0.0.0.0"):
            yield Problem(section, "the dashboard runs any code that is sent to it; let it stay on 127.0.0.1")
    if "--autoscaling-config" not in "\n".join(map(str, document.get("head_start_ray_commands") or [])):
        yield Problem(
            "head_start_ray_commands", "--autoscaling-config is missing, so that no other node would ever come"
        )
