"""Cluster files for Microsoft Azure."""

from __future__ import annotations

from typing import Any

from raydet.distributed.clusters.launcher import launcher_file
from raydet.distributed.clusters.machines import Machine
from raydet.distributed.clusters.pools import Cluster

STORAGE = "/mnt/runs"
PACKAGES = (
    "azure-core azure-identity azure-mgmt-compute azure-mgmt-network azure-mgmt-resource azure-common msrest "
    "msrestazure"
)
NOTES = """\
Rights: log in with `az login`; you need Contributor on the subscription or on the resource group. Ray makes a \
managed identity for the nodes, with which the head starts and ends machines.
Storage: a disk that all nodes share, such as Azure Files over NFS (--storage /mnt/runs), an S3 server of yours \
(AWS_ENDPOINT_URL and its keys in the environment of every node), or \
abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/runs through pyarrow.
Network: Ray makes a virtual network whose security group admits ssh from everywhere, by key, and nothing else; \
restrict it to your network in the resource group."""


def render(cluster: Cluster) -> dict[Any, Any]:
    """The file for `ray up`."""
    return launcher_file(
        cluster,
        notes=NOTES,
        provider={
            "type": "azure",
            "location": cluster.place,
            "resource_group": "<AZURE_RESOURCE_GROUP>",
            "subscription_id": "<AZURE_SUBSCRIPTION_ID>",
            "availability_zone": "auto",
        },
        auth={"ssh_user": "ubuntu", "ssh_private_key": "~/.ssh/id_rsa", "ssh_public_key": "~/.ssh/id_rsa.pub"},
        head=_node_config(cluster.header, spot=False),
        node_config=_node_config,
        packages=PACKAGES,
    )


def _node_config(machine: Machine, spot: bool) -> dict[Any, Any]:
    """Parameters of the template by which Ray makes machines; the image has GPU drivers and Docker."""
    parameters: dict[str, Any] = {
        "vmSize": machine.name,
        "imagePublisher": "microsoft-dsvm",
        "imageOffer": "ubuntu-hpc",
        "imageSku": "2204",
        "imageVersion": "latest",
    }
    if spot:  # at no price of one's own, which means up to the price on demand
        parameters |= {"priority": "Spot", "billingProfile": {"maxPrice": -1}}
    return {"azure_arm_parameters": parameters}
