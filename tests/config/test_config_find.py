import subprocess
import sys
from pathlib import Path

import pytest

from raydet.config import Config, find_config, shipped_root

NAME = "retinanet_r50_fpn_1x_coco"


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        f"{NAME}.py",
        f"retinanet/{NAME}",
        f"retinanet/{NAME}.py",
        f"configs/retinanet/{NAME}.py",
        f"./retinanet/{NAME}",
    ],
)
def test_shipped_config_is_found_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == shipped_root("configs") / "retinanet" / f"{NAME}.py"


def test_existing_path_comes_first(write, monkeypatch):
    path = write(**{f"{NAME}_py": "a = 1"})
    monkeypatch.chdir(path.parent)
    assert Config.fromfile(f"{NAME}.py").a == 1


def test_unknown_name_gives_the_nearest():
    with pytest.raises(FileNotFoundError, match=f"did you mean .*'{NAME}'"):
        find_config("retinanet_r50_fpn_1xcoco")


def test_misspelt_path_gives_its_neighbour(write):
    path = write(my_config_py="a = 1")
    with pytest.raises(FileNotFoundError, match=r"my_config\.py"):
        find_config(path.with_name("my_confg.py"))


def test_absolute_path_is_not_looked_for_among_the_shipped(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_config(tmp_path / f"{NAME}.py")


def test_base_files_are_not_found_by_name():
    with pytest.raises(FileNotFoundError):
        find_config("schedule_1x")


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kinds"):
        shipped_root("secrets")


def test_import_is_light():
    code = "import sys, raydet.config; print([m for m in ('torch', 'ray', 'numpy', 'cv2') if m in sys.modules])"
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert result.stdout.strip() == "[]"
