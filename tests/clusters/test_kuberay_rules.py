"""What KubeRay's operator would refuse is found before a file is applied, with its key."""

import pytest
from cluster_files import change, problems_of, shipped

EQUAL = {f"spec.workerGroupSpecs.{number}.priority": 0 for number in range(3)}
REDIS = {"redisAddress": "redis:6379"}
ENV = "spec.headGroupSpec.template.spec.containers.0.env"
POD = {"spec": {"containers": [{"name": "submitter"}]}}
BY_END = {"onSuccess": {"policy": "DeleteWorkers"}, "onFailure": {"policy": "DeleteSelf"}}
BY_RULES = {"spec.shutdownAfterJobFinishes": False, "spec.ttlSecondsAfterFinished": 0}
TWICE = [{"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED"}}] * 2
FALLING = [
    {"policy": "DeleteCluster", "condition": {"jobStatus": "FAILED", "ttlSeconds": 9}},
    {"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED"}},
]


@pytest.mark.parametrize(
    ("target", "changes", "wanted"),
    [
        ("cluster", {"metadata.name": "a" * 54}, "metadata.name: "),
        ("cluster", {"metadata.name": "1st"}, "metadata.name: '1st' does not match"),
        ("job", {"metadata.name": "a" * 48}, "metadata.name: "),
        (
            "cluster",
            {"spec.rayVersion": None},
            "spec.rayVersion: the priority of a group needs Ray 2.56 or newer, got ''",
        ),
        (
            "cluster",
            {"spec.rayVersion": "2.9.1", **EQUAL},
            "spec.rayVersion: authentication by token needs Ray 2.52 or",
        ),
        ("cluster", {"spec.authOptions": {}}, "spec.authOptions.mode: must be token"),
        (
            "cluster",
            {"spec.authOptions": {"mode": "token", "enableK8sTokenAuth": True, "secretName": "s"}},
            "spec.authOptions.secretName: of no use with enableK8sTokenAuth",
        ),
        (
            "job",
            {"spec.rayClusterSpec.authOptions.enableK8sTokenAuth": True},
            "spec.rayClusterSpec.authOptions.enableK8sTokenAuth: is for a RayCluster alone",
        ),
        (
            "service",
            {"spec.rayClusterConfig.upgradeStrategy": {"type": "Recreate"}},
            "spec.rayClusterConfig.upgradeStrategy.type: is for a RayCluster alone",
        ),
        ("cluster", {"spec.workerGroupSpecs.0.minReplicas": 9}, "spec.workerGroupSpecs[0].minReplicas: 9 is more"),
        ("cluster", {"spec.workerGroupSpecs.0.suspend": True}, "spec.workerGroupSpecs[0].suspend: a group cannot be"),
        ("cluster", {"spec.workerGroupSpecs.0.replicas": 2**31}, "spec.workerGroupSpecs[0].replicas: 2147483648 is"),
        ("cluster", {"spec.workerGroupSpecs.0.labels": {"a b": "c"}}, "spec.workerGroupSpecs[0].labels: 'a b' does"),
        (
            "cluster",
            {"spec.headGroupSpec.resources": {"CPU": "0"}},
            "spec.headGroupSpec.rayStartParams.num-cpus: spec.headGroupSpec.resources says how large nodes are",
        ),
        (
            "cluster",
            {"spec.workerGroupSpecs.0.rayStartParams": {"labels": "a=b"}},
            "spec.workerGroupSpecs[0].rayStartParams.labels: labels of nodes stand in spec.workerGroupSpecs[0].labels",
        ),
        (
            "cluster",
            {"spec.gcsFaultToleranceOptions": {**REDIS, "storage": {"claimName": "c"}}},
            "spec.gcsFaultToleranceOptions.storage: is for backend: rocksdb",
        ),
        (
            "cluster",
            {"spec.gcsFaultToleranceOptions": {**REDIS, "backend": "rocksdb"}},
            "spec.gcsFaultToleranceOptions.redisAddress: is for backend: redis",
        ),
        (
            "cluster",
            {ENV: [{"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}]},
            "spec.headGroupSpec.template.spec.containers[0].env: the address of Redis stands in",
        ),
        (
            "cluster",
            {"spec.gcsFaultToleranceOptions": REDIS, "metadata.annotations": {"ray.io/ft-enabled": "true"}},
            "metadata.annotations.ray.io/ft-enabled: says the same as spec.gcsFaultToleranceOptions",
        ),
        (
            "cluster",
            {ENV: [{"name": "RAY_enable_autoscaler_v2", "value": "1"}]},
            "spec.headGroupSpec.template.spec.containers[0].env: RAY_enable_autoscaler_v2 says the same as",
        ),
        (
            "cluster",
            {"spec.networkPolicy": {"mode": "DenyAllEgress", "worker": {"ingressRules": [{}]}}},
            "spec.networkPolicy.worker.ingressRules: mode: DenyAllEgress lets all of it through",
        ),
        (
            "cluster",
            {"spec.networkPolicy": {"workerGroups": [{"groupName": "trian"}]}},
            "spec.networkPolicy.workerGroups[0].groupName: there is no group 'trian'",
        ),
        (
            "cluster",
            {"spec.tlsOptions": {"enabled": True}, ENV: [{"name": "RAY_USE_TLS", "value": "1"}]},
            "spec.headGroupSpec.template.spec.containers[0].env: tlsOptions sets RAY_USE_TLS itself",
        ),
        ("job", {"spec.rayClusterSpec": None}, "spec: 'rayClusterSpec' is a required property"),
        ("job", {"spec.shutdownAfterJobFinishes": False}, "spec.ttlSecondsAfterFinished: needs shutdownAfterJob"),
        ("job", {"spec.submissionMode": "InteractiveMode"}, "spec.backoffLimit: a job with submissionMode: Inter"),
        (
            "job",
            {"spec.submissionMode": "SidecarMode", "spec.submitterPodTemplate": POD},
            "spec.submitterPodTemplate: cannot be with submissionMode: SidecarMode",
        ),
        ("job", {"spec.runtimeEnvYAML": "a: [1"}, "spec.runtimeEnvYAML: not a YAML document"),
        ("job", {"spec.runtimeEnvYAML": "pip"}, "spec.runtimeEnvYAML: must be a mapping"),
        ("job", {"spec.deletionStrategy": {}}, "spec.deletionStrategy: needs deletionRules, or both of onSuccess"),
        (
            "job",
            {"spec.deletionStrategy": BY_END},
            "spec.deletionStrategy.onSuccess.policy: DeleteWorkers cannot be while the autoscaler is on",
        ),
        (
            "job",
            {"spec.deletionStrategy": {"deletionRules": TWICE[:1]}},
            "spec.deletionStrategy.deletionRules: say when the cluster goes; shutdownAfterJobFinishes must be false",
        ),
        (
            "job",
            {**BY_RULES, "spec.deletionStrategy": {"deletionRules": TWICE}},
            "spec.deletionStrategy.deletionRules[1]: there is a rule for DeleteSelf on FAILED already",
        ),
        (
            "job",
            {**BY_RULES, "spec.deletionStrategy": {"deletionRules": FALLING}},
            "spec.deletionStrategy.deletionRules: on FAILED, ttlSeconds must not fall",
        ),
        (
            "service",
            {"spec.upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade"}},
            "spec.upgradeStrategy.clusterUpgradeOptions: missing",
        ),
        (
            "service",
            {"spec.rayClusterConfig.headGroupSpec.headService": {"metadata": {"name": "mine"}}},
            "spec.rayClusterConfig.headGroupSpec.headService.metadata.name: a RayService names it itself",
        ),
    ],
)
def test_what_the_operator_refuses_is_found_at_its_key(target, changes, wanted, tmp_path):
    document = shipped(f"kuberay-{target}")
    for key, value in changes.items():
        document = change(document, key, value)
    (found,) = problems_of(tmp_path, document)
    assert found.startswith(wanted)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("spec.rayVersion", 2.6, "spec.rayVersion: 2.6 is not of type 'string'"),
        ("spec.autoscalerOptions.upscalingMode", "Fast", "spec.autoscalerOptions.upscalingMode: 'Fast' is not one of"),
        ("spec.workerGroupSpecs.2.numOfHost", 1, "spec.workerGroupSpecs[2].numOfHost: unknown key, did you mean"),
        ("spec.workerGroupSpecs.2.maxReplicas", None, "spec.workerGroupSpecs[2].maxReplicas: missing: the autoscaler"),
        ("spec.headGroupSpec.template.spec.volumes.0.emptyDir.sizeLimit", "1.2.3Gi", "spec.headGroupSpec.template"),
    ],
)
def test_one_mistake_is_one_sentence(key, value, wanted, tmp_path):
    (found,) = problems_of(tmp_path, change(shipped("kuberay-cluster"), key, value))
    assert found.startswith(wanted)


def test_restart_policy_of_autoscaler_v2_is_asked_of_a_cluster_with_autoscaler_alone(tmp_path):
    document = change(shipped("kuberay-cluster"), "spec.headGroupSpec.template.spec.restartPolicy", "Always")
    assert problems_of(tmp_path, document) == [
        "spec.headGroupSpec.template.spec.restartPolicy: must be Never: autoscaler v2 makes pods anew itself"
    ]
    assert problems_of(tmp_path, change(document, "spec.enableInTreeAutoscaling", False)) == []
