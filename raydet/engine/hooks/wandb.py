"""The numbers of a run, its checkpoints and its predictions for Weights & Biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from raydet.engine.hooks.checkpoint import CheckpointHook
from raydet.engine.hooks.evaluation import EvalHook
from raydet.engine.hooks.logger import LoggerHook
from raydet.engine.hooks.trackers import import_tracker

LOGS = (".log.json", ".log", ".py")


class WandbRun:
    """A run at Weights & Biases: mix it in before `LoggerHook`.

    Args:
        init_kwargs: arguments of `wandb.init`, such as `dict(project="nuclei")`.
        commit: as in `wandb.log`.
        with_step: give each record its iteration; else log that as `global_step`.
        log_artifact: store the files of the work dir that end with `out_suffix` when the run is over.
        out_suffix: see there.
        define_metric_cfg: how to sum metrics up, such as `{"val/bbox_mAP": "max"}`.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone: ClassVar[bool] = True
    get_loggable_tags: Callable[..., dict[str, Any]]
    get_iter: Callable[..., int]

    def __init__(
        self,
        init_kwargs: Mapping[str, Any] | None = None,
        commit: bool = True,
        with_step: bool = True,
        log_artifact: bool = True,
        out_suffix: str | Sequence[str] = LOGS,
        define_metric_cfg: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.wandb = import_tracker("wandb", self)
        self.init_kwargs = init_kwargs
        self.commit = commit
        self.with_step = with_step
        self.log_artifact = log_artifact
        self.out_suffix = out_suffix if isinstance(out_suffix, str) else tuple(out_suffix)
        self.define_metric_cfg = define_metric_cfg

    def start(self, runner: Any) -> None:
        """Begin the run."""
        self.wandb.init(**(self.init_kwargs or {}))
        for metric, summary in (self.define_metric_cfg or {}).items():
            self.wandb.define_metric(metric, summary=summary)

    def log(self, runner: Any) -> None:
        """Send one record."""
        tags, step = self.get_loggable_tags(runner), self.get_iter(runner)
        if self.with_step:
            self.wandb.log(tags, step=step, commit=self.commit)
        else:
            self.wandb.log({**tags, "global_step": step}, commit=self.commit)

    def finish(self, runner: Any) -> None:
        """Store the log files and end the run."""
        files = sorted(path for path in Path(runner.work_dir).iterdir() if path.name.endswith(self.out_suffix))
        if self.log_artifact and files:
            self.store(files, "artifacts")
        self.wandb.finish()

    def store(
        self,
        files: Sequence[Path],
        name: str,
        kind: str = "model",
        metadata: Mapping[str, Any] | None = None,
        aliases: Sequence[str] = (),
    ) -> None:
        """Store files as an artifact."""
        artifact = self.wandb.Artifact(name=name, type=kind, metadata=dict(metadata or {}))
        for file in files:
            artifact.add_file(str(file))
        self.wandb.log_artifact(artifact, aliases=list(aliases) or None)


class WandbLoggerHook(WandbRun, LoggerHook):
    """Writes metrics to Weights & Biases, and the log files at the end; the arguments are those of `WandbRun`."""


class MMDetWandbHook(WandbRun, LoggerHook):
    """Writes metrics, checkpoints and predictions on validation images to Weights & Biases.

    Args:
        init_kwargs: arguments of `wandb.init`.
        interval: iterations between records.
        log_checkpoint: store every checkpoint that `CheckpointHook` writes.
        log_checkpoint_metadata: store the metrics with it.
        num_eval_images: how many validation images are shown with objects and predictions; 0 for none.
        bbox_score_thr: predictions below this score are not shown.
        **options: as in `WandbRun`.
    """

    def __init__(
        self,
        init_kwargs: Mapping[str, Any] | None = None,
        interval: int = 50,
        log_checkpoint: bool = False,
        log_checkpoint_metadata: bool = False,
        num_eval_images: int = 100,
        bbox_score_thr: float = 0.3,
        **options: Any,
    ) -> None:
        super().__init__(init_kwargs, interval=interval, **options)
        self.log_checkpoint = log_checkpoint
        self.log_checkpoint_metadata = log_checkpoint_metadata
        self.num_eval_images = num_eval_images
        self.bbox_score_thr = bbox_score_thr
        self._evaluation: EvalHook | None = None
        self._stored: str | None = None

    def before_run(self, runner: Any) -> None:
        self._evaluation = _hook_of(runner, EvalHook)
        if self._evaluation is not None and self.num_eval_images > 0:
            self._evaluation.keep_results = True
        super().before_run(runner)

    def start(self, runner: Any) -> None:
        super().start(runner)
        config = runner.meta.get("config")
        if config:
            self.wandb.config.update({"config": config})
        wishes = {
            "log_checkpoint": (self.log_checkpoint, _hook_of(runner, CheckpointHook)),
            "log_checkpoint_metadata": (self.log_checkpoint_metadata, self._evaluation),
            "num_eval_images": (self.num_eval_images > 0, self._evaluation),
        }
        for name, (wanted, hook) in wishes.items():
            if wanted and hook is None:
                runner.logger.warning(f"MMDetWandbHook.{name} has no effect: the run has no hook to take it from")

    def after_train_iter(self, runner: Any) -> None:
        super().after_train_iter(runner)
        self._follow(runner)

    def after_train_epoch(self, runner: Any) -> None:
        super().after_train_epoch(runner)
        self._follow(runner)

    def _follow(self, runner: Any) -> None:
        """Store the checkpoint and the predictions that are new since the last call."""
        if runner.rank != 0:
            return
        newest = (runner.meta.get("hook_msgs") or {}).get("last_ckpt")
        if self.log_checkpoint and newest not in (None, self._stored):
            self._stored = newest
            metadata = {"epoch": runner.epoch + 1, **runner.metrics} if self.log_checkpoint_metadata else None
            name = f"run_{self.wandb.run.id}_model"
            self.store([Path(newest)], name, metadata=metadata, aliases=[Path(newest).stem, "latest"])
        if self._evaluation is not None and self._evaluation.latest_results is not None:
            results, self._evaluation.latest_results = self._evaluation.latest_results, None
            self._show(self._evaluation.dataloader.dataset, results)

    def _show(self, dataset: Any, results: Sequence[Any]) -> None:
        """A table of validation images, each with its objects and with what the model found."""
        table = self.wandb.Table(columns=["image_name", "ground_truth", "prediction"])
        labels = dict(enumerate(dataset.CLASSES))
        for index in range(min(self.num_eval_images, len(results))):
            image, name = read_image(dataset, index)
            objects = dataset.get_ann_info(index)
            truth = box_data(objects["bboxes"], objects["labels"], None, labels)
            found, classes = flatten_result(results[index])
            kept = found[:, 4] >= self.bbox_score_thr
            prediction = box_data(found[kept, :4], classes[kept], found[kept, 4], labels)
            pictures = [self.wandb.Image(image, boxes={"boxes": each}) for each in (truth, prediction)]
            table.add_data(name, *pictures)
        self.wandb.log({"val_pred": table}, commit=False)


def _hook_of(runner: Any, kind: type) -> Any:
    return next((hook for hook in runner.hooks if isinstance(hook, kind)), None)


def read_image(dataset: Any, index: int) -> tuple[np.ndarray, str]:
    """An image of a data set as RGB pixels `(H, W, 3)`, and its name."""
    from raydet.transforms import LoadImageFromFile

    info = dataset.data_infos[index]
    sample = LoadImageFromFile()({"img_info": info, "img_prefix": dataset.img_prefix})
    assert sample is not None
    return sample["img"][..., ::-1], str(info["filename"])


def flatten_result(result: Any) -> tuple[np.ndarray, np.ndarray]:
    """Boxes `(D, 5)` with scores, and their labels `(D,)`, of a result of one image."""
    if isinstance(result, dict):
        result = result["ins_results"]
    boxes = result[0] if isinstance(result, tuple) else result
    labels = [np.full(len(each), label) for label, each in enumerate(boxes)]
    return np.concatenate([each[:, :5] for each in boxes]), np.concatenate(labels)


def box_data(boxes: np.ndarray, classes: np.ndarray, scores: Any, labels: Mapping[int, str]) -> dict[str, Any]:
    """Boxes `(N, 4)` in the form that `wandb.Image` takes."""
    data = []
    for i, (box, label) in enumerate(zip(boxes.tolist(), classes.tolist(), strict=True)):
        entry: dict[str, Any] = {
            "position": dict(zip(("minX", "minY", "maxX", "maxY"), box, strict=True)),
            "class_id": int(label),
            "box_caption": labels[int(label)],
            "domain": "pixel",
        }
        if scores is not None:
            entry["scores"] = {"confidence": float(scores[i])}
        data.append(entry)
    return {"box_data": data, "class_labels": dict(labels)}
