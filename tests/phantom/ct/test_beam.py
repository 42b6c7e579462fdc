import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.ct.beam import Beam, trace_beam
from osteomet.phantom.ct.scanner import CtScanner

CROP = Grid.from_spacing((8, 8, 4), (2, 2, 2))
ELSEWHERE = Grid.from_spacing((5, 7, 4), (3, 3, 2), origin_mm=(-60, 40, 0))


def trace(strength: float, *rods: tuple[float, float, float, float], grid: Grid = CROP) -> Beam:
    """Beam through upright cylinders of (x, y, radius, HU), later ones inside earlier ones."""

    def render(coarse: Grid) -> NDArray[np.float32]:
        x, y, _ = np.moveaxis(coarse.to_xyz_mm(np.indices(coarse.shape).reshape(3, -1).T), -1, 0)
        hu = np.full(x.size, -1000.0)
        for cx, cy, radius, value in rods:
            share = np.clip((radius - np.hypot(x - cx, y - cy)) / 8 + 0.5, 0, 1)
            hu += share * (value - hu)
        return hu.reshape(coarse.shape).astype(np.float32)

    return trace_beam(render, grid, CtScanner(0.6, 10.0, beam_hardening=strength))


def at(beam: Beam, field: NDArray[np.float32], x: float, y: float) -> float:
    i, j, k = np.rint(beam.grid.to_ijk((x, y, 2.0))).astype(int)
    return float(field[i, j, k])


WATER = (0.0, 0.0, 150.0, 0.0)
HIPS = ((-85.0, 0.0, 24.0, 600.0), (85.0, 0.0, 24.0, 600.0))


def test_beam_hardening_darkens_between_the_hips_and_not_in_front_of_them() -> None:
    plain, hips = trace(1.0, WATER), trace(1.0, WATER, *HIPS)
    between = at(hips, hips.shift_hu, 0, 0) - at(plain, plain.shift_hu, 0, 0)
    in_front = at(hips, hips.shift_hu, 0, -80) - at(plain, plain.shift_hu, 0, -80)
    assert -40 < between < -6
    assert between < in_front - 5


def test_hardening_is_proportional_to_its_strength_and_absent_without() -> None:
    once, twice, none = (trace(s, WATER, *HIPS) for s in (1.0, 2.0, 0.0))
    np.testing.assert_allclose(twice.shift_hu, 2 * once.shift_hu, atol=1e-2)
    assert np.abs(none.shift_hu).max() == 0


def test_water_is_cupped() -> None:
    beam = trace(1.0, (0.0, 0.0, 180.0, 0.0))
    assert at(beam, beam.shift_hu, 0, 0) < at(beam, beam.shift_hu, 150, 0) - 2


def test_thirty_centimetres_of_water_have_the_noise_that_was_asked_for() -> None:
    beam = trace(0.0, WATER)
    for part in beam.gain:
        assert at(beam, part, 0, 0) == pytest.approx(1.0, abs=0.03)


def test_noise_is_greater_where_rays_are_weakened_more_and_streaks_along_them() -> None:
    thick, thin = trace(0.0, (0.0, 0.0, 190.0, 0.0)), trace(0.0, (0.0, 0.0, 90.0, 0.0))
    # The power of noise goes as the root of the weakening: 80 mm of water more, at 0.0195 per mm.
    assert at(thick, thick.gain[0], 0, 0) == pytest.approx(np.exp(0.25 * 0.0195 * 80), rel=0.04)
    assert at(thin, thin.gain[0], 0, 0) < 0.65
    front, side = trace(0.0, WATER, *HIPS).gain
    beam = trace(0.0, WATER, *HIPS)
    assert at(beam, side, 0, 0) > at(beam, front, 0, 0) * 1.05


def test_the_field_does_not_depend_on_the_crop() -> None:
    here, there = trace(1.0, WATER, *HIPS), trace(1.0, WATER, *HIPS, grid=ELSEWHERE)
    np.testing.assert_array_equal(here.shift_hu, there.shift_hu)


def test_fields_are_interpolated_at_the_voxels_of_any_grid() -> None:
    coarse = Grid.from_spacing((3, 3, 3), (10, 10, 10))
    ramp = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None] * 10, (3, 3, 3)).copy()
    beam = Beam(coarse, ramp, np.stack([np.full_like(ramp, 2.0), np.full_like(ramp, 3.0)]))
    grid = Grid.from_spacing((4, 2, 2), (2.5, 2.0, 2.0), origin_mm=(5, 3, 4))
    image = np.zeros(grid.shape, dtype=np.float32)
    one = np.ones(grid.shape, dtype=np.float32)
    beam.add_to(image, grid, (one, 10 * one))
    np.testing.assert_allclose(image[:, 0, 0], np.array([5, 7.5, 10, 12.5]) + 2 + 30, atol=1e-3)
