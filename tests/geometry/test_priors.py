from __future__ import annotations

import copy
import pickle

import pytest
import torch

from raydet.geometry import (
    AnchorGenerator,
    LegacyAnchorGenerator,
    LegacySSDAnchorGenerator,
    MlvlPointGenerator,
    PointGenerator,
    SSDAnchorGenerator,
    YOLOAnchorGenerator,
)
from raydet.geometry.priors.grid import GridCache

SSD = {"strides": [8, 16, 32], "ratios": [[2], [2, 3], [2]], "min_sizes": [10, 20, 40], "max_sizes": [20, 40, 80]}
GENERATORS = [
    pytest.param(AnchorGenerator([8, 16], [0.5, 1.0], octave_base_scale=4, scales_per_octave=3), id="octaves"),
    pytest.param(AnchorGenerator([(8, 4), 16], [1.0], [8, 16], base_sizes=[9, 18], center_offset=0.5), id="offset"),
    pytest.param(LegacyAnchorGenerator([8, 16], [0.5, 1.0], [4]), id="legacy"),
    pytest.param(SSDAnchorGenerator(**SSD), id="ssd"),
    pytest.param(YOLOAnchorGenerator([8, 16], [[(10, 13), (16, 30)], [(30, 61), (62, 45)]]), id="yolo"),
    pytest.param(MlvlPointGenerator([8, 16]), id="points"),
]
EACH = pytest.mark.parametrize("generator", GENERATORS)


def sizes(generator):
    return [(6, 8), (3, 4), (2, 2)][: generator.num_levels]


def test_anchors_of_literal_sizes_are_exact():
    generator = AnchorGenerator(strides=[16], ratios=[1.0], scales=[1.0], base_sizes=[9])
    anchors = generator.grid_priors([(2, 2)])
    expected = [[-4.5, -4.5, 4.5, 4.5], [11.5, -4.5, 20.5, 4.5], [-4.5, 11.5, 4.5, 20.5], [11.5, 11.5, 20.5, 20.5]]
    assert anchors[0].tolist() == expected


def test_legacy_anchors_lie_on_whole_pixels():
    base = LegacyAnchorGenerator([16], [1.0], [1.0], base_sizes=[9], center_offset=0.5).base_anchors[0]
    assert base.tolist() == [[0, 0, 8, 8]]


@pytest.mark.parametrize(("major", "first_two"), [(True, [8.0, 16.0]), (False, [8.0, 8 / 2**0.5])])
def test_anchor_order_within_a_cell_follows_scale_major(major, first_two):
    base = AnchorGenerator([8], [1.0, 2.0], [1, 2], scale_major=major).base_anchors[0]
    torch.testing.assert_close(base[:2, 2] - base[:2, 0], torch.tensor(first_two))


@EACH
def test_sparse_priors_are_rows_of_the_grid(generator):
    for level, (size, grid) in enumerate(zip(sizes(generator), generator.grid_priors(sizes(generator)), strict=True)):
        places = torch.tensor([0, len(grid) // 2, len(grid) - 1])
        torch.testing.assert_close(generator.sparse_priors(places, size, level), grid[places])


@EACH
def test_valid_flags_cover_the_padded_image_only(generator):
    grids = generator.grid_priors(sizes(generator))
    flags = generator.valid_flags(sizes(generator), (40, 40, 3))
    assert [len(f) for f in flags] == [len(g) for g in grids]
    counts = [
        min(-(-40 // int(y)), h) * min(-(-40 // int(x)), w)
        for (h, w), (x, y) in zip(sizes(generator), generator.strides, strict=True)
    ]
    assert [int(f.sum()) for f in flags] == [c * a for c, a in zip(counts, generator.num_base_priors, strict=True)]


@EACH
def test_grids_are_remembered_per_size_and_dtype(generator):
    first, again = generator.grid_priors(sizes(generator)), generator.grid_priors(sizes(generator))
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert generator.grid_priors(sizes(generator), dtype=torch.float64)[0].dtype == torch.float64


@EACH
def test_copies_and_pickles_give_the_same_grids(generator):
    for twin in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        for a, b in zip(generator.grid_priors(sizes(generator)), twin.grid_priors(sizes(generator)), strict=True):
            assert torch.equal(a, b)


@EACH
def test_grid_of_a_wrong_number_of_levels_raises(generator):
    with pytest.raises(ValueError, match="feature map size"):
        generator.grid_priors([(4, 4)] * 7)


def test_cache_forgets_the_least_recently_used():
    cache = GridCache(limit=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: torch.tensor([ord(key)]))
    assert len(cache) == 2
    cache.get("a", lambda: pytest.fail("forgot the recent entry"))
    assert cache.get("b", lambda: torch.tensor([0])) == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scales": [8], "octave_base_scale": 4, "scales_per_octave": 3},
        {"octave_base_scale": 4},
        {"scales": [8], "center_offset": 2},
        {"scales": [8], "center_offset": 0.5, "centers": [(0, 0)]},
        {"scales": [8], "base_sizes": [4, 8]},
        {"scales": [8], "centers": [(0, 0), (1, 1)]},
    ],
)
def test_contradicting_arguments_raise(options):
    with pytest.raises(ValueError, match=r"scales|center|base size"):
        AnchorGenerator([8], [1.0], **options)


@pytest.mark.parametrize(
    ("kind", "first"), [(SSDAnchorGenerator, [-6.5, -6.5, 14.5, 14.5]), (LegacySSDAnchorGenerator, [-6, -6, 14, 14])]
)
def test_ssd_sizes_follow_from_the_range(kind, first):
    generator = kind(
        [8, 16, 32, 64, 100, 300], [[2], [2, 3], [2, 3], [2, 3], [2], [2]], basesize_ratio_range=(0.15, 0.9)
    )
    assert generator.base_sizes == [21, 45, 99, 153, 207, 261]
    assert generator.base_anchors[0][0].tolist() == first
    assert generator.num_base_priors == [4, 6, 6, 6, 4, 4]


@pytest.mark.parametrize(
    "options", [{"input_size": 400}, {"basesize_ratio_range": (0.3, 0.9)}, {"min_sizes": [1, 2, 3]}]
)
def test_ssd_sizes_that_cannot_be_derived_raise(options):
    with pytest.raises(ValueError, match=r"min_sizes"):
        SSDAnchorGenerator([8, 16, 32], [[2], [2], [2]], **options)


def test_yolo_cells_with_a_center_are_responsible():
    generator = YOLOAnchorGenerator([8], [[(10, 13), (16, 30)]])
    flags = generator.responsible_flags([(2, 2)], torch.tensor([[8.0, 0.0, 12.0, 4.0]]))
    assert flags[0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_points_lie_at_their_offset():
    assert MlvlPointGenerator([8]).grid_priors([(1, 2)])[0].tolist() == [[4, 4], [12, 4]]
    assert MlvlPointGenerator([8], 0).grid_priors([(1, 2)], with_stride=True)[0].tolist() == [
        [0, 0, 8, 8],
        [8, 0, 8, 8],
    ]


def test_point_generator_adds_the_stride():
    assert PointGenerator().grid_points((1, 2), 4).tolist() == [[0, 0, 4], [4, 0, 4]]
    assert PointGenerator().valid_flags((2, 2), (1, 2)).tolist() == [True, True, False, False]
