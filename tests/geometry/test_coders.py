from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.geometry import (
    BucketingBBoxCoder,
    DeltaXYWHBBoxCoder,
    DistancePointBBoxCoder,
    LegacyDeltaXYWHBBoxCoder,
    PseudoBBoxCoder,
    TBLRBBoxCoder,
    YOLOBBoxCoder,
)
from raydet.registry import BBOX_CODERS

PRIORS = torch.tensor([[0.0, 0.0, 10.0, 20.0], [10.0, 10.0, 20.0, 20.0]])


def test_delta_of_the_prior_itself_is_zero():
    assert DeltaXYWHBBoxCoder().encode(PRIORS, PRIORS).count_nonzero() == 0


def test_delta_decode_of_literal_values_is_exact():
    deltas = torch.tensor([[0.1, 0.2, 0.0, 0.0], [0.0, 0.0, 0.6931472, -0.6931472]])
    decoded = DeltaXYWHBBoxCoder().decode(PRIORS, deltas)
    torch.testing.assert_close(decoded, torch.tensor([[1.0, 4, 11, 24], [5, 12.5, 25, 17.5]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder]))
def test_delta_decode_inverts_encode(seed, kind):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, 8, 2, generator=generator) * 50
    priors, truths = torch.cat([corners, corners + 5 + torch.rand(2, 8, 2, generator=generator) * 50], dim=-1)
    coder = kind(target_means=(0.1, 0, 0, 0), target_stds=(0.1, 0.1, 0.2, 0.2))
    decoded = coder.decode(priors, coder.encode(priors, truths))
    grown = 0.5 if kind is LegacyDeltaXYWHBBoxCoder else 0.0  # its sizes count one pixel that its corners do not
    expected = truths + torch.tensor([-grown, -grown, grown, grown])
    torch.testing.assert_close(decoded, expected, atol=1e-3, rtol=1e-4)


def test_delta_decode_takes_several_boxes_per_prior_and_batches():
    deltas = torch.randn(2, 12)
    coder = DeltaXYWHBBoxCoder()
    whole = coder.decode(PRIORS, deltas, max_shape=(15, 12))
    for k in range(3):
        columns = slice(4 * k, 4 * k + 4)
        torch.testing.assert_close(whole[:, columns], coder.decode(PRIORS, deltas[:, columns], max_shape=(15, 12)))
    batched = coder.decode(PRIORS.expand(3, 2, 4), deltas.expand(3, 2, 12), max_shape=[(15, 12)] * 3)
    torch.testing.assert_close(batched, whole.expand(3, 2, 12))


def test_delta_decode_limits_growth():
    decoded = DeltaXYWHBBoxCoder().decode(PRIORS[1:], torch.tensor([[0.0, 0, 50, -50]]))
    width, height = (decoded[0, 2:] - decoded[0, :2]).tolist()
    assert width == pytest.approx(625, rel=1e-4)
    assert height == pytest.approx(0.16, rel=1e-4)


def test_delta_decode_with_center_clamp_limits_the_shift():
    decoded = DeltaXYWHBBoxCoder(add_ctr_clamp=True, ctr_clamp=3).decode(PRIORS[1:], torch.tensor([[9.0, -9, 0, 0]]))
    assert decoded.tolist() == [[13, 7, 23, 17]]


@pytest.mark.parametrize("clip", [True, False])
def test_decode_clips_only_when_asked(clip):
    decoded = DeltaXYWHBBoxCoder(clip_border=clip).decode(PRIORS, torch.zeros(2, 4), max_shape=(8, 8))
    assert (decoded.max() == 8) == clip


def test_legacy_decode_clips_to_the_last_pixel():
    assert LegacyDeltaXYWHBBoxCoder().decode(PRIORS, torch.ones(2, 4), max_shape=(8, 8)).max() == 7


@pytest.mark.parametrize("shape", [(0, 4), (2, 0)])
def test_decode_of_nothing_keeps_the_shape(shape):
    assert DeltaXYWHBBoxCoder().decode(PRIORS[: shape[0]], torch.zeros(shape)).shape == shape


def test_encode_of_unequal_shapes_raises():
    with pytest.raises(ValueError, match="one box per prior"):
        DeltaXYWHBBoxCoder().encode(PRIORS, PRIORS[:1])


def test_decode_of_unequal_rows_raises():
    with pytest.raises(ValueError, match="deltas"):
        DeltaXYWHBBoxCoder().decode(PRIORS, torch.zeros(3, 4))


def test_pseudo_coder_returns_the_boxes():
    coder = PseudoBBoxCoder()
    assert coder.encode(PRIORS, PRIORS + 1) is not None
    torch.testing.assert_close(coder.decode(PRIORS, PRIORS + 1), PRIORS + 1)


@pytest.mark.parametrize("clip", [True, False])
def test_distance_coder_decodes_what_it_encoded(clip):
    coder = DistancePointBBoxCoder(clip_border=clip)
    points = torch.tensor([[5.0, 5.0], [15.0, 15.0]])
    torch.testing.assert_close(coder.decode(points, coder.encode(points, PRIORS)), PRIORS)
    assert (coder.decode(points, coder.encode(points, PRIORS), max_shape=(12, 12)).max() == 12) == clip


def test_coder_takes_extra_columns_of_nothing_from_configs():
    with pytest.raises(TypeError, match="clip_border"):
        BBOX_CODERS.build({"type": "DeltaXYWHBBoxCoder", "clip_boarder": False})


@pytest.mark.parametrize("normalizer", [4.0, (1.0, 2.0, 3.0, 4.0)])
def test_tblr_coder_decodes_what_it_encoded(normalizer):
    coder = TBLRBBoxCoder(normalizer)
    truths = torch.tensor([[1.0, 2.0, 9.0, 30.0], [5.0, 12.0, 19.0, 16.0]])
    torch.testing.assert_close(coder.decode(PRIORS, coder.encode(PRIORS, truths)), truths)
    assert coder.decode(PRIORS, coder.encode(PRIORS, truths), max_shape=(20, 20)).max() == 20


def test_tblr_distances_come_in_the_order_of_the_name():
    assert TBLRBBoxCoder(1.0).encode(PRIORS[:1], torch.tensor([[2.0, 6.0, 9.0, 20.0]])).tolist() == [
        [pytest.approx(v) for v in (0.2, 0.5, 0.3, 0.4)]
    ]


@pytest.mark.parametrize("stride", [16, torch.tensor([16.0, 32.0])])
def test_yolo_coder_decodes_what_it_encoded(stride):
    coder = YOLOBBoxCoder()
    truths = torch.tensor([[1.0, 2.0, 9.0, 22.0], [9.0, 12.0, 17.0, 16.0]])
    torch.testing.assert_close(coder.decode(PRIORS, coder.encode(PRIORS, truths, stride), stride), truths)


def test_yolo_shift_of_none_is_one_half():
    torch.testing.assert_close(YOLOBBoxCoder().encode(PRIORS, PRIORS, 8), torch.tensor([[0.5, 0.5, 0, 0]] * 2))


def test_bucketing_targets_name_the_nearest_bucket_and_its_offset():
    targets = BucketingBBoxCoder(num_buckets=4, scale_factor=1.0).encode(PRIORS[1:], torch.tensor([[12.0, 10, 19, 20]]))
    # Left buckets of 2.5 pixels have their centers at 11.25 and 13.75; the right ones at 18.75 and 16.25.
    assert targets.labels.view(4, 2).tolist() == [[1, 0]] * 4
    torch.testing.assert_close(targets.offsets.view(4, 2)[:2], torch.tensor([[-0.3, 0.7], [-0.1, -1.1]]))
    assert targets.offset_weights.view(4, 2)[:2].tolist() == [[1, 1], [1, 0]]
    assert targets.label_weights.view(4, 2)[:2].tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("clip", [True, False])
def test_bucketing_decodes_what_it_encoded(clip):
    coder = BucketingBBoxCoder(num_buckets=14, scale_factor=2.0, cls_ignore_neighbor=False, clip_border=clip)
    truths = torch.tensor([[1.0, 2.0, 9.0, 22.0], [9.0, 12.0, 17.0, 16.0]])
    targets = coder.encode(PRIORS, truths)
    boxes, confidence = coder.decode(PRIORS, (targets.labels * 50, targets.offsets))
    torch.testing.assert_close(boxes, truths, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(confidence, torch.ones(2))
    assert targets.label_weights.min() == 1
    clipped, _ = coder.decode(PRIORS, (targets.labels * 50, targets.offsets), max_shape=(16, 16))
    assert (clipped.max() == 15) == clip
