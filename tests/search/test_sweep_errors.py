"""Wrong sweep files: one clear error each, with file, line, column, key and the nearest valid name."""

import pytest

from raydet.search.file import load_sweep, parse_changes
from raydet.search.tree import SweepError

HEAD = "base: demo/nuclei_mask_rcnn\nobjective: {metric: bbox_mAP}\n"
LR = "space: {optimizer.lr: {uniform: [0, 1]}}\n"

BAD = [
    # text, line:column, words of the message
    ("space: [1", "4:1", ["not valid YAML"]),
    ("space: !!python/object:os.system {}", "3:8", ["the tag", "not possible in a sweep file"]),
    (LR + "space: {optimizer.lr: {uniform: [0, 1]}}", "4:1", ["'space' is given twice"]),
    (LR + "num_trails: 3", "4:1", ["unknown key; did you mean 'num_trials'?"]),
    (LR + "num_trials: many", "4:1", ["expected int, got str: 'many'"]),
    (LR + "num_trials: 0", "4:1", ["expected int >= 1: 0"]),
    (LR + "pruning: {scheduler: asah}", "4:11", ["'asah' is none of asha,", "did you mean 'asha'?"]),
    (LR + "trial:\n  num_worker: 2", "5:3", ["unknown key; did you mean 'num_workers'?"]),
    (LR + "search: tpe", "4:1", ["expected a mapping", "sampler", "'tpe'"]),
    (
        "space:\n  optimizer.lrr: {uniform: [0, 1]}",
        "4:3",
        ["no key 'optimizer.lrr'; did you mean 'optimizer.lr'?", "new: true"],
    ),
    ("space:\n  optimizer.lr: {unifrom: [0, 1]}", "4:18", ["did you mean `optimizer.lr: {uniform: ...}`?"]),
    ("space:\n  optimizer.lr:\n    uniform: [1, 0.1]", "5:5", ["smaller than the highest, got [1.0, 0.1]"]),
    ("space:\n  optimizer.lr: {loguniform: [0, 0.1]}", "4:31", ["expected float > 0.0"]),
    ("space:\n  optimizer.lr: {uniform: [0, 1], choice: [1, 2]}", "4:3", ["one of uniform and choice"]),
    ("space:\n  optimizer.lr: {uniform: [0, 1], stpe: 0.1}", "4:35", ["unknown key; did you mean 'step'?"]),
    ("space:\n  optimizer.lr: {choice: [1, 2, 1]}", "4:18", ["1 is given twice"]),
    ("space:\n  lr_config.warmup_iters: {int: [1, 2.5]}", "4:37", ["expected int, got float: 2.5"]),
    ("space:\n  lr_config.warmup_iters: {int: [0, 9], log: true}", "4:28", ["begins at 1 or above"]),
    ("space:\n  model.roi_head.bbox_head.num_classes: {choice: [1, 2]}", "4:3", ["never searched"]),
    ("space:\n  optimizer: {choose: {a: {type: SGD}}}", "4:15", ["at least two options"]),
    ("space:\n  optimizer: {family: optimisers}", "4:15", ["no family 'optimisers'; did you mean 'optimizers'?"]),
    ("space:\n  optimizer: {family: optimizers, only: [sdg]}", "4:35", ["no option 'sdg'; did you mean 'sgd'?"]),
    ("space:\n  optimizer.lr: {expression: bse * 2}\nvariables: {base_lr: {uniform: [0, 1]}}", "4:18", ["'bse'"]),
    ("space:\n  optimizer.lr: {expression: 2 *}", "4:18", ["no expression", "invalid syntax"]),
    (
        "space:\n  optimizer.lr: {expression: optimizer.weight_decay}\n"
        "  optimizer.weight_decay: {expression: optimizer.lr}",
        "3:1",
        ["in a circle", "optimizer.lr"],
    ),
    (LR + "constraints: [optimizr.lr < 1]", "4:15", ["'optimizr', which is no variable", "did you mean 'optimizer'?"]),
    (LR + "points:\n  - {optimizer.lr: 3}", "5:6", ["3 is no number from 0.0 to 1.0"]),
    ("anchors: {method: kmean}", "3:11", ["'kmean' is none of kmeans"]),
    (
        "anchors: {generator: model.rpn_head.anchor_generatr}",
        "3:11",
        ["did you mean 'model.rpn_head.anchor_generator'"],
    ),
    ("options: {runner.max_epochs.x: 3}\n" + LR, "3:11", ["runner.max_epochs"]),
    ("variables: {round: 3}\n" + LR, "3:13", ["the name 'round' is taken"]),
    ("variables: {optimizer: 3}\n" + LR, "3:13", ["the name 'optimizer' is a key of the base config"]),
    ("space:\n  optimizer.lr: {choice: [true, 1]}", "4:18", ["given twice"]),
    ("space: {}", "1:1", ["nothing to search"]),
    ("search: {space_function: 'raydet.search:no_such'}", "3:10", ["is not a function"]),
    (LR + "search: {imports: [no/such/folder]}", "4:20", ["no sweep folder 'no/such/folder'"]),
    (LR + "search: {storage: 'oracle://x'}", "4:10", ["oracle", "sqlite:///"]),
]


@pytest.mark.parametrize(("text", "place", "words"), BAD, ids=[f"{i:02d}" for i in range(len(BAD))])
def test_bad_yaml_gives_one_error_with_its_line(tmp_path, text, place, words):
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + text + "\n")
    with pytest.raises(SweepError) as error:
        load_sweep(file)
    message = str(error.value)
    assert message.startswith(f"{file}:{place}: "), message
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_wrong_base_is_told_with_the_nearest_name(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("objective: {metric: x}\nbase: demo/nuclei_mask_rcn\n" + LR)
    with pytest.raises(SweepError, match=r"bad.yaml:2:1: base: .*did you mean 'nuclei_mask_rcnn'"):
        load_sweep(file)
    file.write_text("objective: {metric: x}\n" + LR)
    with pytest.raises(SweepError, match=r"the key 'base' is missing"):
        load_sweep(file)


def test_a_sweep_that_does_not_exist_is_told_with_the_nearest_name():
    with pytest.raises(FileNotFoundError, match=r"no sweep file 'lr_and_schedul'; did you mean 'lr_and_schedule'"):
        load_sweep("lr_and_schedul")


def test_all_errors_are_told_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + "num_trials: -1\nsead: 3\nspace:\n  optimizer.lrr: 3\n  optimizer.type: {choice: []}\n")
    with pytest.raises(SweepError) as error:
        load_sweep(file)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("4 problems:")
    assert [line.split(":")[1] for line in lines[1:]] == ["3", "4", "6", "7"]


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path):
    levels = ["a: &a [1,2,3,4,5,6,7,8,9]"]
    levels += [f"{y}: &{y} [{','.join([f'*{x}'] * 9)}]" for x, y in zip("abcdefgh", "bcdefghi", strict=True)]
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(levels))
    with pytest.raises(SweepError, match="more than 500000 values"):
        load_sweep(file)


def test_changes_on_the_command_line_are_checked_too(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text(HEAD + LR)
    changes = parse_changes(
        [
            "num_trials=7",
            "options.runner.max_epochs=2",
            "space.optimizer.lr={loguniform: [1e-4, 1e-2]}",
            "trial.num_workers=2",
        ]
    )
    sweep = load_sweep(file, changes)
    assert (sweep.num_trials, sweep.config.runner.max_epochs, sweep.trial.num_workers) == (7, 2, 2)
    assert sweep.space.parameters()["optimizer.lr"].loguniform == (1e-4, 1e-2)
    with pytest.raises(SweepError, match=r"--set num_trials: num_trials: expected int >= 1"):
        load_sweep(file, {"num_trials": 0})
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_changes(["num_trials"])


def test_a_resolved_sweep_can_be_loaded_from_anywhere(tmp_path):
    (tmp_path / "my_base.py").write_text("_base_ = 'raydet::demo/nuclei_mask_rcnn.py'\n")
    (tmp_path / "first.yaml").write_text("base: my_base.py\nobjective:\n  - {metric: bbox_mAP}\n" + LR)
    sweep = load_sweep(tmp_path / "first.yaml")
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "sweep.yaml").write_text(sweep.text)
    again = load_sweep(other / "sweep.yaml")
    assert (again.name, again.settings.objective) == ("first", sweep.settings.objective)
    assert again.space == sweep.space
    assert load_sweep("losses").values["base"] == "demo/nuclei_retinanet.py"
