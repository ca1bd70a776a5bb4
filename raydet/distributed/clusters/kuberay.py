"""Files for Kubernetes with the KubeRay operator: a cluster, a job with a cluster of its own, a service."""

from __future__ import annotations

from typing import Any

from raydet.distributed.clusters.launcher import cost_notes
from raydet.distributed.clusters.machines import Machine
from raydet.distributed.clusters.pools import Cluster, Pool
from raydet.distributed.clusters.text import Note
from raydet.distributed.settings import CLUSTER_SETTINGS

STORAGE = "s3://<BUCKET>/runs"
POOL_KEY = "raydet/pool"
"""Label and taint by which node pools are found; every cloud lets one set both."""
USER = 1000
GRACE_SECONDS = 120
SETTINGS = {**CLUSTER_SETTINGS, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(GRACE_SECONDS - 30)}
"""Environment of all pods; the last tells a node that gets SIGTERM to let its workers save first."""

NOTES = f"""\
Rendered by `raydet cluster render`; `raydet cluster check FILE` names what is left to fill in, which is \
<IN_CAPITALS>.
Needs the KubeRay operator, 1.7 or newer, and node pools labelled {POOL_KEY}=NAME and tainted \
{POOL_KEY}=NAME:NoSchedule for the worker groups below. Nodes of the autoscaler below come when the node pools of \
Kubernetes may grow. For operators 1.5.1 and 1.6, take out priority, by which spot machines are filled first.
Rights: pods get the keys of the secret raydet-storage as environment variables (AWS_ACCESS_KEY_ID, \
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL ...) where there is such a secret. Better is an identity of the cloud: set \
serviceAccountName to an account that may read and write the bucket.
Security: authOptions makes a token in a secret of the cluster's name, which Ray asks of everybody, inside \
Kubernetes as well. Services are of type ClusterIP, so that nothing is open to the outside: use kubectl \
port-forward. Ray does not encrypt: keep the namespace behind a NetworkPolicy."""


def render_cluster(cluster: Cluster) -> dict[Any, Any]:
    """A cluster that stays, for jobs that are submitted to it."""
    return _document("RayCluster", cluster, cluster_spec(cluster))


def render_job(cluster: Cluster) -> dict[Any, Any]:
    """A run with a cluster of its own, which goes with it."""
    command = cluster.command or (
        f"raydet train <CONFIG> --num-workers 4 --use-gpu --storage {cluster.storage} --name <RUN> --resume"
    )
    spec = {
        Note("A cluster whose head is lost starts anew and the run goes on, as it is named and says --resume."): None,
        "entrypoint": command,
        "backoffLimit": 3,
        Note("Configs and plug-ins that are not in the image, as a zip file in the bucket."): None,
        "runtimeEnvYAML": "working_dir: <WORKING_DIR_ZIP>\n",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "rayClusterSpec": cluster_spec(cluster),
    }
    return _document("RayJob", cluster, spec)


def render_service(cluster: Cluster) -> dict[Any, Any]:
    """A detector that answers requests, as an application of Ray Serve."""
    application = """\
applications:
  - name: detector
    route_prefix: /predict
    import_path: <SERVE_APPLICATION>
    deployments:
      - name: <SERVE_DEPLOYMENT>
        autoscaling_config: {min_replicas: 1, max_replicas: 4}
        ray_actor_options: {num_gpus: 1}
"""
    spec = {
        Note("module:variable of the application, and the class that it deploys."): None,
        "serveConfigV2": application,
        "rayClusterConfig": cluster_spec(cluster),
    }
    return _document("RayService", cluster, spec)


def _document(kind: str, cluster: Cluster, spec: dict[Any, Any]) -> dict[Any, Any]:
    return {
        Note(NOTES): None,
        Note("\n" + cost_notes(cluster)): None,
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": cluster.name},
        "spec": spec,
    }


def cluster_spec(cluster: Cluster) -> dict[Any, Any]:
    """The part that all kinds share."""
    return {
        "rayVersion": cluster.ray_version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "upscalingMode": "Default",
            "idleTimeoutSeconds": cluster.idle_minutes * 60,
            "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "500m", "memory": "512Mi"}},
        },
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            "labels": {"pool": "head"},
            Note(
                "No CPUs keep workers off the head. It answers on the pod's address, which only Kubernetes sees."
            ): None,
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
            "template": _template(cluster, "head", cluster.header),
        },
        "workerGroupSpecs": [_worker_group(cluster, pool) for pool in cluster.pools],
    }


def _worker_group(cluster: Cluster, pool: Pool) -> dict[Any, Any]:
    return {
        Note(f"{pool.machine.gpus or 'No'} GPU, {pool.machine.cpus} CPU: {pool.purpose}"): None,
        "groupName": pool.name,
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": pool.most,
        "priority": pool.priority,
        "labels": dict(pool.labels),
        "rayStartParams": {},
        "template": _template(cluster, pool.name, pool.machine),
    }


def _template(cluster: Cluster, pool: str, machine: Machine) -> dict[Any, Any]:
    is_head = pool == "head"
    size = {"cpu": str(machine.cpus), "memory": f"{machine.memory}Gi"}
    if machine.gpus:
        size["nvidia.com/gpu"] = str(machine.gpus)
    spec: dict[Any, Any] = {
        "restartPolicy": "Never",
        Note("After SIGTERM, which announces that a spot machine goes, for a checkpoint."): None,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        "containers": [_container(cluster, "ray-head" if is_head else "ray-worker", size)],
        Note("The object store; it counts as memory of the container."): None,
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{max(1, machine.memory * 3 // 10)}Gi"}}
        ],
    }
    if not is_head:
        spec["nodeSelector"] = {POOL_KEY: pool}
        spec["tolerations"] = [
            {"key": key, "operator": "Exists", "effect": "NoSchedule"}
            for key in (POOL_KEY, *(["nvidia.com/gpu"] if machine.gpus else []))
        ]
    return {"metadata": {"labels": {"app.kubernetes.io/name": "raydet", POOL_KEY: pool}}, "spec": spec}


def _container(cluster: Cluster, name: str, size: dict[str, str]) -> dict[Any, Any]:
    ports = {"gcs-server": 6379, "dashboard": 8265, "metrics": 8080}
    container: dict[Any, Any] = {
        "name": name,
        "image": cluster.image or "<IMAGE>",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": variable, "value": value} for variable, value in SETTINGS.items()],
        "envFrom": [{"secretRef": {"name": "raydet-storage", "optional": True}}],
        "resources": {"limits": size, "requests": size},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }
    if name == "ray-head":
        container["ports"] = [{"name": port, "containerPort": number} for port, number in ports.items()]
    return container
