"""Cluster files for Google Cloud."""

from __future__ import annotations

from typing import Any

from raydet.distributed.clusters.launcher import launcher_file
from raydet.distributed.clusters.machines import Machine
from raydet.distributed.clusters.pools import Cluster
from raydet.distributed.clusters.text import Note

STORAGE = "gs://<BUCKET>/runs"
NOTES = """\
Rights: `ray up` runs with your application default credentials, makes a service account ray-autoscaler-sa-v1 for \
the head and gives it the right to start and end machines. Workers run as the account below: \
roles/storage.objectUser on the bucket. The head's account needs roles/iam.serviceAccountUser on it. No keys are \
stored anywhere.
Network: the nodes are in the default network, whose firewall admits ssh from everywhere, by key, and traffic \
between nodes. Restrict default-allow-ssh to your network, and delete default-allow-rdp.
Image: <GPU_VM_IMAGE> is an image with NVIDIA drivers and Docker, as `gcloud compute images list --project \
deeplearning-platform-release --filter family~common-cu` lists them, written as \
projects/deeplearning-platform-release/global/images/family/FAMILY."""


def render(cluster: Cluster) -> dict[Any, Any]:
    """The file for `ray up`."""
    return launcher_file(
        cluster,
        notes=NOTES,
        provider={
            "type": "gcp",
            "region": cluster.place,
            "availability_zone": f"{cluster.place}-a",
            "project_id": "<GCP_PROJECT_ID>",
        },
        auth={"ssh_user": "ubuntu"},
        head=_node_config(cluster.header, spot=False, account=False),
        node_config=_node_config,
        packages="google-api-python-client google-auth cryptography cachetools",
    )


def _node_config(machine: Machine, spot: bool, account: bool = True) -> dict[Any, Any]:
    """Body of Compute Engine's instances.insert."""
    image = "<GPU_VM_IMAGE>" if machine.gpus else "projects/ubuntu-os-cloud/global/images/family/ubuntu-2204-lts"
    disk = {
        "boot": True,
        "autoDelete": True,
        "type": "PERSISTENT",
        "initializeParams": {"diskSizeGb": 150, "sourceImage": image},
    }
    config: dict[Any, Any] = {"machineType": machine.name, "disks": [disk]}
    scheduling: dict[str, Any] = {"onHostMaintenance": "TERMINATE"} if machine.gpus else {}
    if spot:
        scheduling |= {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
    if scheduling:
        config["scheduling"] = scheduling
    if account:
        email = "raydet-worker@<GCP_PROJECT_ID>.iam.gserviceaccount.com"
        config[Note("What it may do is for the roles of the account to say.")] = None
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        config["serviceAccounts"] = [{"email": email, "scopes": scopes}]
    return config
