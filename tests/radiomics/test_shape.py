"""Shapes whose measures are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.radiomics.mesh import measure_surface
from osteomet.radiomics.shape import shape_features

Spacing = tuple[float, float, float]


def box(shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """A box of voxels away from the border."""
    return np.pad(np.ones(shape, dtype=bool), ((2, 3), (1, 4), (5, 1)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 3.0)])
def test_a_voxel_is_an_octahedron(spacing: Spacing) -> None:
    a, b, c = spacing
    surface = measure_surface(box((1, 1, 1)), spacing)
    assert surface.volume_mm3 == pytest.approx(a * b * c / 6)
    face = np.linalg.norm(np.cross([-a / 2, b / 2, 0], [-a / 2, 0, c / 2])) / 2
    assert surface.area_mm2 == pytest.approx(8 * face)
    assert surface.diameter_mm == pytest.approx(max(spacing))
    assert surface.diameters_in_plane_mm == pytest.approx((max(b, c), max(a, c), max(a, b)))


def test_a_block_loses_its_edges_to_the_mesh() -> None:
    # In voxels: the box of the centres, half a voxel beyond each face, 1/8 along each edge, 1/48 at each corner.
    spacing = (2.0, 1.0, 1.5)
    n, m, k = 4, 3, 2
    surface = measure_surface(box((n, m, k)), spacing)
    core, faces = (n - 1) * (m - 1) * (k - 1), (n - 1) * (m - 1) + (m - 1) * (k - 1) + (k - 1) * (n - 1)
    edges, corners = 4 / 8 * (n + m + k - 3), 8 / 48
    assert surface.volume_mm3 == pytest.approx((core + faces + edges + corners) * 3.0)
    # In a slice, from the middle of the outer side of one corner voxel to that of the opposite one.
    assert surface.diameters_in_plane_mm[2] == pytest.approx(np.hypot(4 * 2.0, 2 * 1.0))


def test_a_ball_is_round() -> None:
    i, j, k = np.indices((42, 42, 28))
    ball = (i - 20.3) ** 2 + (j - 20.6) ** 2 + ((k - 13.4) * 1.5) ** 2 < 16**2
    features = shape_features(ball, (1.0, 1.0, 1.5))
    assert features["MeshVolume"] == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.01)
    assert 32 <= features["Maximum3DDiameter"] <= 32 + 1.5  # the mesh ends half a voxel beyond the last centre
    assert features["MajorAxisLength"] == pytest.approx(4 * 16 / np.sqrt(5), rel=0.01)
    assert features["Elongation"] == pytest.approx(1, abs=0.01)
    assert 0.9 < features["Sphericity"] < 1


def test_axes_of_an_oblong_box() -> None:
    # The variance of n points one apart is (n² − 1) / 12.
    features = shape_features(box((9, 5, 1)), (1.0, 2.0, 4.0))
    assert features["MajorAxisLength"] == pytest.approx(4 * np.sqrt(4 * 24 / 12))
    assert features["MinorAxisLength"] == pytest.approx(4 * np.sqrt(80 / 12))
    assert features["LeastAxisLength"] == features["Flatness"] == 0
    assert features["Elongation"] == pytest.approx(np.sqrt(80 / 96))
    assert features["VoxelVolume"] == 45 * 8


def test_the_longest_diameter_is_that_of_all_corners() -> None:
    mask = np.random.default_rng(3).random((7, 6, 5)) < 0.3
    spacing = (0.8, 1.1, 2.5)
    surface = measure_surface(mask, spacing)
    solid = np.pad(mask, 1)
    corners = np.concatenate([np.argwhere(np.diff(solid, axis=a)) + np.eye(3)[a] / 2 for a in range(3)])
    apart = np.linalg.norm((corners[:, None] - corners[None]) * spacing, axis=-1)
    assert surface.diameter_mm == pytest.approx(apart.max())
    for axis in range(3):
        together = corners[:, None, axis] == corners[None, :, axis]
        assert surface.diameters_in_plane_mm[axis] == pytest.approx(apart[together].max())


def test_place_and_flips_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    mask = np.pad(rng.random((6, 5, 4)) < 0.8, 2)
    features = shape_features(mask, (1.0, 1.5, 2.0))
    moved = shape_features(np.roll(mask, (1, -1, 2), axis=(0, 1, 2)), (1.0, 1.5, 2.0))
    assert moved == pytest.approx(features)


def test_one_voxel_has_no_proportions() -> None:
    features = shape_features(box((1, 1, 1)), (1.0, 1.0, 1.0))
    assert {name for name, value in features.items() if np.isnan(value)} == {"Elongation", "Flatness"}
    assert features["MajorAxisLength"] == 0
