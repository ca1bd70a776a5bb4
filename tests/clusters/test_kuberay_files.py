"""Files for KubeRay: their fields are those of its operator and of Kubernetes."""

import json
from importlib import resources

import pytest
import yaml
from cluster_files import problems_of, shipped

from raydet.distributed.clusters.check_kuberay import kuberay_schema
from raydet.distributed.clusters.render import render

TARGETS = ("kuberay-cluster", "kuberay-job", "kuberay-service")


def pods_of(document):
    spec = document["spec"]
    spec = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("options", [{}, {"gpu": "big:96:8:1100", "data_nodes": 0, "image": "registry/raydet:1"}])
def test_rendered_pods_are_pods_of_kubernetes(target, options):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for template in pods_of(yaml.safe_load(render(target, **options))):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        assert kubernetes_validate.validate(pod, "1.36", strict=True) == "1.36"


OF_KUBERNETES = {
    "template": "PodTemplateSpec",
    "podSpec": "PodSpec",
    "podSecurityContext": "PodSecurityContext",
    "affinity": "Affinity",
    "toleration": "Toleration",
    "volume": "Volume",
    "emptyDir": "EmptyDirVolumeSource",
    "container": "Container",
    "securityContext": "SecurityContext",
    "capabilities": "Capabilities",
    "port": "ContainerPort",
    "resources": "ResourceRequirements",
    "volumeMount": "VolumeMount",
    "variable": "EnvVar",
    "variables": "EnvFromSource",
    "valueFrom": "EnvVarSource",
    "keyOf": "SecretKeySelector",
    "source": "SecretEnvSource",
}


@pytest.fixture(scope="module")
def kubernetes():
    """Definitions of Kubernetes 1.36, as a package has them."""
    package = resources.files(pytest.importorskip("kubernetes_validate"))
    path = package / "kubernetes-json-schema" / "v1.36.0-local-strict" / "_definitions.json"
    return json.loads(path.read_text())["$defs"]


@pytest.mark.parametrize(("ours", "theirs"), OF_KUBERNETES.items())
def test_pods_have_the_fields_of_kubernetes(kubernetes, ours, theirs):
    schema, wanted = kuberay_schema()["definitions"][ours], kubernetes[f"io.k8s.api.core.v1.{theirs}"]
    assert set(schema["properties"]) == set(wanted["properties"])
    assert set(schema.get("required", [])) >= set(wanted.get("required", []))
    for field, part in schema["properties"].items():
        kinds = wanted["properties"][field].get("type")
        if "type" in part and kinds:
            assert part["type"] in (kinds if isinstance(kinds, list) else [kinds]), field


def full_cluster():
    """A RayCluster with every field that KubeRay 1.7.0 has, as far as they may stand together."""
    spec = shipped("kuberay-cluster")["spec"]
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}]
    size = {"limits": {"cpu": 1, "memory": "1e9"}}
    extra = {"env": env, "imagePullPolicy": "Always", "image": "i", "resources": size}
    spec |= {
        "suspend": False,
        "managedBy": "kueue.x-k8s.io/multikueue",
        "authOptions": {"mode": "token", "secretName": "token"},
        "upgradeStrategy": {"type": "Recreate"},
        "headServiceAnnotations": {"a": "b"},
        "gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": {"size": "1Gi", "deletionPolicy": "Retain"}},
        "historyServerOptions": {"collectorOptions": extra},
        "networkPolicy": {
            "mode": "DenyAllIngress",
            "head": {"ingressRules": [{"from": [{"podSelector": {}}], "ports": [{"port": 8265}]}]},
            "workerGroups": [{"groupName": "train", "ingressRules": []}],
        },
        "tlsOptions": {"enabled": True},
    }
    spec["autoscalerOptions"] |= {
        **extra,
        "command": ["/bin/bash"],
        "args": ["-c", "$KUBERAY_GEN_AUTOSCALER_START_CMD"],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "securityContext": {"runAsUser": 1000},
    }
    spec["headGroupSpec"] |= {
        "headService": {"metadata": {"name": "head"}, "spec": {"clusterIP": "None"}},
        "ingressOptions": {"host": "h", "path": "/", "pathType": "Exact", "tls": [{"hosts": ["h"], "secretName": "s"}]},
    }
    spec["workerGroupSpecs"][0] |= {"suspend": False, "numOfHosts": 2, "idleTimeoutSeconds": 60, "priority": -1}
    spec["workerGroupSpecs"][0] |= {"resources": {"CPU": "7"}, "scaleStrategy": {"workersToDelete": ["pod"]}}
    return spec


def of_kind(kind, spec):
    return {"apiVersion": "ray.io/v1", "kind": kind, "metadata": {"name": "mine"}, "spec": spec}


def full_job():
    cluster = shipped("kuberay-job")["spec"]["rayClusterSpec"]
    rules = [
        {"policy": "DeleteCluster", "condition": {"jobStatus": "SUCCEEDED", "ttlSeconds": 60}},
        {"policy": "DeleteSelf", "condition": {"jobStatus": "SUCCEEDED", "ttlSeconds": 600}},
        {"policy": "DeleteSelf", "condition": {"jobDeploymentStatus": "Failed"}},
    ]
    return {
        "activeDeadlineSeconds": 1,
        "preRunningDeadlineSeconds": 1,
        "backoffLimit": 0,
        "rayClusterSpec": cluster,
        "submitterPodTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "submitter"}]}},
        "metadata": {"a": "b"},
        "submitterConfig": {"backoffLimit": 2},
        "managedBy": "ray.io/kuberay-operator",
        "deletionStrategy": {"deletionRules": rules},
        "entrypoint": "raydet train x.py",
        "runtimeEnvYAML": "working_dir: s3://b/w.zip\n",
        "jobId": "first",
        "submissionMode": "K8sJobMode",
        "entrypointResources": '{"disk": 1}',
        "entrypointNumCpus": 0.5,
        "entrypointNumGpus": 0,
        "ttlSecondsAfterFinished": 0,
        "shutdownAfterJobFinishes": False,
        "suspend": False,
    }


def full_service():
    steps = {"maxSurgePercent": 50, "stepSizePercent": 10, "intervalSeconds": 30, "gatewayClassName": "g"}
    return {
        "rayClusterDeletionDelaySeconds": 60,
        "serviceUnhealthySecondThreshold": 1,
        "deploymentUnhealthySecondThreshold": 1,
        "serveService": {"metadata": {"name": "serve"}},
        "upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": steps},
        "managedBy": "ray.io/kuberay-operator",
        "serveConfigV2": "applications: []\n",
        "rayClusterConfig": shipped("kuberay-service")["spec"]["rayClusterConfig"],
        "excludeHeadPodFromServeSvc": True,
        "suspend": False,
    }


FULL = {
    "RayCluster": full_cluster,
    "RayJob": full_job,
    "RayService": full_service,
    "RayCronJob": lambda: {"schedule": "0 3 * * *", "timeZone": "UTC", "suspend": False, "jobTemplate": full_job()},
}
SPEC_OF = {"RayCluster": "clusterSpec", "RayJob": "jobSpec", "RayService": "serviceSpec", "RayCronJob": "cronJobSpec"}


@pytest.mark.parametrize("kind", FULL)
def test_every_field_of_the_operator_is_known(kind, tmp_path):
    spec = FULL[kind]()
    assert problems_of(tmp_path, of_kind(kind, spec)) == []
    assert set(kuberay_schema()["definitions"][SPEC_OF[kind]]["properties"]) - set(spec) <= {"clusterSelector"}


def test_what_the_operator_fills_in_may_be_missing(tmp_path):
    spec = shipped("kuberay-cluster")["spec"]
    for key in ("replicas", "minReplicas", "rayStartParams"):
        del spec["workerGroupSpecs"][0][key]
    del spec["headGroupSpec"]["template"]["spec"]["restartPolicy"]
    assert problems_of(tmp_path, of_kind("RayCluster", spec)) == []


def test_job_on_a_cluster_that_is_there_needs_none_of_its_own(tmp_path):
    job = {"entrypoint": "raydet train x.py", "clusterSelector": {"ray.io/cluster": "raydet"}}
    assert problems_of(tmp_path, of_kind("RayJob", job)) == []
