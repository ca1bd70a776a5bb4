"""Trials that train a real detector, a very small one, in this process."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

from raydet.config import Config
from raydet.datasets import build_dataset
from raydet.datasets.part import keep_part
from raydet.search.file import load_sweep
from raydet.search.measure import Measure
from raydet.search.run import run_sweep

sys.path.insert(0, str(Path(__file__).parents[1] / "distributed"))
from tiny import tiny_coco, tiny_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_coco(tmp_path_factory.mktemp("coco"))


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_sweep(folder, data, max_epochs=2, **changes):
    tiny_config(*data, max_epochs=max_epochs).dump(str(folder / "base.py"))
    values = {
        "base": "base.py",
        "objective": {"metric": "bbox_mAP"},
        "space": {"optimizer.lr": {"loguniform": [0.0005, 0.005]}},
        "num_trials": 3,
        "seed": 3,
        "search": {"sampler": "random", "storage": "memory"},
        "trial": {"carrier": "torch", "keep_best": 1},
        **changes,
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(folder / "tiny.yaml")


def checkpoints(folder):
    return sorted({path.parent.name for path in folder.rglob("epoch_*.pth")})


def test_trials_report_every_epoch_and_only_the_best_keep_their_checkpoints(tmp_path, data, capsys):
    points = [{"optimizer.lr": 0.002}, {"optimizer.lr": 0.005}]
    sweep = tiny_sweep(
        tmp_path, data, points=points, pruning={"scheduler": "asha", "reduction": 2, "val_fraction": 0.25}
    )
    records = run_sweep(sweep, tmp_path / "run", local=True).records
    assert [report.step for report in records[0].reports] == [1, 2]
    assert {each.state for each in records} == {"complete", "pruned"}
    best = max((each for each in records if each.state == "complete"), key=lambda each: each.values)
    assert checkpoints(tmp_path / "run") == [Path(best.folder).name]
    config = Config.fromfile(str(tmp_path / "run" / records[0].folder / "base.py"))
    assert (config.optimizer.lr, config.seed) == (0.002, records[0].seed)
    assert "Epoch [1]" not in capsys.readouterr().err


def test_diverging_trial_fails_and_its_reason_names_the_loss(tmp_path, data):
    sweep = tiny_sweep(
        tmp_path, data, num_trials=2, points=[{"optimizer.lr": 5.0}], space={"optimizer.lr": {"loguniform": [0.001, 9]}}
    )
    first, second = run_sweep(sweep, tmp_path / "run", local=True).records
    assert first.state == "failed"
    assert first.reason.startswith("NonFiniteLossError: the loss is not finite at iteration")
    assert second.state in ("complete", "failed")
    assert not list((tmp_path / "run").rglob("nonfinite*"))


def test_what_a_detector_costs_is_an_objective(tmp_path, data):
    names = ("latency", "params", "flops", "memory")
    objective = [{"metric": "bbox_mAP"}, *({"metric": name, "mode": "min"} for name in names)]
    width = {"model.neck.out_channels": 16, "model.bbox_head.in_channels": 16}
    sweep = tiny_sweep(tmp_path, data, num_trials=1, max_epochs=1, objective=objective, options=width)
    [record] = run_sweep(sweep, tmp_path / "run", local=True).records
    found = dict(zip(("bbox_mAP", *names), record.values, strict=True))
    wider = sweep.config
    wider.merge_from_dict({"model.bbox_head.feat_channels": 64})
    more = Measure(names).of(wider, tmp_path)
    assert 0 < found["params"] < more["params"]
    assert 0 < found["flops"] < more["flops"]
    assert found["params"] * 4 / 2**20 < found["memory"] < more["memory"]
    assert found["latency"] > 0


def test_flops_and_memory_of_a_convolution_are_those_on_paper():
    from raydet.search.measure import flops, memory

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 8, 3, padding=1, bias=False)

        def forward(self, return_loss, rescale, img):
            return self.conv(img)

    image = {"img": torch.zeros(1, 4, 16, 16)}
    assert flops(Detector(), image) == 2 * 8 * 4 * 9 * 16 * 16
    assert memory(Detector(), image) == (8 * 4 * 9 + 8 * 16 * 16) * 4 / 2**20


@pytest.mark.parametrize(("fraction", "kept"), [(0.25, [0, 4, 8, 12, 16, 20]), (0.01, [0]), (1.0, list(range(24)))])
def test_part_of_a_data_set_is_spread_over_it(data, fraction, kept):
    dataset = build_dataset(tiny_config(*data).data.val, {"test_mode": True})
    keep_part(dataset, fraction)
    assert dataset.img_ids == kept
    assert len(dataset) == len(kept) == len(dataset.flag)


def test_part_of_several_data_sets_is_the_same_of_each(data):
    section = tiny_config(*data).data.val
    dataset = build_dataset([section, section], {"test_mode": True})
    keep_part(dataset, 0.5)
    assert len(dataset) == 24
    assert [len(each) for each in dataset.datasets] == [12, 12]
    with pytest.raises(ValueError, match="fraction in"):
        keep_part(dataset, 0)
