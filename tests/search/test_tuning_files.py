"""The sweeps that ship with raydet: found by name, valid, and every point that they draw is a sound config."""

import json

import jsonschema
import pytest
import yaml

from raydet.config import shipped_root
from raydet.search.drawing import Drawer
from raydet.search.dry_run import dry_run
from raydet.search.families import describe_families, family_names
from raydet.search.file import load_sweep
from raydet.search.report.overview import differences_of
from raydet.search.schema import SCHEMA_FILE, schema
from raydet.search.study import DrawingStudy

NAMES = sorted(each.stem for each in shipped_root("tuning").glob("*.yaml"))


def test_there_are_the_five_of_the_guide():
    assert NAMES == ["anchors", "ap_and_latency", "losses", "lr_anchors_losses", "lr_and_schedule"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_sweep_draws_sound_configs(name):
    said = []
    assert dry_run(load_sweep(name), 10, said.append) == 0, "\n".join(said)
    assert said[0] == "point 0:"
    assert " -> " in "\n".join(said)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_sweep_begins_with_its_base_config(name):
    sweep = load_sweep(name)
    study = DrawingStudy(sweep.objectives, sweep.search)
    first = Drawer(study, sweep.space, sweep.config, sweep.seed, sweep.points).draw(0)
    assert first.params.keys() == sweep.points[0].keys()
    assert differences_of(first.options, dict(sweep.config.items())) == {}


def test_dry_runs_find_configs_that_cannot_be_built(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("""base: demo/nuclei_retinanet
objective: {metric: bbox_mAP}
space:
  model.bbox_head.loss_cls:
    choose:
      focal: {type: FocalLoss, gama: {uniform: [1, 3]}}
      seesaw: {type: SeesawLoss, num_classes: 7}
constraints: [model.bbox_head.loss_cls.type == 'FocalLoss' or model.bbox_head.loss_cls.num_classes > 6]
points: [{model.bbox_head.loss_cls: seesaw}, {model.bbox_head.loss_cls: focal}]
""")
    said = []
    assert dry_run(load_sweep(file), 2, said.append) == 2
    text = "\n".join(said)
    assert "num_classes: 7 classes; the base config has 1" in text
    assert "gama" in text
    assert "did you mean 'gamma'?" in text


def test_dry_runs_find_expressions_that_only_some_points_can_compute(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("""base: demo/nuclei_retinanet
objective: {metric: bbox_mAP}
space: {optimizer: {family: optimizers, only: [sgd, adamw]}}
constraints: [optimizer.momentum < 1]
points: [{optimizer: sgd}, {optimizer: adamw}]
""")
    said = []
    assert dry_run(load_sweep(file), 2, said.append) == 1
    assert any("WRONG" in line and "wrong.yaml:4:15" in line and "no key 'momentum'" in line for line in said)


def test_the_shipped_schema_is_up_to_date():
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(json.dumps(schema())), (
        "raydet tune --schema > raydet/search/sweep.schema.json"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_the_shipped_sweeps(name):
    # editors read numbers such as 1e-3 as YAML 1.2 does, PyYAML does not
    values = yaml.safe_load((shipped_root("tuning") / f"{name}.yaml").read_text().replace("e-", ".0e-"))
    jsonschema.validate(json.loads(json.dumps(_numbers(values))), schema())


def test_the_schema_refuses_misspelt_sections():
    checker = jsonschema.Draft202012Validator(schema())
    checker.check_schema(schema())
    good = {"base": "x", "objective": {"metric": "bbox_mAP"}}
    assert checker.is_valid(good)
    assert not checker.is_valid({**good, "num_trails": 3})
    assert not checker.is_valid({**good, "pruning": {"scheduler": "asah"}})
    assert not checker.is_valid({**good, "num_trials": 0})


def test_every_family_says_what_it_is_for():
    assert set(describe_families()) == set(family_names())
    assert all(text.endswith(".") for text in describe_families().values())


def _numbers(value):
    if isinstance(value, dict):
        return {str(key): _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
