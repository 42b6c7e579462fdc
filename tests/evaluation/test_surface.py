"""Distances between surfaces: by hand, by brute force, against ITK and surface-distance."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from osteomet.core.errors import UsageError
from osteomet.evaluation.surface import SurfaceScores, element_areas_mm2, surface_scores

SITK: Any = sitk
SPACING = (0.5, 0.8, 3.0)


def scores(
    first: NDArray[Any], second: NDArray[Any], spacing: tuple[float, ...] = SPACING, tolerance: float = 1.0
) -> SurfaceScores:
    """Scores of two masks."""
    return surface_scores(np.argwhere(first), np.argwhere(second), spacing_mm=spacing, tolerance_mm=tolerance)


def blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two ragged masks that resemble each other."""
    field = gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 2))
    other = field + gaussian_filter(rng.normal(size=shape), 1) * rng.uniform(0, 0.5)
    return field > np.quantile(field, rng.uniform(0.4, 0.95)), other > np.quantile(other, rng.uniform(0.4, 0.95))


def near(result: SurfaceScores, *expected: float) -> None:
    """Compare all four scores."""
    got = (result.hausdorff_mm, result.hd95_mm, result.assd_mm, result.nsd)
    assert got == pytest.approx(expected, abs=1e-9)


def test_both_empty() -> None:
    assert scores(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))) == SurfaceScores(None, None, None, None)


def test_one_empty() -> None:
    some = np.ones((2, 2, 2))
    assert scores(some, np.zeros_like(some)) == SurfaceScores(None, None, None, 0.0)
    assert scores(np.zeros_like(some), some) == SurfaceScores(None, None, None, 0.0)


def test_perfect() -> None:
    near(scores(np.ones((4, 2, 2)), np.ones((4, 2, 2)), tolerance=0.0), 0, 0, 0, 1)


def test_two_single_voxels_by_hand() -> None:
    """Each has eight corners of one area: four lie 5 steps of 0.5 mm from the other, four lie 4 steps."""
    first, second = np.zeros((8, 1, 1)), np.zeros((8, 1, 1))
    first[1], second[6] = 1, 1
    near(scores(first, second, tolerance=2.0), 2.5, 2.5, 2.25, 0.5)
    near(scores(first, second, tolerance=1.9999), 2.5, 2.5, 2.25, 0)


def test_shifted_cubes() -> None:
    """A cube moved by two steps along each axis in turn: the face that leads or lags is two steps away."""
    cube = np.zeros((9, 9, 9))
    cube[1:6, 1:6, 1:6] = 1
    for axis, step in enumerate(SPACING):
        result = scores(cube, np.roll(cube, 2, axis))
        assert result.hausdorff_mm == pytest.approx(2 * step)
        assert result.hd95_mm is not None
        assert result.hd95_mm <= 2 * step + 1e-9


def test_parallel_plates() -> None:
    """Plates that cross the whole width, one voxel thick and 4 mm apart: faces 1 to 3 mm and 3 to 5 mm apart."""
    first, second = np.zeros((40, 40, 10)), np.zeros((40, 40, 10))
    first[:, :, 1], second[:, :, 5] = 1, 1
    result = scores(first, second, (1, 1, 1), tolerance=3.5)
    assert result.hausdorff_mm == 4
    assert result.hd95_mm == 4
    assert result.assd_mm == pytest.approx(3.5)
    assert result.nsd == pytest.approx(0.5)


def test_nested_balls() -> None:
    """Surfaces of balls of 9 and 6 mm about one centre lie 3 mm apart everywhere, to half a voxel."""
    spacing = (0.5, 0.75, 0.6)
    axes = np.meshgrid(*[(np.arange(48) - 23.5) * s for s in spacing], indexing="ij", sparse=True)
    radius = np.sqrt(sum(axis**2 for axis in axes))
    result = scores(radius <= 9, radius <= 6, spacing, tolerance=3.4)
    assert result.assd_mm == pytest.approx(3, abs=0.375)
    assert result.hd95_mm == pytest.approx(3, abs=0.375)
    assert result.nsd == 1


def test_a_filled_hole_parts_the_surfaces_more_than_the_voxels() -> None:
    """The documented case in which HD95 exceeds the Hausdorff distance: a bore one voxel wide, 4 mm below the faces."""
    rod = np.ones((9, 9, 60))
    bored = rod.copy()
    bored[4, 4, 1:-1] = 0
    result = scores(rod, bored, (1, 1, 1))
    assert (result.hausdorff_mm, result.hd95_mm) == (1, 4)


def test_areas_of_elements_by_hand() -> None:
    """Plane across each axis, chamfer along an edge, cut of one voxel; a filling and its complement have one area."""
    areas = element_areas_mm2((2, 3, 5))
    assert areas[[0, 255]].tolist() == [0, 0]
    assert areas[[0b00001111, 0b00110011, 0b01010101]] == pytest.approx([15, 10, 6])
    assert areas[0b00000011] == pytest.approx(5 * np.hypot(1, 1.5))
    assert areas[0b00000001] == pytest.approx(np.sqrt(15**2 + 10**2 + 6**2) / 8)
    np.testing.assert_array_equal(areas, areas[::-1])


def test_only_places_relative_to_each_other_matter() -> None:
    """Swapped sides, a shift of both, mirrored and permuted axes leave every score as it is."""
    first, second = blobs(np.random.default_rng(3), (9, 10, 11))
    expected = scores(first, second)
    got = (expected.hausdorff_mm, expected.hd95_mm, expected.assd_mm, expected.nsd)
    near(scores(second, first), *got)  # type: ignore[arg-type]
    near(scores(np.pad(first, 3), np.pad(second, 3)), *got)  # type: ignore[arg-type]
    for axis in range(3):
        near(scores(np.flip(first, axis), np.flip(second, axis)), *got)  # type: ignore[arg-type]
    for order in itertools.permutations(range(3)):
        spacing = tuple(SPACING[axis] for axis in order)
        near(scores(first.transpose(order), second.transpose(order), spacing), *got)  # type: ignore[arg-type]


def test_hausdorff_against_all_pairs_and_itk() -> None:
    """On masks of many blocks, so that the search by blocks matters."""
    rng = np.random.default_rng(4)
    for shape in ((40, 30, 6), (13, 17, 12), (5, 60, 9)):
        first, second = blobs(rng, shape)
        spacing = tuple(rng.uniform(0.4, 3, 3).tolist())
        pairs = cdist(np.argwhere(first) * spacing, np.argwhere(second) * spacing)
        slow = max(pairs.min(axis=0).max(), pairs.min(axis=1).max())
        images = [SITK.GetImageFromArray(mask.astype(np.uint8).T) for mask in (first, second)]
        for image in images:
            image.SetSpacing(spacing)
        itk = SITK.HausdorffDistanceImageFilter()
        itk.Execute(*images)
        hausdorff_mm = scores(first, second, spacing).hausdorff_mm
        assert hausdorff_mm == pytest.approx(slow, abs=1e-9)
        assert hausdorff_mm == pytest.approx(itk.GetHausdorffDistance(), abs=1e-6)


@pytest.mark.oracle
def test_surface_scores_against_surface_distance() -> None:
    oracle = pytest.importorskip("surface_distance", reason="surface-distance-based-measures is not installed")
    rng = np.random.default_rng(5)
    for _ in range(12):
        first, second = blobs(rng, tuple(rng.integers(5, 24, 3).tolist()))
        spacing, tolerance = tuple(rng.uniform(0.4, 3, 3).tolist()), float(rng.uniform(0.1, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = oracle.compute_surface_distances(first, second, spacing)
        areas = np.concatenate([found["surfel_areas_gt"], found["surfel_areas_pred"]])
        distances = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
        result = scores(first, second, spacing, tolerance)
        assert result.hd95_mm == pytest.approx(oracle.compute_robust_hausdorff(found, 95), abs=1e-6)
        assert result.assd_mm == pytest.approx((areas * distances).sum() / areas.sum(), abs=1e-6)
        assert result.nsd == pytest.approx(oracle.compute_surface_dice_at_tolerance(found, tolerance), abs=1e-6)


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a tolerance is a distance of at least 0 mm; got -1 mm"):
        scores(np.ones((2, 2, 2)), np.ones((2, 2, 2)), tolerance=-1)
