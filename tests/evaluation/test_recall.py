from __future__ import annotations

import numpy as np
import pytest

from raydet.evaluation import eval_recalls

TRUTH = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], dtype=np.float32)
HIT = [0, 0, 10, 10, 0.4]
NEAR = [20, 20, 30, 26, 0.9]


def test_eval_recalls_counts_covered_objects_by_number_and_overlap():
    recalls = eval_recalls([TRUTH], [np.array([HIT, NEAR])], [1, 2], [0.5, 0.7], logger="silent")
    np.testing.assert_allclose(recalls, [[0.5, 0.0], [1.0, 0.5]])


def test_eval_recalls_matches_each_proposal_once():
    twice = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], dtype=np.float32)
    recalls = eval_recalls([twice], [np.array([[0, 0, 10, 10, 1.0]])], 5, 0.5, logger="silent")
    np.testing.assert_allclose(recalls, [[0.5]])


@pytest.mark.parametrize("truth", [None, np.zeros((0, 4), dtype=np.float32)], ids=["none", "empty"])
def test_eval_recalls_with_an_image_without_objects_ignores_it(truth):
    recalls = eval_recalls([TRUTH, truth], [np.array([HIT, NEAR])] * 2, [10], 0.5, logger="silent")
    np.testing.assert_allclose(recalls, [[1.0]])


def test_eval_recalls_without_proposals_is_zero():
    recalls = eval_recalls([TRUTH], [np.zeros((0, 5))], [10], 0.5, logger="silent")
    np.testing.assert_allclose(recalls, [[0.0]])


def test_eval_recalls_prints_a_table(capsys):
    eval_recalls([TRUTH], [np.array([HIT])], [100], [0.5], logger=None)
    assert "| 100 | 0.500 |" in capsys.readouterr().out


def test_eval_recalls_with_other_number_of_images_is_refused():
    with pytest.raises(ValueError, match="1 images but proposals of 2"):
        eval_recalls([TRUTH], [TRUTH, TRUTH], 1, logger="silent")
