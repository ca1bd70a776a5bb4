from __future__ import annotations

import pytest

from raydet.cli.images import find_images, output_names


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.PNG", "notes.txt", "deep/a.jpg", "deep/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(folder, sources):
    return [path.relative_to(folder).as_posix() for path in find_images([str(folder / each) for each in sources])]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["."], ["a.jpg", "b.PNG", "deep/a.jpg", "deep/c.tif"]),
        (["*.jpg"], ["a.jpg"]),
        (["**/*.jpg"], ["a.jpg", "deep/a.jpg"]),
        (["b.PNG", "a.jpg", "b.PNG"], ["b.PNG", "a.jpg"]),
        (["notes.txt"], ["notes.txt"]),
    ],
    ids=["folder", "pattern", "deep-pattern", "twice", "named-file"],
)
def test_find_images_of_sources_gives_each_once_in_order(folder, sources, expected):
    assert names(folder, sources) == expected


@pytest.mark.parametrize("source", ["gone.jpg", "*.webp"])
def test_find_images_of_nothing_is_refused(folder, source):
    with pytest.raises(FileNotFoundError, match="there is no picture"):
        find_images([str(folder / source)])


def test_find_images_of_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no pictures in"):
        find_images([str(tmp_path)])


def test_output_names_are_all_different(folder):
    assert output_names(find_images([str(folder)])) == ["a.jpg", "b.png", "a_2.jpg", "c.png"]
