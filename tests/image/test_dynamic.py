"""Maps of a dynamic series: by hand, aligned after known motions, and against what the phantom is made of."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from osteomet.core.errors import GeometryError, InputError, SeriesError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.dynamic import DynamicSeries, align_phases, enhancement_maps, find_arrival_s
from osteomet.image.register import register_rigid

GRID = Grid.from_spacing((2, 1, 1), (1.0, 1.0, 3.0))


def phase(*values: float, grid: Grid = GRID) -> Volume:
    array = np.array(values, dtype=np.float32).reshape(grid.shape)
    return Volume(array, grid, Modality.MR, Unit.ARBITRARY)


def series(curves: list[list[float]], times_s: tuple[float, ...], arrival_s: float = 0.0) -> DynamicSeries:
    """Two voxels with the given curves."""
    return DynamicSeries(tuple(phase(*values) for values in zip(*curves, strict=True)), times_s, arrival_s)


def test_maps_of_two_curves() -> None:
    # One rises to three times its baseline after 20 s and falls again; the other climbs to the end.
    maps = enhancement_maps(series([[90, 110, 200, 300, 250], [50, 50, 55, 60, 75]], (-20.0, -5.0, 10.0, 20.0, 40.0)))
    assert maps.baseline.ravel().tolist() == [100, 50]
    assert maps.peak_enhancement.ravel() == pytest.approx([2.0, 0.5])
    assert maps.time_to_peak_s.ravel().tolist() == [20, 40]
    assert maps.wash_in_per_s.ravel() == pytest.approx([0.1, 0.0125])
    assert maps.wash_out_per_s[0, 0, 0] == pytest.approx((1.5 - 2.0) / 20)
    assert np.isnan(maps.wash_out_per_s[1, 0, 0])
    # 0 to 1 in 10 s, to 2 in 10 s, to 1.5 in 20 s.
    assert maps.area_s[0, 0, 0] == pytest.approx(5 + 15 + 35)


def test_the_area_can_end_between_phases() -> None:
    rising = series([[100, 200, 300], [100, 200, 300]], (0.0, 10.0, 30.0))
    # Half-way between 10 s and 30 s the enhancement is 1.5.
    assert enhancement_maps(rising, area_until_s=20.0).area_s.ravel() == pytest.approx([5 + 12.5] * 2)
    assert enhancement_maps(rising, area_until_s=10.0).area_s.ravel() == pytest.approx([5] * 2)
    with pytest.raises(InputError, match=r"up to 30 s after arrival; got area_until_s = 40"):
        enhancement_maps(rising, area_until_s=40.0)


def test_air_is_left_out() -> None:
    maps = enhancement_maps(series([[100, 200, 300], [1, 5, 9]], (0.0, 10.0, 20.0)))
    assert np.isnan(maps.peak_enhancement[1, 0, 0])
    assert np.isnan(maps.area_s[1, 0, 0])
    assert maps.peak_enhancement[0, 0, 0] == 2


def test_what_is_no_series() -> None:
    a, b, c = phase(1, 1), phase(2, 2), phase(3, 3)
    with pytest.raises(SeriesError, match="3 phases and 2 times"):
        DynamicSeries((a, b, c), (0.0, 10.0), 0.0)
    with pytest.raises(SeriesError, match="needs three phases; got 2"):
        DynamicSeries((a, b), (0.0, 10.0), 0.0)
    with pytest.raises(SeriesError, match=r"not in order of time.*got phase 3 at 5 s after phase 2 at 10 s.*sort"):
        DynamicSeries((a, b, c), (0.0, 10.0, 5.0), 0.0)
    with pytest.raises(SeriesError, match="not in order of time"):
        DynamicSeries((a, b, c), (0.0, float("nan"), 5.0), 0.0)
    with pytest.raises(SeriesError, match="one phase before the contrast medium arrives and two after it; got 2 of 3"):
        DynamicSeries((a, b, c), (0.0, 10.0, 20.0), 15.0)
    with pytest.raises(SeriesError, match="got 0 of 3"):
        DynamicSeries((a, b, c), (0.0, 10.0, 20.0), -1.0)
    moved = phase(1, 1, grid=Grid.from_spacing((2, 1, 1), (1.0, 1.0, 3.0), origin_mm=(9.0, 0.0, 0.0)))
    with pytest.raises(GeometryError, match="phase 1 and phase 3 differ in geometry"):
        DynamicSeries((a, b, moved), (0.0, 10.0, 20.0), 0.0)


def scene(grid: Grid, motion: np.ndarray, *, enhanced: bool) -> Volume:
    """Blobs of several tissues, one of which enhances, after a motion of the patient."""
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) @ motion[:3, :3] - motion[:3, 3] @ motion[:3, :3]
    rng = np.random.default_rng(0)
    array = np.zeros(grid.shape)
    for n in range(40):
        centre, radius = rng.uniform((-30, -25, -18), (30, 25, 18)), rng.uniform(4, 12)
        value = rng.uniform(100, 600) * (1.8 if enhanced and n % 3 == 0 else 1.0)
        array += value * np.exp(-(((xyz - centre) ** 2).sum(axis=-1)) / (2 * (radius / 2) ** 2))
    noise = np.random.default_rng(int(enhanced)).normal(0, 8, grid.shape)
    return Volume((array + gaussian_filter(noise, 0.5)).astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)


def motion_of(shift_mm: tuple[float, float, float], angles: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def oblique_grid() -> Grid:
    axes = Rotation.from_euler("zx", [20, 10], degrees=True).as_matrix()
    shape, spacing = (52, 44, 18), np.array([1.4, 1.4, 3.0])
    origin = -axes @ (spacing * (np.array(shape) - 1) / 2)
    return Grid.from_spacing(shape, spacing.tolist(), origin_mm=origin.tolist(), direction=axes)


@pytest.mark.parametrize(
    ("shift_mm", "angles"), [((2.3, -3.1, 1.7), (0.0, 0.0, 0.0)), ((-1.5, 0.8, 2.0), (2.0, -1.5, 3.0))]
)
def test_a_known_motion_is_found_although_tissue_enhances(
    shift_mm: tuple[float, float, float], angles: tuple[float, float, float]
) -> None:
    grid, truth = oblique_grid(), motion_of(shift_mm, angles)
    found = register_rigid(scene(grid, np.eye(4), enhanced=False), scene(grid, truth, enhanced=True)).motion
    places = np.random.default_rng(1).uniform((-25, -20, -15), (25, 20, 15), (50, 3))
    error = places @ (found - truth)[:3, :3].T + (found - truth)[:3, 3]
    assert np.linalg.norm(error, axis=1).max() < 0.5


def test_alignment_undoes_the_motion() -> None:
    grid, truth = oblique_grid(), motion_of((2.8, -2.0, 1.5), (0.0, 0.0, 2.0))
    still = [scene(grid, np.eye(4), enhanced=late) for late in (False, True, True)]
    moved = DynamicSeries((still[0], still[1], scene(grid, truth, enhanced=True)), (0.0, 10.0, 20.0), 0.0)
    aligned, motions = align_phases(moved)
    np.testing.assert_array_equal(motions[0], np.eye(4))
    inner = tuple(slice(5, -5) for _ in range(3))

    def apart(volume: Volume) -> float:
        return float(np.abs(volume.array[inner] - still[2].array[inner]).mean())

    assert apart(aligned.phases[2]) < 0.3 * apart(moved.phases[2])
    assert aligned.phases[2].grid.same_as(grid)


def test_a_series_that_lay_still_is_left_as_it_is() -> None:
    grid = oblique_grid()
    still = DynamicSeries(
        tuple(scene(grid, np.eye(4), enhanced=late) for late in (False, True, True)), (0.0, 10.0, 20.0), 0.0
    )
    aligned, motions = align_phases(still)
    for phase_, before, motion in zip(aligned.phases, still.phases, motions, strict=True):
        assert phase_ is before
        np.testing.assert_array_equal(motion, np.eye(4))


def test_arrival_is_the_last_phase_before_the_vessels_brighten() -> None:
    grid = Grid.from_spacing((20, 10, 5), (1.0, 1.0, 3.0))
    rng = np.random.default_rng(4)
    curves = np.full((6, *grid.shape), 100.0)
    curves[3:, :2] += np.array([30.0, 180.0, 200.0])[:, None, None, None]  # a tenth of the voxels: vessels
    curves[4:, 10:] += 40.0
    noisy = curves + rng.normal(0, 4, curves.shape)
    phases = [Volume(a.astype(np.float32), grid, Modality.MR, Unit.ARBITRARY) for a in noisy]
    times = (0.0, 12.0, 24.0, 36.0, 48.0, 60.0)
    assert find_arrival_s(phases, times) == 24.0
    assert find_arrival_s(phases[2:], times[2:]) == 24.0
    with pytest.raises(SeriesError, match="no voxel of the dynamic series gains signal; got at most 0"):
        find_arrival_s([phase(5, 5), phase(5, 4), phase(4, 4)], (0.0, 10.0, 20.0))
    with pytest.raises(SeriesError, match="3 phases and 2 times"):
        find_arrival_s([phase(5, 5)] * 3, (0.0, 10.0))
