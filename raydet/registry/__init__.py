"""The registries: one per role, filled from an explicit catalogue, open to plug-ins.

The spellings of MMDetection 2.x (`PIPELINES`, `BBOX_ASSIGNERS`, `CONV_LAYERS`, ...) are the same objects.
"""

from raydet.registry import catalogue
from raydet.registry._registry import (
    Registry,
    accepted_arguments,
    argument_errors,
    check_arguments,
    nearest,
    place_of,
)

BACKBONES = Registry("backbone", catalogue.BACKBONES)
NECKS = Registry("neck", catalogue.NECKS)
HEADS = Registry("head", catalogue.HEADS)
DETECTORS = Registry("detector", catalogue.DETECTORS)
ROI_EXTRACTORS = Registry("RoI extractor", catalogue.ROI_EXTRACTORS)
SHARED_HEADS = Registry("shared head", catalogue.SHARED_HEADS)
LOSSES = Registry("loss", catalogue.LOSSES)
ASSIGNERS = Registry("assigner", catalogue.ASSIGNERS)
SAMPLERS = Registry("sampler", catalogue.SAMPLERS)
BBOX_CODERS = Registry("box coder", catalogue.BBOX_CODERS)
IOU_CALCULATORS = Registry("IoU calculator", catalogue.IOU_CALCULATORS)
MATCH_COSTS = Registry("match cost", catalogue.MATCH_COSTS)
PRIOR_GENERATORS = Registry("prior generator", catalogue.PRIOR_GENERATORS)
DATASETS = Registry("data set", catalogue.DATASETS)
TRANSFORMS = Registry("transform", catalogue.TRANSFORMS)
HOOKS = Registry("hook", catalogue.HOOKS)
RUNNERS = Registry("runner", catalogue.RUNNERS)
RUNNER_BUILDERS = Registry("runner builder", catalogue.RUNNER_BUILDERS)
OPTIMIZERS = Registry("optimizer", catalogue.OPTIMIZERS)
OPTIMIZER_BUILDERS = Registry("optimizer builder", catalogue.OPTIMIZER_BUILDERS)
LAYERS = Registry("layer", catalogue.LAYERS)
INITIALIZERS = Registry("initializer", catalogue.INITIALIZERS)
METRICS = Registry("metric", catalogue.METRICS)

PIPELINES = TRANSFORMS
BBOX_ASSIGNERS = ASSIGNERS
BBOX_SAMPLERS = SAMPLERS
MATCH_COST = MATCH_COSTS
ANCHOR_GENERATORS = PRIOR_GENERATORS
MODELS = DETECTORS
CONV_LAYERS = NORM_LAYERS = ACTIVATION_LAYERS = PADDING_LAYERS = UPSAMPLE_LAYERS = LAYERS
PLUGIN_LAYERS = DROPOUT_LAYERS = LINEAR_LAYERS = LAYERS
ATTENTION = POSITIONAL_ENCODING = FEEDFORWARD_NETWORK = LAYERS
TRANSFORMER = TRANSFORMER_LAYER = TRANSFORMER_LAYER_SEQUENCE = LAYERS

ALL_REGISTRIES: dict[str, Registry] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Registry) and name.isupper()
}
"""Every registry by every spelling of its name."""

__all__ = [
    *ALL_REGISTRIES,
    "ALL_REGISTRIES",
    "Registry",
    "accepted_arguments",
    "argument_errors",
    "check_arguments",
    "nearest",
    "place_of",
]
