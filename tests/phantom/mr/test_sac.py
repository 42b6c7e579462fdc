"""Fluid of the dural sac: roots behind and below, streams above, and nothing outside of pure fluid."""

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.phantom.mr.sac import stir
from osteomet.phantom.mr.tissues import Tissue

FLUID, ROOT, STREAM = int(Tissue.CSF), int(Tissue.NERVE_ROOT), int(Tissue.CSF_STREAM)
SAC = np.array([[0.0, 3.0, 5.0, 8.0, 8.0, 26.0], [520.0, 3.0, 5.0, 8.0, 8.0, 0.0]])
"""A straight sac of 8 mm radius about (3, 5), 20 mm a level: L5 (23) is at 60 mm, T6 (12) at 280 mm."""

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]


def stirred(low_mm: float, seed: int = 4) -> tuple[NDArray[np.float32], Layers]:
    """Pure fluid in a box about the sac, 60 mm high, on a grid of 1 × 1 × 2 mm, and its points."""
    axes = np.arange(-5.0, 11.5), np.arange(-3.0, 13.5), np.arange(low_mm, low_mm + 60, 2.0)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)
    shape = points.shape[:3]
    layers = np.full(shape, FLUID, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    stir(points, (FLUID, ROOT, STREAM), SAC, seed, *layers)
    return points, layers


def mean_share(layers: Layers, name: int, where: NDArray[np.bool_]) -> float:
    """Mean share of a tissue over some voxels."""
    return float(np.where(layers[1] == name, layers[2], 0)[where].mean())


def test_roots_lie_in_the_back_of_the_sac_and_grow_fewer_downwards() -> None:
    upper, lower = ([stirred(low_mm, seed) for seed in range(6)] for low_mm in (78.0, 15.0))
    behind, before = upper[0][0][..., 1] > 8, upper[0][0][..., 1] < 2
    (dense, thin), (ahead, _) = (
        [np.mean([mean_share(layers, ROOT, where) for _, layers in some]) for some in (upper, lower)]
        for where in (behind, before)
    )
    assert dense > 2 * ahead > 0
    # The root of what is left of L2 and of L5 to S1: 0.75 and 0.25 of all, 0.85 against 0.5.
    assert 0.4 < thin / dense < 0.75


def test_the_chest_has_streams_and_hardly_a_root() -> None:
    points, layers = stirred(280.0)
    everywhere = np.ones(points.shape[:3], dtype=np.bool_)
    assert mean_share(layers, STREAM, everywhere) > 0.03
    # Noise of unit variance seldom exceeds 2.5: 0.08 times what is above 0.5.
    assert layers[2][layers[1] == ROOT].max() < 0.2
    # 0.45 at most of what pulsates, of which a twentieth is left below L4.
    _, low = stirred(15.0)
    assert layers[2].max() <= 0.45 + 1e-6
    assert np.where(low[1] == STREAM, low[2], 0).max() <= 0.45 * 0.05 + 1e-6


def test_roots_are_long_along_the_sac_and_thin_across_it() -> None:
    _, (_, second, share) = stirred(90.0)
    roots = np.where(second == ROOT, share, 0)
    # Each step is 2 mm: along the sac neighbours are alike, across it they are not.
    along, across = np.abs(np.diff(roots, axis=2)).mean(), np.abs(roots[2:] - roots[:-2]).mean()
    assert along < 0.3 * across


@pytest.mark.parametrize("sac", [SAC, np.zeros((0, 6))], ids=["sac", "no sac"])
def test_what_is_no_pure_fluid_stays_as_it_is(sac: NDArray[np.float64]) -> None:
    points = np.zeros((2, 1, 1, 3), dtype=np.float32)
    points[..., :] = 3.0, 11.0, 100.0
    first = np.array([int(Tissue.CORD), FLUID], dtype=np.uint8).reshape(2, 1, 1)
    second = np.full((2, 1, 1), int(Tissue.LIGAMENT), dtype=np.uint8)
    share = np.array([0.0, 0.4], dtype=np.float32).reshape(2, 1, 1)
    layers = first.copy(), second.copy(), share.copy()
    stir(points, (FLUID, ROOT, STREAM), sac, 4, *layers)
    for found, before in zip(layers, (first, second, share), strict=True):
        np.testing.assert_array_equal(found, before)
