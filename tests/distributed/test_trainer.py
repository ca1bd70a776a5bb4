"""What a run leaves out of Ray Train's helpers."""

import pytest
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer

from raydet.distributed.trainer import LeanTrainer


def helpers(kind, **options):
    trainer = kind(lambda: None, scaling_config=ScalingConfig(num_workers=1), **options)
    return {type(each).__name__ for each in trainer._create_default_callbacks()}


@pytest.mark.parametrize(
    ("alone", "missing"),
    [(False, {"DatasetsCallback"}), (True, {"DatasetsCallback", "PlacementGroupCleanerCallback"})],
)
def test_lean_trainer_leaves_out_what_a_run_does_not_need_and_nothing_else(alone, missing):
    """It knows Ray's callbacks by name; with another Ray this tells when a name is no longer right."""
    assert helpers(TorchTrainer) - helpers(LeanTrainer, alone=alone) == missing
