from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.lesions.measure import LesionMeasures, find_metal, measure_lesion, measure_lesions

CENTRE_MM = np.array([13.9, -71.6, 405.4])


def xyz_of(grid: Grid) -> NDArray[np.float64]:
    return grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def blank(grid: Grid, value: int = 7) -> Volume:
    return Volume(np.full(grid.shape, value, dtype=np.int16), grid, Modality.CT, Unit.HU)


def ellipsoid(grid: Grid, semi_axes_mm: tuple[float, float, float], axes: NDArray[np.float64]) -> NDArray[np.bool_]:
    local = (xyz_of(grid) - CENTRE_MM) @ axes
    return np.asarray(((local / semi_axes_mm) ** 2).sum(axis=-1) <= 1)


def about_z(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def box_on(grid: Grid, *sides: slice) -> LesionMeasures:
    mask = np.zeros(grid.shape, dtype=bool)
    mask[sides] = True
    return measure_lesion(mask, blank(grid))


@pytest.mark.parametrize("radius_mm", [5.0, 9.0, 14.0])
def test_a_sphere_measures_its_diameter_in_any_orientation(grid: Grid, radius_mm: float) -> None:
    found = measure_lesion(ellipsoid(grid, (radius_mm,) * 3, np.eye(3)), blank(grid))
    voxel_mm = max(grid.spacing_mm)
    assert found.long_axis_mm == pytest.approx(2 * radius_mm, abs=voxel_mm / 2)
    assert found.short_axis_mm == pytest.approx(2 * radius_mm, abs=voxel_mm)
    assert found.short_axis_mm <= found.long_axis_mm
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * radius_mm**3 / 1000, rel=0.03)
    assert found.centroid_xyz_mm == pytest.approx(CENTRE_MM, abs=0.1)


def test_an_ellipsoid_turned_in_plane_has_its_axes_and_direction(grid: Grid) -> None:
    found = measure_lesion(ellipsoid(grid, (16.0, 8.0, 10.0), about_z(30)), blank(grid))
    assert found.long_axis_mm == pytest.approx(32, abs=1.0)
    assert found.short_axis_mm == pytest.approx(16, abs=1.0)
    first, second = np.array(found.long_axis_ends_xyz_mm)
    assert first[2] == second[2]
    assert first[2] == pytest.approx(CENTRE_MM[2], abs=1.5)
    assert np.linalg.norm(first - second) == pytest.approx(found.long_axis_mm, abs=1e-9)
    along = np.abs((second - first) / found.long_axis_mm @ about_z(30)[:, 0])
    assert along >= np.cos(np.radians(4))


def test_only_axial_planes_count(grid: Grid) -> None:
    # Semi-axes 5, 6 and 18 mm, the longest 40° off the z axis in the y–z plane. The axial section through the
    # centre is the largest: 5 mm along x, and along y 1/√((cos 40°/6)² + (sin 40°/18)²) = 7.545 mm.
    c, s = np.cos(np.radians(40)), np.sin(np.radians(40))
    tilted = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    found = measure_lesion(ellipsoid(grid, (5.0, 6.0, 18.0), tilted), blank(grid))
    # The section of an oblique or thick grid is a slab, which lengthens a steep lesion by tan 40° of its thickness.
    assert 2 * 7.545 - 0.8 <= found.long_axis_mm <= 2 * 7.545 + 1.4
    assert found.short_axis_mm == pytest.approx(10, abs=1.2)


def test_a_cube_measures_half_a_voxel_beyond_its_corner_centres() -> None:
    grid = Grid.from_spacing((20, 20, 20), (1, 1, 1))
    found = box_on(grid, slice(2, 18), slice(2, 18), slice(2, 18))
    # 16 voxels a side: centres of opposite corners 15√2 apart, plus half a voxel.
    assert found.long_axis_mm == pytest.approx(15 * np.sqrt(2) + 0.5, abs=2e-3)
    assert found.short_axis_mm == pytest.approx(15 * np.sqrt(2) + 0.5, abs=2e-3)
    assert found.volume_ml == pytest.approx(16**3 / 1000)
    assert found.centroid_xyz_mm == (9.5, 9.5, 9.5)


def test_a_row_of_voxels() -> None:
    grid = Grid.from_spacing((12, 4, 4), (0.8, 1.2, 3.0))
    found = box_on(grid, slice(1, 11), slice(2, 3), slice(1, 2))
    assert found.long_axis_mm == pytest.approx(9 * 0.8 + 0.4)
    assert found.short_axis_mm == pytest.approx(0.6, abs=1e-3)
    assert found.long_axis_ends_xyz_mm[0][1:] == pytest.approx((2.4, 3.0))


def test_one_voxel_has_positive_sizes() -> None:
    grid = Grid.from_spacing((4, 4, 4), (0.8, 1.2, 3.0))
    found = box_on(grid, slice(1, 2), slice(2, 3), slice(3, 4))
    assert found.long_axis_mm == pytest.approx(0.6)
    assert found.short_axis_mm == pytest.approx(0.4, abs=1e-3)
    assert found.volume_ml == pytest.approx(0.8 * 1.2 * 3 / 1000)
    assert found.centroid_xyz_mm == pytest.approx((0.8, 2.4, 9.0))


def test_the_short_axis_is_a_chord_not_a_width() -> None:
    # A parallelogram with corners 0, (30, 0), (40, 20), (10, 20): long axis from 0 to (40, 20), length √2000. The
    # longest chord perpendicular to it leaves the corner (30, 0) along (−1, 2) and meets the long side from (10, 20)
    # or the base again: from (30, 0) it reaches (20, 20), √500 long; the width is (30·20 + 30·20)/√2000 = 26.8.
    grid = Grid.from_spacing((52, 32, 2), (1, 1, 1), origin_mm=(-5, -5, 0))
    x, y = xyz_of(grid)[..., 0], xyz_of(grid)[..., 1]
    mask = (y >= 0) & (y <= 20) & (x >= y / 2) & (x <= 30 + y / 2)
    found = measure_lesion(mask, blank(grid))
    assert found.long_axis_mm == pytest.approx(np.sqrt(2000) + 0.5, abs=0.05)
    assert found.short_axis_mm == pytest.approx(np.sqrt(500) + 0.5, abs=0.3)


def test_mean_intensity_of_a_ramp_is_that_of_its_middle(grid: Grid) -> None:
    ramp = Volume(xyz_of(grid)[..., 1].astype(np.float32), grid, Modality.CT, Unit.HU)
    found = measure_lesion(ellipsoid(grid, (9.0, 9.0, 9.0), np.eye(3)), ramp)
    assert found.mean_intensity == pytest.approx(found.centroid_xyz_mm[1], abs=1e-3)


def test_every_lesion_of_a_map_is_measured_as_if_alone(grid: Grid) -> None:
    instances = np.zeros(grid.shape, dtype=np.uint16)
    edges = (0, 5, 11, 20)
    for label, (low, high) in zip((3, 1, 9), pairwise(edges), strict=True):
        instances[low:high, low : high + 2, low:high] = label
    volume = blank(grid)
    found = measure_lesions(instances, volume)
    assert sorted(found) == [1, 3, 9]
    for label, measures in found.items():
        alone = measure_lesion(instances == label, volume)
        assert measures.volume_ml == alone.volume_ml
        assert measures.centroid_xyz_mm == pytest.approx(alone.centroid_xyz_mm)
        assert measures.long_axis_mm == pytest.approx(alone.long_axis_mm)
        assert measures.short_axis_mm == pytest.approx(alone.short_axis_mm, abs=1e-3)


def test_an_empty_map_has_no_measures_and_an_empty_mask_is_refused() -> None:
    grid = Grid.from_spacing((4, 4, 4), (1, 1, 1))
    assert measure_lesions(np.zeros(grid.shape, dtype=np.uint16), blank(grid)) == {}
    with pytest.raises(InputError, match="a lesion without voxels cannot be measured"):
        measure_lesion(np.zeros(grid.shape, dtype=bool), blank(grid))
    with pytest.raises(InputError, match=r"differ in shape; got \(2, 2, 2\) against \(4, 4, 4\)"):
        measure_lesions(np.zeros((2, 2, 2), dtype=np.uint16), blank(grid))


@pytest.mark.parametrize(("unit", "expected"), [(Unit.HU, {1, 3}), (Unit.ONE, set())])
def test_what_is_denser_than_bone_is_metal(unit: Unit, expected: set[int]) -> None:
    """Of 20 voxels each: all dense, one dense, two dense; a shaft of 1900 HU is bone."""
    values, instances = np.full((20, 4, 1), 1900, dtype=np.int16), np.zeros((20, 4, 1), dtype=np.uint16)
    instances[:] = np.arange(1, 5)[None, :, None]
    for column, n in enumerate((20, 1, 2, 0)):
        values[:n, column] = 2600
    volume = Volume(values, Grid.from_spacing((20, 4, 1), (1.0, 1.0, 1.0)), Modality.CT, unit)
    assert find_metal(instances, volume) == expected
