"""Occlusion maps of scores whose answer is known, and how alike two maps are."""

import numpy as np
import pytest
import torch

from osteomet.nn.occlusion import likeness, occlusion_boxes, occlusion_of_cube, randomised


def test_the_map_is_the_share_of_the_covering_boxes_that_hold_what_counts() -> None:
    cube = np.zeros((2, 8, 8, 8), dtype=np.float32)
    cube[:, 3, 3, 3] = 1.0

    def score(cubes: np.ndarray) -> np.ndarray:
        return 2.0 * cubes[:, 0, 3, 3, 3].astype(np.float64)

    found = occlusion_of_cube(score, cube, n_covered=1)
    # Boxes have an edge of 2 and stand 1 apart: all eight that cover the voxel itself hold it, half of those that cover
    # the next one, and none of those two voxels on.
    assert found[3, 3, 3] == 2.0
    assert found[4, 3, 3] == found[2, 3, 3] == found[3, 3, 4] == 1.0
    assert found[5, 3, 3] == 0.0
    np.testing.assert_array_equal(
        occlusion_of_cube(lambda c: c[:, 1, 3, 3, 3].astype(np.float64), cube, n_covered=1), 0
    )


def test_boxes_cover_every_voxel_of_any_side() -> None:
    for side in (8, 9, 15, 16, 33):
        covered = np.zeros((side,) * 3, dtype=int)
        for box in occlusion_boxes(side):
            covered[box] += 1
        assert covered.min() >= 1


def test_a_randomised_network_says_something_else_the_same_each_time() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)).eval()
    x = torch.randn(4, 6)
    with torch.no_grad():
        first, again, other = (randomised(network, seed)(x) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.allclose(first, network(x))
        assert not torch.allclose(first, other)


def test_likeness_is_a_rank_correlation() -> None:
    a = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    assert likeness(a, a**3) == pytest.approx(1.0)
    assert likeness(a, -a) == pytest.approx(-1.0)
    assert likeness(a, np.zeros_like(a)) is None
