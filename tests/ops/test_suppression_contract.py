from __future__ import annotations

import pytest
import torch
from op_contract import OpContract
from raydet_ops import batched_nms, bbox_overlaps, nms, soft_nms
from raydet_ops.nms import _nms
from raydet_ops.nms import _plain as plain_nms
from raydet_ops.overlaps import MODES
from raydet_ops.overlaps import _plain as plain_overlaps
from raydet_ops.soft_nms import METHODS
from raydet_ops.soft_nms import _plain as plain_soft_nms

nan, inf = float("nan"), float("inf")


def overlap(a, b):
    """Intersection over union of two boxes, number by number."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union else nan


def grown(boxes, offset):
    return [[left, top, right + offset, bottom + offset] for left, top, right, bottom in boxes.tolist()]


def ranks(scores):
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def greedy(boxes, scores, groups, split, iou_threshold, offset, max_num):
    boxes, scores, keep = grown(boxes, offset), scores.tolist(), []
    labels = groups.tolist() if split else [0] * len(boxes)
    for i in ranks(scores):
        rivals = [k for k in keep if labels[k] == labels[i]]
        if not any(overlap(boxes[k], boxes[i]) > iou_threshold for k in rivals):
            keep.append(i)
    return torch.tensor(keep[:max_num] if max_num > 0 else keep)


def softly(boxes, scores, method, iou_threshold, sigma, min_score, offset):
    boxes, scores = grown(boxes, offset), dict(enumerate(scores.tolist()))
    decay = {
        "linear": lambda iou: 1 - iou if iou >= iou_threshold else 1.0,
        "gaussian": lambda iou: torch.tensor(-iou * iou / sigma).exp().item(),
        "naive": lambda iou: 0.0 if iou >= iou_threshold else 1.0,
    }[method]
    dets = []
    while scores:
        best = max(scores, key=lambda i: (scores[i], -i))
        dets.append([*boxes[best][:2], boxes[best][2] - offset, boxes[best][3] - offset, scores.pop(best)])
        scores = {i: score * decay(overlap(boxes[best], boxes[i])) for i, score in scores.items()}
        scores = {i: score for i, score in scores.items() if score >= min_score}
    return torch.tensor(dets, dtype=torch.float64)


def scored_boxes(count, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 40, (count, 2), generator=generator)
    sizes = torch.randint(8, 30, (count, 2), generator=generator)
    scores = torch.randperm(count, generator=generator) / count
    return torch.cat([corners, corners + sizes], dim=1).to(dtype), scores.to(dtype)


def at_least_single(*values):
    return [value if value.dtype == torch.float64 else value.float() for value in values]


class LengthByValues(OpContract):
    """Of operators whose result is as long as its values say."""

    @pytest.fixture(autouse=True)
    def follow_lengths(self):
        with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
            yield


class TestNms(LengthByValues):
    operator = torch.ops.raydet.nms.default
    reference = staticmethod(greedy)

    @staticmethod
    def public(boxes, scores, groups, split, iou_threshold, offset, max_num):
        return _nms(boxes, scores, iou_threshold, offset, 0, max_num, groups, split)[1]

    def inputs(self, dtype=torch.float32):
        boxes, scores = scored_boxes(70, dtype)
        return boxes, scores, torch.arange(70) % 3, True, 0.3, 0, 20

    def empty_inputs(self):
        return [
            (torch.zeros(0, 4), torch.zeros(0), groups, True, 0.5, 0, -1) for groups in (None, torch.zeros(0).long())
        ]

    def odd_inputs(self):
        boxes = torch.tensor([[nan, 0, 1, 1], [0, 0, inf, inf], [-inf, 0, inf, 1], [5, 5, 1, 1.0]])
        groups = torch.tensor([2**62, -(2**62), 0, 0])
        return [(boxes, torch.tensor([nan, inf, -inf, 0]), groups, split, 0.5, 1, 2) for split in (False, True)]

    def large_inputs(self):
        boxes, scores = scored_boxes(20_000)
        return boxes, scores, torch.arange(20_000) % 9, True, 0.5, 0, -1


class TestNmsByWords(TestNms):
    operator = torch.ops.raydet.nms_by_words.default

    @staticmethod
    def public(boxes, scores, *rest):
        return torch.ops.raydet.nms_by_words(*at_least_single(boxes, scores), *rest)


class TestPublicNms(LengthByValues):
    operator = staticmethod(nms)
    public = staticmethod(nms)

    @staticmethod
    def reference(boxes, scores, iou_threshold, offset, score_threshold, max_num):
        above = (scores > score_threshold).nonzero()[:, 0]
        keep = above[greedy(boxes[above], scores[above], None, False, iou_threshold, offset, max_num)]
        return torch.cat([boxes, scores[:, None]], dim=1)[keep]

    def inputs(self, dtype=torch.float32):
        return *scored_boxes(70, dtype), 0.3, 1, 0.25, 9

    def test_keeps_the_rules_of_pytorch(self):
        pytest.skip("composed of operators that keep them")

    def test_gpu_keeps_the_rules_and_stands_odd_inputs(self):
        pytest.skip("composed of operators that keep them")

    def test_exports(self):
        super().test_exports()

    def empty_inputs(self):
        return [(torch.zeros(0, 4), torch.zeros(0), 0.5)]

    def wrong_inputs(self):
        boxes, scores = scored_boxes(3)
        return [
            ((boxes[:, :3], scores, 0.5), r"boxes.*\(3, 3\)"),
            ((boxes, scores[:2], 0.5), "3 boxes"),
            ((boxes, scores, 0.5, 2), "offset"),
            ((boxes.long(), scores, 0.5), "boxes"),
            ((boxes, scores.to("meta"), 0.5), "meta"),
        ]


class TestSoftNms(LengthByValues):
    operator = torch.ops.raydet.soft_nms.default

    @staticmethod
    def public(boxes, scores, method, *rest):
        iou_threshold, sigma, min_score, offset = rest
        return soft_nms(boxes, scores, iou_threshold, sigma, min_score, METHODS[method], offset)[0]

    @staticmethod
    def reference(boxes, scores, method, *rest):
        return softly(boxes, scores, METHODS[method], *rest)

    def inputs(self, dtype=torch.float32):
        return *scored_boxes(40, dtype), METHODS.index("linear"), 0.3, 0.5, 0.05, 0

    def empty_inputs(self):
        return [(torch.zeros(0, 4), torch.zeros(0), method, 0.3, 0.5, 0.05, 0) for method in range(3)]

    def odd_inputs(self):
        boxes = torch.tensor([[nan, 0, 1, 1], [0, 0, inf, inf], [5, 5, 1, 1.0], [0, 0, 0, 0]])
        scores = torch.tensor([nan, inf, -inf, 1.0])
        return [(boxes, scores, method, 0.3, 0.5, least, 1) for method in range(3) for least in (-inf, 0.0, inf)]

    def wrong_inputs(self):
        boxes, scores = scored_boxes(3)
        return [
            ((boxes, scores[:2], 0, 0.3, 0.5, 1e-3, 0), "3 boxes"),
            ((boxes, scores, 0, 0.3, 0.5, 1e-3, 2), "offset"),
            ((boxes, scores, METHODS.index("gaussian"), 0.3, 0.0, 1e-3, 0), "sigma"),
        ]


class TestNmsMatch(LengthByValues):
    operator = torch.ops.raydet.nms_match.default

    @staticmethod
    def public(boxes, scores, iou_threshold):
        return torch.ops.raydet.nms_match(*at_least_single(boxes, scores), iou_threshold)

    @staticmethod
    def reference(boxes, scores, iou_threshold):
        boxes, left, members = boxes.tolist(), ranks(scores.tolist()), []
        while left:
            first = left[0]
            group = [i for i in left if i == first or overlap(boxes[first], boxes[i]) >= iou_threshold]
            members += group
            left = [i for i in left if i not in group]
        return torch.tensor(members)

    def inputs(self, dtype=torch.float32):
        return *scored_boxes(60, dtype), 0.3

    def empty_inputs(self):
        return [(torch.zeros(0, 4), torch.zeros(0), 0.5)]

    def odd_inputs(self):
        return [(torch.tensor([[nan, 0, 1, 1], [0, 0, inf, inf]]), torch.tensor([nan, inf]), 0.5)]


class TestBboxOverlaps(OpContract):
    operator = torch.ops.raydet.bbox_overlaps.default

    @staticmethod
    def public(bboxes1, bboxes2, mode, aligned, offset, eps):
        return bbox_overlaps(bboxes1, bboxes2, MODES[mode], aligned, offset, eps)

    @staticmethod
    def reference(bboxes1, bboxes2, mode, aligned, offset, eps):
        table = [[overlap(a, b) for b in grown(bboxes2[0], offset)] for a in grown(bboxes1[0], offset)]
        return torch.tensor([table], dtype=torch.float64)

    def inputs(self, dtype=torch.float32):
        return scored_boxes(9, dtype)[0][None], scored_boxes(50, dtype, seed=1)[0][None], 0, False, 0, 1e-6

    def test_gradient_in_float64(self):
        first, second = scored_boxes(3, torch.float64)[0], scored_boxes(4, torch.float64, seed=1)[0]
        inputs = [(x + torch.rand_like(x)).requires_grad_() for x in (first, second)]
        for mode in MODES:
            assert torch.autograd.gradcheck(lambda a, b, m=mode: bbox_overlaps(a, b, m), inputs)

    def empty_inputs(self):
        shapes = [((m, 4), (n, 4)) for m, n in ((0, 3), (3, 0), (0, 0))] + [((0, 2, 4), (0, 3, 4))]
        tables = [(torch.zeros(a), torch.zeros(b), 0, False, 0, 0.0) for a, b in shapes]
        return [*tables, (torch.zeros(0, 4), torch.zeros(0, 4), 0, True, 0, 0.0)]

    def odd_inputs(self):
        odd = torch.tensor([[nan, 0, 1, 1], [0, 0, inf, inf], [5, 5, 1, 1.0]])
        return [(odd, odd, mode, aligned, 1, 0.0) for mode in range(3) for aligned in (False, True)]

    def wrong_inputs(self):
        boxes, rest = scored_boxes(3)[0], (0, False, 0, 0.0)
        return [
            ((boxes[0], boxes, *rest), "bboxes1"),
            ((boxes, boxes[:, :3], *rest), "bboxes2"),
            ((boxes, boxes[:2], 0, True, 0, 0.0), "equally many"),
            ((boxes, boxes, 0, False, 3, 0.0), "offset"),
            ((boxes, boxes.to("meta"), *rest), "meta"),
            ((boxes, [1.0], *rest), "bboxes2"),
        ]

    def large_inputs(self):
        return scored_boxes(100)[0][None], scored_boxes(2000)[0][None], 0, False, 0, 1e-6


@pytest.mark.parametrize("mode", ["iou", "iof", "giou"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("offset", [0, 1])
def test_kernel_of_overlaps_equals_the_plain_version_to_the_bit(mode, aligned, offset):
    first, second = scored_boxes(40)[0], scored_boxes(40, seed=1)[0]
    first[3, 1], second[5, 2], second[7] = nan, inf, nan
    options = MODES.index(mode), aligned, offset, 1e-6
    result = bbox_overlaps(first, second, mode, aligned, offset, eps=1e-6)
    torch.testing.assert_close(result, plain_overlaps(first, second, *options), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("threshold", [0.6, 1 / 3, 0.0, -0.1])
@pytest.mark.parametrize("count", [1, 64, 65, 500])
def test_kernels_of_nms_decide_as_torchvision_does_at_the_threshold(threshold, count):
    boxes, scores = scored_boxes(count)
    boxes[:: count // 9 + 1] -= 30  # left of 0: classes that are shifted may meet
    groups = torch.arange(count) % 4
    shifted = boxes + (groups * (boxes.max() + 1))[:, None]
    scores = (scores * 10).round()  # with ties
    for rest in ((None, False), (groups, False), (groups, True)):
        for offset, max_num in ((0, -1), (1, 3)):
            arguments = (shifted, scores, *rest, threshold, offset, max_num)
            expected = plain_nms(*arguments)
            assert torch.equal(torch.ops.raydet.nms(*arguments), expected)
            assert torch.equal(torch.ops.raydet.nms_by_words(*arguments), expected)


def test_words_go_on_where_the_rows_at_once_end():
    boxes, scores = scored_boxes(9000)
    boxes = boxes * 20
    expected = torch.ops.raydet.nms(boxes, scores, None, False, 0.5, 0, -1)
    assert torch.equal(torch.ops.raydet.nms_by_words(boxes, scores, None, False, 0.5, 0, -1), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("offset", [0, 1])
def test_kernel_of_soft_nms_chooses_as_the_plain_version(method, offset):
    boxes, scores = scored_boxes(500)
    boxes[:4] = boxes[:1, :2].repeat(4, 2)  # without area, at one place
    arguments = (boxes * 3, scores, METHODS.index(method), 0.4, 0.5, 0.01, offset)
    for result, expected in zip(torch.ops.raydet.soft_nms(*arguments), plain_soft_nms(*arguments), strict=True):
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("agnostic", [False, True])
def test_batched_nms_compiles_as_one_graph(agnostic):
    boxes, scores = scored_boxes(80)
    config = {"type": "nms", "iou_threshold": 0.4, "max_num": 10}
    run = lambda b, s, c: batched_nms(b, s, c, config, agnostic)  # noqa: E731
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(
            compiled(boxes, scores, torch.arange(80) % 5), run(boxes, scores, torch.arange(80) % 5)
        )
