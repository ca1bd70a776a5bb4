"""What a sweep file says, one class for each of its sections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Fraction = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number to improve.

    Args:
        metric: of the evaluation, such as `bbox_mAP`, or one of `latency` (ms per image), `params`, `flops`, `memory`
            (MiB at the peak).
        mode: "max" or "min".
    """

    metric: str
    mode: Literal["max", "min"] = "max"


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How points of the space are chosen.

    Args:
        sampler: the algorithm.
        startup: random trials before the algorithm looks at results; None for its own default.
        options: further arguments of Optuna's sampler.
        storage: "journal" (a file in the sweep folder), "memory", or a URL: `sqlite:///...`, `postgresql://...`,
            `mysql://...`.
        study: name in the storage; the sweep's name when None.
        space_function: "module:function" that draws from an Optuna trial and returns config options, in place of
            `space`.
        imports: earlier sweep folders (or `URL#study`) whose finished trials are known from the start.
    """

    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "nsga3", "random", "grid"] = "tpe"
    startup: Annotated[int, msgspec.Meta(ge=0)] | None = None
    options: dict[str, Any] = {}
    storage: str = "journal"
    study: str | None = None
    space_function: str | None = None
    imports: tuple[str, ...] = ()


class PruningSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a trial is stopped early.

    Args:
        scheduler: the rule.
        unit: what steps count.
        min_steps: no trial is stopped before.
        max_steps: of a whole trial; None reads the config's `runner`.
        reduction: one in this many goes on at each rung (ASHA, Hyperband).
        interval: steps between evaluations.
        val_fraction: part of the validation set on which trials are compared, (0, 1]; a fixed one.
        options: further arguments of the rule (PBT: `quantile`, `resample`, `keys`).
    """

    scheduler: Literal["asha", "hyperband", "median", "pbt", "none"] = "none"
    unit: Literal["epoch", "iter"] = "epoch"
    min_steps: Count = 1
    max_steps: Count | None = None
    reduction: Annotated[int, msgspec.Meta(ge=2)] = 3
    interval: Count = 1
    val_fraction: Fraction = 1.0
    options: dict[str, Any] = {}


class TrialSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one trial is given.

    Args:
        num_workers: training processes of each trial.
        use_gpu: None uses GPUs where the cluster has some.
        cpus: of each worker; may be a fraction.
        gpus: of each worker; may be a fraction.
        carrier: who reads: "ray" (Ray Data) or "torch" (a DataLoader in each worker).
        concurrent: trials at a time; None as many as fit the cluster.
        max_failures: times that a trial starts again after a lost node or worker.
        keep_best: trials whose checkpoints stay.
    """

    num_workers: Count = 1
    use_gpu: bool | None = None
    cpus: Positive | None = None
    gpus: Positive | None = None
    carrier: Literal["ray", "torch"] = "ray"
    concurrent: Count | None = None
    max_failures: Annotated[int, msgspec.Meta(ge=-1)] = 2
    keep_best: Annotated[int, msgspec.Meta(ge=0)] = 3


class AnchorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anchors made from the boxes of the training data, and how well the drawn ones cover these.

    Args:
        method: how they are made. "free" makes none: keys in `space` do, and only their recall is worked out.
        k: numbers of anchors to choose from: at each place of a map, or in all for YOLO's.
        generator: dotted key of the anchor generator; the one of the model when left out.
        keep: the anchors of the base config are a choice as well.
        stretch: lowest and highest factor by which all are enlarged, drawn as `loguniform`.
        input_shape: width and height of the network's input, into which images are fitted before boxes are measured;
            read from the training pipeline's `Resize` when left out.
        iterations: of the method.
        max_boxes: a fixed draw of this many boxes is looked at.
    """

    method: Literal["kmeans", "v5-kmeans", "differential_evolution", "free"] = "kmeans"
    k: Count | tuple[Count, ...] = 9
    generator: str | None = None
    keep: bool = True
    stretch: tuple[Positive, Positive] | None = None
    input_shape: tuple[Count, Count] | None = None
    iterations: Count = 300
    max_boxes: Count = 20_000


class SweepSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sweep file.

    Args:
        base: name or path of the config that every trial changes.
        objective: what to improve, one or several.
        name: of the sweep; that of the file when left out.
        options: changes of the base config for all trials, as in `--cfg-options`.
        num_trials: points to try; for the grid sampler, at most.
        time_limit: seconds after which no further trial starts.
        seed: of everything random in the sweep.
        variables: drawn or computed values by name, for expressions.
        space: drawn or computed values by dotted key of the config.
        constraints: expressions that hold for every trial; a point that breaks one is not tried.
        anchors: made from the data.
        points: tried first: values by the names of what is drawn; the rest is drawn.
        search: how points are chosen.
        pruning: when trials are stopped.
        trial: what each is given.
        track: trackers that are told as well.
    """

    base: str
    objective: tuple[Objective, ...]
    name: str | None = None
    options: dict[str, Any] = {}
    num_trials: Count = 20
    time_limit: Positive | None = None
    seed: int = 0
    variables: dict[str, Any] = {}
    space: dict[str, Any] = {}
    constraints: tuple[str, ...] = ()
    anchors: AnchorSettings | None = None
    points: tuple[dict[str, Any], ...] = ()
    search: SearchSettings = SearchSettings()
    pruning: PruningSettings = PruningSettings()
    trial: TrialSettings = TrialSettings()
    track: tuple[Literal["tensorboard", "mlflow"], ...] = ()
