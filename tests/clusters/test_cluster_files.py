"""Cluster files: what is shipped is what is rendered, and Ray and Kubernetes understand it."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from cluster_files import change, problems_of, written

from raydet.config import shipped_root
from raydet.distributed.clusters.check import check_file
from raydet.distributed.clusters.pools import Cluster
from raydet.distributed.clusters.render import TARGETS, render
from raydet.distributed.clusters.text import Note, read_yaml, write_yaml

CLUSTERS = shipped_root("clusters")
ROOT = Path(__file__).parents[2]
LAUNCHERS = ("aws", "gcp", "azure")
PLACEHOLDERS = {
    "aws": {"<AWS_ACCOUNT_ID>", "<WHEEL>"},
    "gcp": {"<GCP_PROJECT_ID>", "<GPU_VM_IMAGE>", "<WHEEL>"},
    "azure": {"<AZURE_RESOURCE_GROUP>", "<AZURE_SUBSCRIPTION_ID>", "<WHEEL>"},
    "kuberay-cluster": {"<IMAGE>"},
    "kuberay-job": {"<BUCKET>", "<CONFIG>", "<IMAGE>", "<RUN>", "<WORKING_DIR_ZIP>"},
    "kuberay-service": {"<IMAGE>", "<SERVE_APPLICATION>", "<SERVE_DEPLOYMENT>"},
}


def pools_of(target, document):
    """Name, CPUs, GPUs, most nodes, labels and priority of each pool beside the head."""
    if target in LAUNCHERS:
        types = {name: node for name, node in document["available_node_types"].items() if name != "head"}
        return {
            name: (*_size(node["resources"], "CPU", "GPU"), node["max_workers"], node["labels"], node["priority"])
            for name, node in types.items()
        }
    spec = document["spec"]
    spec = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    found = {}
    for group in spec["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        size = _size(limits, "cpu", "nvidia.com/gpu")
        found[group["groupName"]] = (*size, group["maxReplicas"], group["labels"], group["priority"])
    return found


def _size(resources, cpus, gpus):
    return int(resources[cpus]), int(resources.get(gpus, 0))


def test_shipped_files_are_what_is_rendered():
    spec = importlib.util.spec_from_file_location("render_clusters", ROOT / "tools" / "render_clusters.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [path.name for path, text in module.shipped().items() if path.read_text() != text]
    assert not stale, "run `make clusters`"


@pytest.mark.parametrize("target", TARGETS)
def test_shipped_file_is_free_of_mistakes_and_names_what_to_fill_in(target):
    report = check_file(CLUSTERS / f"{target}.yaml")
    assert report.problems == []
    assert set(report.missing) == PLACEHOLDERS[target]


@pytest.mark.parametrize("target", TARGETS)
def test_every_platform_has_the_same_pools(target):
    cluster = Cluster(TARGETS[target].platform)
    document = read_yaml(CLUSTERS / f"{target}.yaml")
    wanted = {
        pool.name: (pool.machine.cpus, pool.machine.gpus, pool.most, dict(pool.labels), pool.priority)
        for pool in cluster.pools
    }
    assert pools_of(target, document) == wanted
    assert {name: labels["pool"] for name, (_, _, _, labels, _) in wanted.items()} == {
        "train-spot": "train",
        "train": "train",
        "data": "data",
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "options",
    [
        {"market": "spot", "data_nodes": 0, "image": "registry/raydet:1"},
        {"market": "on-demand", "max_workers": 2, "idle_minutes": 3, "name": "mine", "region": "eu-west-1"},
        {"gpu": "big:96:8:1100", "data": "broad:128:0:256", "image": "registry/raydet:1"},
    ],
)
def test_rendered_file_is_free_of_mistakes(target, options, tmp_path):
    path = written(tmp_path, render(target, **options))
    assert check_file(path).problems == []
    pools = pools_of(target, read_yaml(path))
    assert ("train-spot" in pools) == (options.get("market") != "on-demand")
    assert max(most for _, gpus, most, _, _ in pools.values() if gpus) == options.get("max_workers", 8)


def test_render_fills_in_placeholders(tmp_path):
    text = render("aws", image="r/i:1", fill={"AWS_ACCOUNT_ID": "123456789012", "BUCKET": "mine"})
    assert check_file(written(tmp_path, text)).missing == {}
    assert "s3://mine/runs" in text
    with pytest.raises(ValueError, match=r"no <AWS_ACCOUNT> to fill in; it has <AWS_ACCOUNT_ID>"):
        render("aws", fill={"AWS_ACCOUNT": "1"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpu": "g99.huge"}, r"'g99.huge' is no machine of aws .*g99.huge:CPUS:GPUS:GIB"),
        ({"gpu": "m6i.2xlarge"}, "has no GPU"),
        ({"gpu": "x:1:2"}, "NAME:CPUS:GPUS:GIB"),
        ({"max_workers": 0}, "max_workers and idle_minutes are 1 or more"),
        ({"market": "cheap"}, "market must be one of"),
    ],
)
def test_render_refuses_what_makes_no_cluster(options, message):
    with pytest.raises(ValueError, match=message):
        render("aws", **options)


def test_render_of_an_unknown_kind_lists_those_there_are():
    with pytest.raises(ValueError, match="'aliyun' is no kind of cluster file; there are aws, gcp"):
        render("aliyun")


@pytest.mark.parametrize(
    ("target", "key", "value", "wanted"),
    [
        ("aws", "idle_timeout_minuts", 5, "idle_timeout_minuts: unknown key, did you mean 'idle_timeout_minutes'?"),
        ("aws", "provider.regoin", "x", "provider.regoin: unknown key, did you mean 'region'?"),
        (
            "aws",
            "available_node_types.train.node_config.InstanceTyp",
            "x",
            "available_node_types.train.node_config.InstanceTyp: unknown key, did you mean 'InstanceType'?",
        ),
        (
            "aws",
            "available_node_types.train.resources.GPU",
            0.5,
            "available_node_types.train.resources.GPU: 0.5 is not",
        ),
        ("aws", "available_node_types.train.resources.GPU", 4, "available_node_types.train.resources.GPU: 4, but g5"),
        ("aws", "available_node_types.train.max_workers", -1, "max_workers: -1 is not a number of nodes"),
        ("aws", "head_node_type", "boss", "Ray refuses it"),
        ("aws", "available_node_types.data.labels", {"ray.io/x": "y"}, "labels that start with ray.io/ are Ray's own"),
        ("aws", "available_node_types.data.node_config", {}, "InstanceType is missing"),
        (
            "aws",
            "worker_start_ray_commands",
            ["ray start"],
            "worker_start_ray_commands: RAY_AUTH_MODE=token is not set",
        ),
        (
            "aws",
            "head_start_ray_commands",
            ["RAY_AUTH_MODE=token ray start --head --dashboard-host 0.0.0.0"],
            "the dashboard runs any code",
        ),
        ("gcp", "setup_commands", None, "setup_commands: missing"),
        (
            "gcp",
            "available_node_types.train.node_config.disk",
            [],
            "node_config.disk: unknown key, did you mean 'disks'?",
        ),
        (
            "azure",
            "available_node_types.train.node_config.azure_arm_parameters.vmsize",
            "x",
            "azure_arm_parameters.vmsize: unknown key, did you mean 'vmSize'?",
        ),
        ("kuberay-cluster", "spec.rayVersoin", "1", "spec.rayVersoin: unknown key, did you mean 'rayVersion'?"),
        (
            "kuberay-cluster",
            "spec.headGroupSpec.template",
            None,
            "spec.headGroupSpec: 'template' is a required property",
        ),
        (
            "kuberay-cluster",
            "spec.workerGroupSpecs.0.replicas",
            99,
            "spec.workerGroupSpecs[0].replicas: 99 is not between",
        ),
        ("kuberay-cluster", "spec.workerGroupSpecs.1.groupName", "train-spot", "two groups are called 'train-spot'"),
        (
            "kuberay-cluster",
            "spec.workerGroupSpecs.0.template.spec.containers.0.resources",
            {},
            "Ray's autoscaler cannot read it",
        ),
        ("kuberay-cluster", "spec.workerGroupSpecs.2.template.spec.volumes", [], "there is no volume 'shm'"),
        ("kuberay-cluster", "spec.workerGroupSpecs.2.template.spec.restartPolicy", "Always", "must be Never"),
        ("kuberay-cluster", "spec.workerGroupSpecs.2.template.spec.nodeSelctor", {}, "did you mean 'nodeSelector'?"),
        ("kuberay-cluster", "spec.headGroupSpec.serviceType", "LoadBalancer", "opens the head to the outside"),
        ("kuberay-cluster", "spec.headGroupSpec.rayStartParams", {"num-cpus": 0}, "0 is not of type 'string'"),
        ("kuberay-cluster", "spec.authOptions", {"mode": "disabled"}, "spec.authOptions.mode: must be token"),
        ("kuberay-cluster", "spec.authOptions", None, "spec.authOptions.mode: must be token"),
        ("kuberay-job", "spec.entrypoints", "x", "spec.entrypoints: unknown key, did you mean 'entrypoint'?"),
        ("kuberay-job", "spec.submissionMode", "Post", "spec.submissionMode: 'Post' is not one of"),
        ("kuberay-service", "spec.serveConfig", "x", "spec.serveConfig: unknown key"),
    ],
)
def test_check_finds_a_mistake_and_its_key(target, key, value, wanted, tmp_path):
    found = problems_of(tmp_path, change(read_yaml(CLUSTERS / f"{target}.yaml"), key, value))
    assert any(wanted in problem for problem in found), found


def test_check_finds_all_mistakes_at_once(tmp_path):
    document = change(read_yaml(CLUSTERS / "aws.yaml"), "provider.regoin", "x")
    document = change(document, "max_worker", 3)
    document = change(document, "available_node_types.train.max_workers", "many")
    found = problems_of(tmp_path, document)
    assert {problem.split(":")[0] for problem in found} == {
        "max_worker",
        "available_node_types.train.max_workers",
        "provider.regoin",
    }


def test_check_of_a_key_that_is_there_twice_names_it(tmp_path):
    path = written(tmp_path, "cluster_name: a\nprovider: {type: aws}\ncluster_name: b\n")
    with pytest.raises(ValueError, match="the key 'cluster_name' is there twice"):
        check_file(path)


def test_check_of_another_file_says_what_it_wants(tmp_path):
    with pytest.raises(ValueError, match="describes no cluster"):
        check_file(written(tmp_path, "model: {type: RetinaNet}\n"))


def test_notes_become_comments_where_they_stand():
    text = write_yaml({Note("above"): None, "a": [{Note("in an item"): None, "b": 1, Note("inside"): None, "c": [2]}]})
    assert text == "# above\na:\n  # in an item\n  - b: 1\n    # inside\n    c:\n      - 2\n"
    assert yaml.safe_load(text) == {"a": [{"b": 1, "c": [2]}]}
