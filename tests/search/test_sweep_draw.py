"""Spaces drawn from by real Optuna trials, and what that makes of the config."""

import pickle

import optuna
import pytest

from raydet.config import Config, check_config
from raydet.search.file import load_sweep
from raydet.search.space import Rejected
from raydet.search.tree import SweepError

optuna.logging.set_verbosity(optuna.logging.ERROR)
HEAD = "base: demo/nuclei_mask_rcnn\nobjective: {metric: bbox_mAP}\n"


@pytest.fixture
def sweep(tmp_path):
    def load(text, **changes):
        file = tmp_path / "sweep.yaml"
        file.write_text(HEAD + text)
        return load_sweep(file, changes)

    return load


def ask(sweep, num=1, point=None):
    """Draws of a study that begins with a point."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    if point is not None:
        study.enqueue_trial(sweep.space.enqueue(point))
    return [sweep.space.draw(study.ask(), sweep.config) for _ in range(num)]


def merged(sweep, draw):
    config = Config(sweep.config._cfg_dict)
    config.merge_from_dict(draw.options)
    return config


def test_numbers_stay_in_their_ranges_and_on_their_steps(sweep):
    it = sweep("""space:
  optimizer.lr: {loguniform: [1e-5, 1e-2]}
  optimizer.weight_decay: {uniform: [0, 0.1], step: 0.02}
  lr_config.warmup_iters: {int: [10, 90], step: 40}
  lr_config.warmup_ratio: {uniform: [0.01, 0.5]}
  data.samples_per_gpu: {int: [1, 16], log: true}
""")
    for draw in ask(it, 30):
        assert draw.options == draw.params
        assert 1e-5 <= draw.params["optimizer.lr"] <= 1e-2
        assert round(draw.params["optimizer.weight_decay"] / 0.02, 6).is_integer()
        assert draw.params["lr_config.warmup_iters"] in (10, 50, 90)
        assert 0.01 <= draw.params["lr_config.warmup_ratio"] <= 0.5
        assert 1 <= draw.params["data.samples_per_gpu"] <= 16


def test_a_choice_of_lists_is_known_to_optuna_by_text(sweep):
    it = sweep("""space:
  model.rpn_head.anchor_generator.ratios: {choice: [[0.5, 1.0], [1.0]]}
  optimizer_config.grad_clip: {choice: [null]}
""")
    (draw,) = ask(it, point={"model.rpn_head.anchor_generator.ratios": [1.0]})
    assert draw.params["model.rpn_head.anchor_generator.ratios"] == "[1.0]"
    assert draw.options["model.rpn_head.anchor_generator.ratios"] == [1.0]
    assert merged(it, draw).optimizer_config.grad_clip is None


def test_a_chosen_dict_replaces_the_old_one_and_changes_what_must_change_along(sweep):
    it = sweep("""space:
  model.roi_head.bbox_head.loss_bbox:
    choose:
      smooth: {type: SmoothL1Loss, beta: {loguniform: [0.1, 2]}}
      giou: {type: GIoULoss, loss_weight: {uniform: [1, 10]}, _with_: {.reg_decoded_bbox: true}}
""")
    key = "model.roi_head.bbox_head.loss_bbox"
    (smooth,) = ask(it, point={key: {"smooth": {"beta": 0.5}}})
    (giou,) = ask(it, point={key: "giou"})
    assert smooth.params == {key: "smooth", f"{key}.smooth.beta": 0.5}
    assert merged(it, smooth).model.roi_head.bbox_head.loss_bbox == {"type": "SmoothL1Loss", "beta": 0.5}
    head = merged(it, giou).model.roi_head.bbox_head
    assert set(head.loss_bbox) == {"type", "loss_weight"}
    assert head.reg_decoded_bbox is True
    assert not check_config(merged(it, giou))


def test_choices_nest_and_options_may_be_laid_over_the_old_dict(sweep):
    it = sweep("""space:
  optimizer:
    choose:
      - {type: SGD, momentum: {choose: {none: 0.0, some: {uniform: [0.8, 0.99]}}}, lr: 0.1}
      - {_delete_: false, weight_decay: 0.5, type: AdamW}
""")
    (adam,) = ask(it, point={"optimizer": "AdamW"})
    assert merged(it, adam).optimizer == {"type": "AdamW", "lr": 0.001, "weight_decay": 0.5}
    (sgd,) = ask(it, point={"optimizer": {"SGD": {"momentum": {"some": {}}}}})
    assert 0.8 <= sgd.options["optimizer"]["momentum"] <= 0.99
    assert set(sgd.params) == {"optimizer", "optimizer.SGD.momentum", "optimizer.SGD.momentum.some"}
    assert "_delete_" not in merged(it, sgd).optimizer


def test_choices_within_dicts_and_lists_replace_what_was_there(sweep):
    it = sweep("""options: {custom_hooks: [{type: EMAHook, priority: 1}]}
space:
  model.rpn_head:
    choose:
      old: {_delete_: false}
      new:
        _delete_: false
        feat_channels: 32
        loss_cls: {choose: {focal: {type: FocalLoss}, same: {_delete_: false, loss_weight: 3.0}}}
  custom_hooks: [{choose: {ema: {type: EMAHook}, check: {type: NumClassCheckHook}}}]
""")
    (focal,) = ask(it, point={"model.rpn_head": {"new": {"loss_cls": "focal"}}, "custom_hooks.0": "check"})
    (same,) = ask(it, point={"model.rpn_head": {"new": {"loss_cls": "same"}}})
    assert merged(it, focal).model.rpn_head.loss_cls == {"type": "FocalLoss"}
    assert merged(it, focal).model.rpn_head.feat_channels == 32
    assert merged(it, focal).custom_hooks == [{"type": "NumClassCheckHook"}]
    old = it.config.model.rpn_head
    assert merged(it, same).model.rpn_head.loss_cls == {**old.loss_cls, "loss_weight": 3.0}
    assert merged(it, same).model.rpn_head.type == "RPNHead"


def test_a_dict_may_take_the_place_of_none_and_of_nothing(sweep):
    it = sweep("""options: {optimizer_config.grad_clip: null}
space:
  optimizer_config.grad_clip: {choose: {none: null, norm: {max_norm: 3.0}}}
  data.val_dataloader: {choose: {one: {samples_per_gpu: 1}, two: {samples_per_gpu: 2}}, new: true}
""")
    (draw,) = ask(it, point={"optimizer_config.grad_clip": "norm", "data.val_dataloader": "two"})
    assert merged(it, draw).optimizer_config.grad_clip == {"max_norm": 3.0}
    assert merged(it, draw).data.val_dataloader == {"samples_per_gpu": 2}


def test_one_value_goes_to_several_keys(sweep):
    it = sweep("""space:
  lr_config.warmup_ratio: {expression: model.roi_head.bbox_head.loss_cls.loss_weight / 10}
  model.rpn_head.loss_cls.loss_weight:
    expression: weight * 2
    also: [model.roi_head.bbox_head.loss_cls.loss_weight]
variables: {weight: {uniform: [0.5, 2]}}
""")
    (draw,) = ask(it)
    assert len(draw.params) == 1
    assert len(draw.options) == 3
    assert len(set(draw.options.values())) == 2
    assert draw.options["lr_config.warmup_ratio"] == pytest.approx(draw.params["weight"] / 5)


def test_elements_of_lists_go_by_number_type_or_all_at_once(sweep):
    it = sweep("""options: {custom_hooks: [{type: NumClassCheckHook, priority: 1}, {type: EMAHook, priority: 2}]}
space:
  data.train.dataset.pipeline.RandomFlip.flip_ratio: {choice: [0.5, 0.0]}
  data.train.dataset.pipeline.2.img_scale: {choice: ["(100, 200)", ["(1, 2)", "(3, 4)"]]}
  custom_hooks.*.priority: {int: [50, 60]}
""")
    (draw,) = ask(it, point={"data.train.dataset.pipeline.2.img_scale": "(100, 200)"})
    assert draw.options["data.train.dataset.pipeline.3.flip_ratio"] in (0.5, 0.0)
    assert draw.options["data.train.dataset.pipeline.2.img_scale"] == (100, 200)
    assert draw.options["custom_hooks.0.priority"] == draw.options["custom_hooks.1.priority"]
    assert isinstance(merged(it, draw).data.train.dataset.pipeline, list)


def test_expressions_use_variables_drawn_values_and_the_config_in_the_right_order(sweep):
    it = sweep("""variables:
  base: {loguniform: [1e-4, 1e-2]}
  batch: {choice: [2, 8]}
space:
  lr_config.min_lr: {expression: optimizer.lr / 100}
  optimizer.lr: {expression: base * data.samples_per_gpu / 16}
  data.samples_per_gpu: {expression: batch}
  lr_config.warmup_iters: {expression: "round(lr_config.warmup_iters * math.sqrt(runner.max_epochs / 2.5))"}
  model.rpn_head.anchor_generator.scales: [{expression: "here.strides[0] * 2"}]
""")
    (draw,) = ask(it)
    batch, lr = draw.params["batch"], draw.params["base"] * draw.params["batch"] / 16
    assert draw.options["data.samples_per_gpu"] == batch
    assert draw.options["optimizer.lr"] == pytest.approx(lr)
    assert draw.options["lr_config.min_lr"] == pytest.approx(lr / 100)
    assert draw.options["lr_config.warmup_iters"] == 40
    assert draw.options["model.rpn_head.anchor_generator.scales"] == [8]


def test_expressions_know_what_stands_beside_the_key_now_and_before(sweep):
    it = sweep("""space:
  model.roi_head.bbox_head.loss_cls:
    choose:
      seesaw: {type: SeesawLoss, num_classes: {expression: here.num_classes}}
      old: {type: CrossEntropyLoss, loss_weight: {expression: before.loss_cls.loss_weight * 2}}
  model.roi_head.bbox_head.fc_out_channels: {expression: before.fc_out_channels // 2}
""")
    key = "model.roi_head.bbox_head.loss_cls"
    (seesaw,), (old,) = ask(it, point={key: "seesaw"}), ask(it, point={key: "old"})
    assert seesaw.options[key]["num_classes"] == 1
    assert old.options[key]["loss_weight"] == 2.0
    assert old.options["model.roi_head.bbox_head.fc_out_channels"] == 128


def test_a_constraint_rejects_a_point_and_says_with_which_values(sweep):
    it = sweep("""variables: {batch: {int: [1, 8]}}
space: {data.samples_per_gpu: {expression: batch}}
constraints: [data.samples_per_gpu * runner.max_epochs <= 40]
""")
    assert ask(it, point={"batch": 4})[0].options == {"data.samples_per_gpu": 4}
    with pytest.raises(Rejected, match=r"does not hold with data.samples_per_gpu = 5, runner.max_epochs = 10") as error:
        ask(it, point={"batch": 5})
    assert error.value.draw.params == {"batch": 5}


def test_the_grid_has_every_point_once(sweep):
    it = sweep("""space:
  lr_config.warmup_iters: {int: [0, 100], step: 50}
  optimizer:
    choose:
      SGD: {type: SGD, lr: 0.1, momentum: {choice: [0.8, 0.9]}}
      AdamW: {type: AdamW, lr: 0.001}
""")
    points = it.space.grid()
    assert len(points) == 3 * (2 + 1)
    assert len({tuple(sorted(point.items())) for point in points}) == 9
    with pytest.raises(SweepError, match="lr has no grid: it is a real number"):
        sweep("space: {optimizer.lr: {uniform: [0, 1]}}").space.grid()


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"optimizer.lrr": 1.0}, r"nothing called 'optimizer.lrr' is drawn; did you mean 'optimizer.lr'\?"),
        ({"optimizer.lr": 2.0}, "2.0 is no number from 0.0 to 1.0"),
        ({"lr_config.warmup_iters": 7}, "7 is not 0 plus a multiple of 5"),
        ({"optimizer.type": "SDG"}, r"'SDG' is none of SGD, Adam"),
    ],
)
def test_a_warm_start_that_cannot_be_drawn_is_refused(sweep, point, message):
    it = sweep("""space:
  optimizer.lr: {uniform: [0, 1]}
  lr_config.warmup_iters: {int: [0, 10], step: 5}
  optimizer.type: {choice: [SGD, Adam]}
""")
    with pytest.raises(SweepError, match=message):
        it.space.enqueue(point)


def test_a_function_may_draw_instead(sweep, tmp_path, monkeypatch):
    (tmp_path / "my_space.py").write_text(
        "def space(trial):\n    return {'optimizer.lr': trial.suggest_float('lr', 0.1, 0.2)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (draw,) = ask(sweep("search: {space_function: 'my_space:space'}"))
    assert draw.options["optimizer.lr"] == draw.params["lr"]


def test_the_same_seed_draws_the_same_points_and_spaces_are_picklable(sweep):
    text = "variables: {a: {uniform: [0, 1]}}\nspace: {optimizer.lr: {expression: a * 2}}\nconstraints: [a < 2]\n"
    it = sweep(text)
    again = pickle.loads(pickle.dumps(it.space))
    trial = optuna.trial.FixedTrial({"a": 0.25})
    assert again.draw(trial, it.config) == it.space.draw(trial, it.config)
    assert [d.params for d in ask(it, 3)] == [d.params for d in ask(sweep(text), 3)]
