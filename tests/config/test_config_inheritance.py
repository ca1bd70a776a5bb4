import warnings

import pytest

from raydet.config import Config, ConfigError, shipped_root


def test_child_changes_nested_keys_of_its_base(write):
    path = write(
        base_py="model = dict(a=dict(x=1, y=2), b=3)", c_py="_base_ = './base.py'\nmodel = dict(a=dict(y=5), c=4)"
    )
    assert Config.fromfile(path)._cfg_dict == dict(model=dict(a=dict(x=1, y=5), b=3, c=4))


def test_several_bases_are_united(write):
    path = write(a_py="x = 1", b_yaml="y: 2", c_py="_base_ = ['a.py', 'b.yaml']\nz = 3")
    assert Config.fromfile(path)._cfg_dict == dict(x=1, y=2, z=3)


def test_key_from_two_bases_is_refused_with_both_places(write):
    path = write(a_py="x = 1", b_py="y = 1\nx = 2", c_py="_base_ = ['a.py', 'b.py']")
    with pytest.raises(KeyError, match=r"a\.py:1 and .*b\.py:2"):
        Config.fromfile(path)


def test_delete_replaces_instead_of_merging(write):
    path = write(base_py="m = dict(a=dict(x=1))", c_py="_base_ = 'base.py'\nm = dict(a=dict(_delete_=True, y=2))")
    assert Config.fromfile(path).m == dict(a=dict(y=2))


def test_delete_of_a_shared_dict_works_in_each_place(write):
    path = write(
        base_py="a = dict(x=1)\nb = dict(x=1)",
        c_py="_base_ = 'base.py'\nnew = dict(_delete_=True, y=2)\na = new\nb = new",
    )
    cfg = Config.fromfile(path)
    assert cfg.a == cfg.b == dict(y=2)


def test_delete_of_a_key_the_base_does_not_have_stays(write):
    path = write(base_py="m = dict()", c_py="_base_ = 'base.py'\nm = dict(a=dict(_delete_=True))")
    assert Config.fromfile(path).m.a == dict(_delete_=True)


def test_lists_are_replaced(write):
    path = write(base_py="a = [1, 2]", c_py="_base_ = 'base.py'\na = [3]")
    assert Config.fromfile(path).a == [3]


@pytest.mark.parametrize("old", ["1", "'text'", "[1]", "None"])
def test_dict_over_another_type_is_refused_with_place(write, old):
    path = write(base_py=f"m = dict(a={old})", c_py="_base_ = 'base.py'\n\nm = dict(a=dict(x=1))")
    with pytest.raises(TypeError, match=r"c\.py:3: m\.a .*_delete_=True"):
        Config.fromfile(path)


def test_dict_is_replaced_by_another_type(write):
    path = write(base_py="a = dict(x=1)", c_py="_base_ = 'base.py'\na = None")
    assert Config.fromfile(path).a is None


def test_last_writer_gives_the_place(write):
    path = write(base_py="m = dict(\n  x=1,\n  y=2)", c_py="_base_ = 'base.py'\nm = dict(\n  y=3)")
    cfg = Config.fromfile(path)
    base = path.with_name("base.py")
    assert cfg.m.where("x") == f"{base}:2"
    assert cfg.m.where("y") == f"{path}:3"
    assert cfg.where("m") == f"{path}:2"


@pytest.mark.parametrize("reference", ["{{_base_.m.x}}", "{{ _base_.m.x }}", "_base_.m.x"])
def test_reference_to_a_base_value(write, reference):
    path = write(base_py="m = dict(x=dict(z=1))", c_py=f"_base_ = 'base.py'\na = {reference}\nb = [{reference}, 2]")
    cfg = Config.fromfile(path)
    assert cfg.a == dict(z=1)
    assert cfg.b == [dict(z=1), 2]


def test_reference_can_stand_in_an_expression(write):
    path = write(
        base_py="root = 'data/'", c_py="_base_ = 'base.py'\nfile = {{ _base_.root }} + 'a.json'\ns = _base_.root[0]"
    )
    cfg = Config.fromfile(path)
    assert (cfg.file, cfg.s) == ("data/a.json", "d")


def test_reference_is_a_copy(write):
    path = write(base_py="p = [1]\nq = dict(p=p)", c_py="_base_ = 'base.py'\np = {{ _base_.p }}\np.append(2)")
    cfg = Config.fromfile(path)
    assert cfg.p == [1, 2]
    assert cfg.q.p == [1]


def test_reference_to_a_missing_key_names_the_nearest(write):
    path = write(base_py="model = dict(depth=1)", c_py="_base_ = 'base.py'\na = {{ _base_.model.dept }}")
    with pytest.raises(KeyError, match=r"c\.py:2: .*did you mean 'depth'"):
        Config.fromfile(path)


def test_reference_without_base_is_refused():
    with pytest.raises(ConfigError, match="_base_"):
        Config.fromstring("a = {{ _base_.x }}", ".py")


@pytest.mark.parametrize(
    ("name", "text"),
    [("c_yaml", "_base_: base.py\na: {{ _base_.m.x }}\n"), ("c_json", '{"_base_": "base.py", "a": {{ _base_.m.x }}}')],
)
def test_reference_in_a_document(write, name, text):
    path = write(**{"base_py": "m = dict(x=(1, 2))", name: text})
    assert Config.fromfile(path).a == (1, 2)


def test_comment_with_braces_is_left_alone(write):
    path = write(c_py="# {{ _base_.x }} and {{ fileBasename }}\na = 1")
    assert Config.fromfile(path).a == 1


def test_predefined_variables(write):
    path = write(c_py="a = '{{ fileDirname }}|{{fileBasename}}|{{ fileBasenameNoExtension }}|{{ fileExtname }}'")
    assert Config.fromfile(path).a == f"{path.parent}|c.py|c|.py"


def test_predefined_variables_of_a_base_are_those_of_the_base(write):
    path = write(base_py="a = '{{ fileBasename }}'", c_py="_base_ = 'base.py'")
    assert Config.fromfile(path).a == "base.py"


def test_predefined_variable_survives_quotes_in_the_path(tmp_path):
    folder = tmp_path / 'it\'s "here"'
    folder.mkdir()
    path = folder / "c.py"
    path.write_text("a = '{{ fileDirname }}'\nb = \"{{ fileDirname }}\"")
    cfg = Config.fromfile(path)
    assert cfg.a == cfg.b == str(folder)


def test_assets_folder_of_the_package_exists(write):
    from pathlib import Path

    path = write(c_py="a = '{{ raydetAssets }}/nuclei'")
    assert Path(Config.fromfile(path).a).is_dir()


def test_predefined_variables_can_be_left_alone(write):
    path = write(c_py="a = '{{ fileBasename }}'")
    assert Config.fromfile(path, use_predefined_variables=False).a == "{{ fileBasename }}"


def test_shipped_base_is_named_with_a_prefix(write):
    path = write(c_py="_base_ = 'raydet::_base_/schedules/schedule_1x.py'\nrunner = dict(max_epochs=3)")
    cfg = Config.fromfile(path)
    assert cfg.runner == dict(type="EpochBasedRunner", max_epochs=3)
    assert cfg.where("optimizer").startswith(str(shipped_root("configs")))


def test_missing_base_names_the_file_that_asks_for_it(write):
    path = write(c_py="_base_ = 'none.py'")
    with pytest.raises(FileNotFoundError, match=r"none\.py named by _base_ in .*c\.py"):
        Config.fromfile(path)


def test_base_that_is_no_text_is_refused(write):
    with pytest.raises(TypeError, match="_base_"):
        Config.fromfile(write(c_py="_base_ = 1"))


def test_deprecated_config_warns_with_its_successor(write):
    path = write(c_py="_deprecation_ = dict(expected='new.py', reference='a page')\na = 1")
    with pytest.warns(DeprecationWarning, match=r"use new\.py instead.*a page"):
        cfg = Config.fromfile(path)
    assert set(cfg) == {"a"}


def test_custom_imports_are_imported(write, tmp_path, monkeypatch):
    import sys

    path = write(raydet_test_plugin_py="LOADED = True", c_py="custom_imports = dict(imports='raydet_test_plugin')")
    monkeypatch.syspath_prepend(tmp_path)
    Config.fromfile(path, import_custom_modules=False)
    assert "raydet_test_plugin" not in sys.modules
    Config.fromfile(path)
    assert sys.modules.pop("raydet_test_plugin").LOADED


def test_failing_custom_import_is_an_import_error_with_place(write):
    path = write(c_py="a = 1\ncustom_imports = dict(imports=['not_there_at_all'], allow_failed_imports=False)")
    with pytest.raises(ImportError, match=r"c\.py:2: .*not_there_at_all"):
        Config.fromfile(path)


def test_failing_custom_import_warns_when_allowed(write):
    path = write(c_py="custom_imports = dict(imports=['not_there_at_all'], allow_failed_imports=True)")
    with pytest.warns(UserWarning, match="not_there_at_all"):
        Config.fromfile(path)


def test_custom_imports_of_another_type_are_refused(write):
    with pytest.raises(TypeError, match="module names"):
        Config.fromfile(write(c_py="custom_imports = dict(imports=[1])"))


def test_text_holds_all_files(write):
    path = write(base_py="a = 1  # one", c_py="_base_ = 'base.py'\nb = 2")
    text = Config.fromfile(path).text
    assert text.index("base.py\na = 1  # one") < text.index("c.py\n_base_")


def test_loading_gives_no_warnings(write):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Config.fromfile(write(c_py="a = 1"))
