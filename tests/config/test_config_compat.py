import pytest

from raydet.config import Config, compat_cfg, replace_cfg_vals, update_data_root


def data(**values):
    return Config(
        dict(
            data=dict(train=dict(), val=dict(), test=dict(), **values),
            runner=dict(type="EpochBasedRunner", max_epochs=2),
        )
    )


def test_loader_settings_move_into_the_loaders():
    result = compat_cfg(data(samples_per_gpu=2, workers_per_gpu=4, persistent_workers=True)).data
    assert result.train_dataloader == dict(samples_per_gpu=2, workers_per_gpu=4, persistent_workers=True)
    assert result.val_dataloader == result.test_dataloader == dict(workers_per_gpu=4)
    assert "samples_per_gpu" not in result


def test_original_is_not_changed():
    cfg = data(samples_per_gpu=2)
    compat_cfg(cfg)
    assert cfg.data.samples_per_gpu == 2


def test_samples_of_an_evaluation_set_move_into_its_loader():
    cfg = data()
    cfg.data.val.samples_per_gpu = 3
    cfg.data.test = [dict(a=1), dict(b=1, samples_per_gpu=5)]
    result = compat_cfg(cfg).data
    assert result.val_dataloader.samples_per_gpu == 3
    assert result.test_dataloader.samples_per_gpu == 5
    assert result.test == [dict(a=1), dict(b=1)]


def test_contradicting_loader_settings_are_refused(write):
    path = write(c_py="data = dict(\n  samples_per_gpu=2,\n  train_dataloader=dict(samples_per_gpu=3))")
    with pytest.raises(KeyError, match=r"c\.py:2: 'samples_per_gpu'"):
        compat_cfg(Config.fromfile(path))


def test_imgs_per_gpu_is_renamed_with_a_warning():
    with pytest.warns(UserWarning, match="samples_per_gpu"):
        result = compat_cfg(data(imgs_per_gpu=3, samples_per_gpu=2))
    assert result.data.train_dataloader.samples_per_gpu == 3


def test_total_epochs_becomes_a_runner():
    with pytest.warns(UserWarning, match="runner"):
        result = compat_cfg(Config(dict(total_epochs=7)))
    assert result.runner == dict(type="EpochBasedRunner", max_epochs=7)


def test_total_epochs_that_contradict_the_runner_are_refused():
    with pytest.raises(KeyError, match="total_epochs=7"):
        compat_cfg(Config(dict(total_epochs=7, runner=dict(type="EpochBasedRunner", max_epochs=2))))


ROOTED = dict(
    data_root="data/coco/",
    data=dict(train=dict(ann_file="data/coco/a.json", n=1, datasets=["data/coco/"])),
    other="data/coco/",
)


def test_data_root_follows_the_environment(monkeypatch):
    monkeypatch.setenv("MMDET_DATASETS", "/mnt/")
    cfg = Config(ROOTED)
    update_data_root(cfg)
    assert cfg.data_root == "/mnt/"
    assert cfg.data.train == dict(ann_file="/mnt/a.json", n=1, datasets=["data/coco/"])
    assert cfg.other == "data/coco/"


def test_data_root_stays_without_the_variable(monkeypatch):
    monkeypatch.delenv("MMDET_DATASETS", raising=False)
    cfg = Config(ROOTED)
    update_data_root(cfg)
    assert cfg == Config(ROOTED)


def test_references_become_values():
    cfg = replace_cfg_vals(
        Config(dict(n=12, d=dict(x=1), a="${n}", b="net_${n}_${d.x}", c=["${d}"], e=("${n}",), f="plain"))
    )
    assert (cfg.a, cfg.b, cfg.c, cfg.e, cfg.f) == (12, "net_12_1", [dict(x=1)], (12,), "plain")


def test_references_are_not_followed_further():
    assert replace_cfg_vals(Config(dict(a=1, b="${a}", c="${b}"))).c == "${a}"


def test_reference_keeps_places(write):
    path = write(c_py="n = 1\nm = dict(\n  x='${n}')")
    assert replace_cfg_vals(Config.fromfile(path)).m.where("x") == f"{path}:3"


def test_reference_to_nothing_is_refused_with_place(write):
    path = write(c_py="n = 1\nm = dict(x='${k}')")
    with pytest.raises(KeyError, match=r"c\.py:2: \$\{k\}"):
        replace_cfg_vals(Config.fromfile(path))


def test_container_within_a_text_is_refused():
    with pytest.raises(TypeError, match="dict"):
        replace_cfg_vals(Config(dict(d=dict(), a="x${d}")))


def test_model_wrapper_replaces_the_model():
    cfg = replace_cfg_vals(Config(dict(model=dict(type="A"), model_wrapper=dict(type="W", model="${model}"))))
    assert cfg.model == dict(type="W", model=dict(type="A"))
    assert "model_wrapper" not in cfg
