"""Data sets of a run, from its config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

from raydet.config import Config
from raydet.datasets import Carrier, build_dataset, loader_settings, replace_ImageToTensor
from raydet.datasets.lanes import LaneCarrier
from raydet.engine.elastic import ElasticBatch
from raydet.engine.environment import Environment


class MakeCarrier(Protocol):
    """Brings a data set to one process as batches; `raydet.datasets.build_carrier` is one."""

    def __call__(
        self,
        dataset: Any,
        data: Mapping[str, Any],
        split: str,
        *,
        rank: int,
        world_size: int,
        seed: int | None,
        work_dir: str | None,
    ) -> Carrier:
        """A carrier.

        Args:
            dataset: the built data set.
            data: the config's `data`, with the settings of loaders.
            split: "train", "val" or "test"; training shuffles, the others go once through the samples in order.
            rank: this process.
            world_size: number of processes.
            seed: of the order, the same on all ranks.
            work_dir: where bad samples are listed.
        """


def training_datasets(cfg: Config) -> list[Any]:
    """A data set for every phase of the workflow; a validation phase sees `data.val` through the training pipeline."""
    data = cfg["data"]
    datasets = []
    for mode, _ in cfg.get("workflow", [("train", 1)]):
        section = data["train"]
        if mode == "val":
            section = copy.deepcopy(data["val"])
            section["pipeline"] = _training_pipeline(data["train"])
        datasets.append(build_dataset(section))
    return datasets


def evaluation_dataset(cfg: Config, split: str) -> Any:
    """`data.val` or `data.test`, with a pipeline that fits the size of its batches."""
    section = copy.deepcopy(cfg["data"].get(split))
    if section is None:
        raise ValueError(f"the config has no data.{split}")
    if loader_settings(cfg["data"], split)["samples_per_gpu"] > 1:
        for each in section if isinstance(section, (list, tuple)) else [section]:
            each["pipeline"] = replace_ImageToTensor(each["pipeline"])
    return build_dataset(section, {"test_mode": True})


def carrier_for(
    cfg: Config, dataset: Any, split: str, environment: Environment, make_carrier: MakeCarrier, seed: int | None
) -> Carrier:
    """The carrier of a data set in a run; one that counts iterations trains on a plan without epochs."""
    endless = split == "train" and cfg.get("runner", {}).get("type") == "IterBasedRunner"
    return make_carrier(
        dataset,
        {**cfg["data"], "endless": True} if endless else cfg["data"],
        split,
        rank=environment.rank,
        world_size=environment.world_size,
        seed=seed,
        work_dir=str(environment.work_dir),
    )


def training_carrier(
    cfg: Config, dataset: Any, environment: Environment, make_carrier: MakeCarrier, seed: int, elastic: ElasticBatch
) -> Carrier:
    """The carrier of a training phase; of a process with several lanes, one that brings a batch of each."""
    data = Config({"data": {**cfg["data"], **elastic.loader_options()}, "runner": cfg.get("runner", {})})
    carrier = carrier_for(data, dataset, "train", environment, make_carrier, seed)
    num_lanes = len(elastic.lanes(environment.rank))
    return carrier if elastic.ranks == environment.world_size else LaneCarrier(carrier, num_lanes)


def _training_pipeline(section: Any) -> Any:
    """The pipeline of the innermost data set of a training section."""
    while not (isinstance(section, Mapping) and "pipeline" in section):
        if isinstance(section, (list, tuple)):
            section = section[0]
        elif "dataset" in section:
            section = section["dataset"]
        elif "datasets" in section:
            section = section["datasets"][0]
        else:
            raise ValueError("data.train names no pipeline, which the validation phase of the workflow needs")
    return section["pipeline"]
