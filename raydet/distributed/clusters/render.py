"""The cluster files that raydet renders, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from raydet.distributed.clusters import aws, azure, gcp, kuberay
from raydet.distributed.clusters.pools import Cluster
from raydet.distributed.clusters.problems import PLACEHOLDER
from raydet.distributed.clusters.text import write_yaml


class Target(NamedTuple):
    """A kind of cluster file.

    Args:
        platform: whose machines it is made of.
        write: from a cluster to the document.
        storage: a folder of runs as one is written there.
        summary: one line for `raydet cluster list`.
    """

    platform: str
    write: Callable[[Cluster], dict[Any, Any]]
    storage: str
    summary: str


TARGETS = {
    "aws": Target("aws", aws.render, aws.STORAGE, "Amazon Web Services, for `ray up`"),
    "gcp": Target("gcp", gcp.render, gcp.STORAGE, "Google Cloud, for `ray up`"),
    "azure": Target("azure", azure.render, azure.STORAGE, "Microsoft Azure, for `ray up`"),
    "kuberay-cluster": Target(
        "kuberay", kuberay.render_cluster, kuberay.STORAGE, "Kubernetes: a cluster that takes jobs, for `kubectl apply`"
    ),
    "kuberay-job": Target(
        "kuberay",
        kuberay.render_job,
        kuberay.STORAGE,
        "Kubernetes: a run with a cluster of its own, for `kubectl apply`",
    ),
    "kuberay-service": Target(
        "kuberay", kuberay.render_service, kuberay.STORAGE, "Kubernetes: a detector that serves, for `kubectl apply`"
    ),
}
"""Each is shipped as `clusters/NAME.yaml`, rendered with no options."""


def render(target: str, *, fill: Mapping[str, str] | None = None, **options: Any) -> str:
    """The text of a cluster file.

    Args:
        target: name of a kind of file.
        fill: values for placeholders, such as `{"BUCKET": "mine"}` for `<BUCKET>`.
        options: of `Cluster`; those that are None are left out.

    Raises:
        ValueError: no such kind or placeholder, or options that make no cluster.
    """
    if target not in TARGETS:
        raise ValueError(f"{target!r} is no kind of cluster file; there are {', '.join(TARGETS)}")
    platform, write, storage, _ = TARGETS[target]
    given = {name: value for name, value in options.items() if value is not None}
    text = write_yaml(write(Cluster(platform, **{"storage": storage, **given})))
    for name, value in (fill or {}).items():
        if f"<{name}>" not in text:
            known = sorted(set(PLACEHOLDER.findall(text)))
            raise ValueError(f"the file has no <{name}> to fill in; it has {', '.join(known) or 'none'}")
        text = text.replace(f"<{name}>", value)
    return text
