"""Cluster files for Amazon Web Services."""

from __future__ import annotations

from typing import Any

from raydet.distributed.clusters.launcher import launcher_file
from raydet.distributed.clusters.machines import Machine
from raydet.distributed.clusters.pools import Cluster
from raydet.distributed.clusters.text import Note

STORAGE = "s3://<BUCKET>/runs"
NOTES = """\
Rights: `ray up` runs with your own credentials and gives the head the role ray-autoscaler-v1, which may start and \
end machines and use S3. Workers get the instance profile below: a role with s3:ListBucket on arn:aws:s3:::<BUCKET> \
and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on arn:aws:s3:::<BUCKET>/*. The head's \
role must be allowed iam:PassRole for it. No keys are stored anywhere.
Network: Ray makes a security group that lets the nodes speak with each other and lets in ssh alone, by key. To \
admit ssh from your network only, make a group of your own and name it as SecurityGroupIds in every node_config."""


def render(cluster: Cluster) -> dict[Any, Any]:
    """The file for `ray up`."""
    region = cluster.place
    return launcher_file(
        cluster,
        notes=NOTES,
        provider={
            "type": "aws",
            "region": region,
            Note("More zones have more spot machines; traffic between zones costs a little."): None,
            "availability_zone": f"{region}a,{region}b",
            "cache_stopped_nodes": False,
        },
        auth={"ssh_user": "ubuntu"},
        head=_node_config(cluster.header, spot=False, profile=False),
        node_config=_node_config,
        packages="boto3",
    )


def _node_config(machine: Machine, spot: bool, profile: bool = True) -> dict[Any, Any]:
    """Arguments of EC2's RunInstances; Ray chooses an image with GPU drivers and Docker, as no ImageId is given."""
    config: dict[Any, Any] = {
        "InstanceType": machine.name,
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 150, "VolumeType": "gp3"}}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    }
    if spot:
        config["InstanceMarketOptions"] = {"MarketType": "spot"}
    if profile:
        arn = "arn:aws:iam::<AWS_ACCOUNT_ID>:instance-profile/raydet-worker"
        config["IamInstanceProfile"] = {"Arn": arn}
    return config
