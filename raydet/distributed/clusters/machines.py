"""Sizes of machines that clusters are made of."""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """A size of machine, or of a pod on Kubernetes.

    Args:
        name: as the platform calls it.
        cpus: vCPUs.
        gpus: whole GPUs.
        memory: in GiB.
        chip: kind of the GPUs.
        dollars: an hour on demand, as listed in the US at the end of 2025; 0 where there is no list price.
    """

    name: str
    cpus: int
    gpus: int
    memory: int
    chip: str = ""
    dollars: float = 0.0

    def __str__(self) -> str:
        gpus = f", {self.gpus} {self.chip or 'GPU'}" if self.gpus else ""
        return f"{self.name} ({self.cpus} CPU{gpus}, {self.memory} GiB)"


class Defaults(NamedTuple):
    """What a cluster of a platform is made of unless told otherwise."""

    head: str
    gpu: str
    data: str
    region: str = ""


MACHINES = {
    "aws": (
        Machine("m6i.2xlarge", 8, 0, 32, dollars=0.38),
        Machine("c6i.4xlarge", 16, 0, 32, dollars=0.68),
        Machine("c6i.8xlarge", 32, 0, 64, dollars=1.36),
        Machine("g4dn.xlarge", 4, 1, 16, "T4", 0.53),
        Machine("g5.xlarge", 4, 1, 16, "A10G", 1.01),
        Machine("g5.2xlarge", 8, 1, 32, "A10G", 1.21),
        Machine("g5.12xlarge", 48, 4, 192, "A10G", 5.67),
        Machine("g6.xlarge", 4, 1, 16, "L4", 0.80),
        Machine("g6.12xlarge", 48, 4, 192, "L4", 4.60),
        Machine("p4d.24xlarge", 96, 8, 1152, "A100", 21.96),
        Machine("p5.48xlarge", 192, 8, 2048, "H100", 55.04),
    ),
    "gcp": (
        Machine("n2-standard-8", 8, 0, 32, dollars=0.39),
        Machine("c2-standard-16", 16, 0, 64, dollars=0.84),
        Machine("g2-standard-8", 8, 1, 32, "L4", 0.85),
        Machine("g2-standard-48", 48, 4, 192, "L4", 4.00),
        Machine("a2-highgpu-1g", 12, 1, 85, "A100", 3.67),
        Machine("a2-highgpu-8g", 96, 8, 680, "A100", 29.39),
        Machine("a3-highgpu-8g", 208, 8, 1872, "H100", 88.25),
    ),
    "azure": (
        Machine("Standard_D8s_v5", 8, 0, 32, dollars=0.38),
        Machine("Standard_F16s_v2", 16, 0, 32, dollars=0.68),
        Machine("Standard_NC4as_T4_v3", 4, 1, 28, "T4", 0.53),
        Machine("Standard_NV36ads_A10_v5", 36, 1, 440, "A10", 3.20),
        Machine("Standard_NC24ads_A100_v4", 24, 1, 220, "A100", 3.67),
        Machine("Standard_NC40ads_H100_v5", 40, 1, 320, "H100", 6.98),
        Machine("Standard_ND96asr_v4", 96, 8, 900, "A100", 27.20),
    ),
    "kuberay": (
        Machine("head-pod", 4, 0, 16),
        Machine("data-pod", 15, 0, 28),
        Machine("gpu-pod", 7, 1, 28),
        Machine("gpu-pod-4", 44, 4, 180),
        Machine("gpu-pod-8", 90, 8, 1000),
    ),
}
"""Pods are a little smaller than the machines that they run on, which need some for themselves."""

DEFAULTS = {
    "aws": Defaults("m6i.2xlarge", "g5.2xlarge", "c6i.4xlarge", "us-west-2"),
    "gcp": Defaults("n2-standard-8", "g2-standard-8", "c2-standard-16", "us-west1"),
    "azure": Defaults("Standard_D8s_v5", "Standard_NC24ads_A100_v4", "Standard_F16s_v2", "westus2"),
    "kuberay": Defaults("head-pod", "gpu-pod", "data-pod"),
}


def find_machine(platform: str, text: str) -> Machine:
    """The machine that a platform calls so, or a size of one's own written as `NAME:CPUS:GPUS:GIB`.

    Raises:
        ValueError: no such machine is known, or the size is not written like that.
    """
    name, *numbers = text.split(":")
    if numbers:
        if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
            raise ValueError(f"a size of one's own is NAME:CPUS:GPUS:GIB, such as g6e.xlarge:4:1:32, got {text!r}")
        cpus, gpus, memory = (int(number) for number in numbers)
        return Machine(name, cpus, gpus, memory)
    for machine in MACHINES[platform]:
        if machine.name == name:
            return machine
    known = ", ".join(machine.name for machine in MACHINES[platform])
    raise ValueError(
        f"{text!r} is no machine of {platform} that raydet knows ({known}); give its size as {text}:CPUS:GPUS:GIB"
    )
