"""Curved planar reformation: an upright spine maps to itself, a curved one stands upright, and places come back."""

import numpy as np
import pytest
from tests.image.spine_blocks import LEVELS, block_spine, oblique, upright

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.exam_map import Straighten
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.canal import centreline_of, find_canal
from osteomet.image.centreline import Centreline
from osteomet.image.straighten import shown_in, straight_grid, straighten_volume

SAGITTAL = Grid.from_spacing((14, 100, 210), (4.0, 1.0, 1.0), origin_mm=(-27.0, -55.0, -185.0))
STEP = Straighten("straighten", rows=80, columns=40, spacing_mm=2.0, front_mm=45.0, planes=3, plane_spacing_mm=8.0)


def image(values: np.ndarray, grid: Grid) -> Volume:
    return Volume(values.astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)


def test_the_canal_of_an_upright_spine_is_found() -> None:
    """Within half of the 4 mm between slices from left to right, and half a millimetre otherwise."""
    canal = find_canal(block_spine(SAGITTAL, upright()))
    assert canal.levels == LEVELS
    assert np.abs(canal.points_mm - upright())[:, 0].max() <= 2.0
    assert np.abs(canal.points_mm - upright())[:, 1].max() <= 0.5
    assert canal.nearest_level(np.array([0.0, -30.0, -63.0])) == "L1"


def test_an_upright_spine_maps_to_itself() -> None:
    """Every voxel of the bones, within half a voxel."""
    bones = block_spine(SAGITTAL, upright())
    line = centreline_of(find_canal(bones), SAGITTAL)
    xyz = SAGITTAL.to_xyz_mm(np.argwhere(bones.array))
    moved = np.abs(line.to_straight_xyz_mm(xyz) - xyz)
    assert (moved <= np.array(SAGITTAL.spacing_mm) / 2).all()
    got = straighten_volume(image(bones.array > 0, SAGITTAL), line, SAGITTAL, outside=0.0)
    assert np.mean((got.array > 0.5) == (bones.array > 0)) > 0.995


def test_the_canal_of_a_tilted_scoliotic_spine_on_an_oblique_grid() -> None:
    middles = upright(3.0, -4.0)
    middles[:, 0] += 6 * np.sin(middles[:, 2] / 50)
    middles[:, 1] += 0.25 * middles[:, 2]
    grid = Grid.from_spacing(
        (60, 130, 140), (1.5, 1.0, 1.5), origin_mm=(-55.0, -115.0, -180.0),
        direction=oblique(8, 2) @ oblique(-6, 1),
    )  # fmt: skip
    canal = find_canal(block_spine(grid, middles))
    assert canal.levels == LEVELS
    assert np.linalg.norm((canal.points_mm - middles)[:, :2], axis=1).max() < 3.0


def test_a_bent_picture_stands_upright() -> None:
    """Values are the distance behind an arc of 200 mm: in the map they are the distance behind the canal."""
    angle = np.linspace(-0.6, 0.6, 61)
    knots = np.column_stack([0 * angle, 200 * (1 - np.cos(angle)), 200 * np.sin(angle)])
    line = Centreline(knots, middle=30)
    view = Grid.from_spacing((16, 140, 90), (4.0, 1.0, 2.5), origin_mm=(-31.0, -60.0, -110.0), direction=oblique(5, 0))
    x, y, z = np.moveaxis(view.to_xyz_mm(np.moveaxis(np.indices(view.shape), 0, -1)), -1, 0)
    behind = 200 - np.hypot(200 - y, z)
    grid = straight_grid(line, view, STEP)
    got = straighten_volume(image(behind, view), line, grid, outside=-999.0)
    shown = shown_in(line, grid, view)
    expected = np.broadcast_to(-45.0 + 2.0 * np.arange(40)[None, :, None], grid.shape)
    assert shown.mean() > 0.9
    inner = shown & (got.array > -40) & (got.array < 30)
    assert np.abs(got.array - expected)[inner].max() < 0.3
    assert (got.array[~shown] == -999.0).all()
    assert x.shape == view.shape


def test_a_constant_stays_constant() -> None:
    line = Centreline.through([(0.0, 5.0, -150.0), (0.0, -10.0, -60.0), (2.0, 0.0, 0.0)])
    grid = straight_grid(line, SAGITTAL, STEP)
    got = straighten_volume(image(np.full(SAGITTAL.shape, 7.5), SAGITTAL), line, grid, outside=0.0)
    np.testing.assert_allclose(got.array[shown_in(line, grid, SAGITTAL)], 7.5, rtol=1e-5)


def test_the_map_is_laid_on_the_canal_at_the_middle_of_the_view() -> None:
    """SAGITTAL shows z from −185.5 to 24.5, its middle −80.5: of 80 rows 2 mm apart the middle lies within a row."""
    line = Centreline.through([(0.0, 0.0, -150.0), (0.0, 0.0, 0.0)])
    grid = straight_grid(line, SAGITTAL, STEP)
    assert grid.shape == (3, 40, 80)
    assert grid.origin_mm[:2] == (-8.0, -45.0)
    assert grid.origin_mm[2] + 79.0 == pytest.approx(-80.5, abs=1.0)


def test_where_a_bend_overlaps_itself_nothing_is_shown() -> None:
    angle = np.linspace(-1.0, 1.0, 41)
    tight = Centreline(np.column_stack([0 * angle, 30 * (1 - np.cos(angle)), 30 * np.sin(angle)]), middle=20)
    big = Grid.from_spacing((20, 200, 200), (4.0, 1.0, 1.0), origin_mm=(-40.0, -100.0, -100.0))
    beyond = Grid.from_spacing((1, 1, 1), (1.0, 1.0, 1.0), origin_mm=(0.0, 40.0, 0.0))
    assert not shown_in(tight, beyond, big).any()


@pytest.mark.parametrize("present", [0, 1])
def test_no_canal_is_refused(present: int) -> None:
    bones = block_spine(SAGITTAL, upright()[:present], levels=LEVELS[:present])
    with pytest.raises(InputError, match="no vertebral canal was found in the bone map"):
        find_canal(bones)


def test_bodies_without_arches_are_refused_by_name() -> None:
    whole = block_spine(SAGITTAL, upright())
    y = SAGITTAL.to_xyz_mm(np.moveaxis(np.indices(SAGITTAL.shape), 0, -1))[..., 1]
    bodies = LabelMap(np.where(y < -8, whole.array, 0).astype(np.uint8), SAGITTAL, whole.labels)
    with pytest.raises(InputError, match="T11, T12, L1, L2, L3, L4, of which none close"):
        find_canal(bodies)


def test_a_gap_in_an_arch_is_closed_up_to_8_mm() -> None:
    """A slit through the back of each ring, from the canal to the outside: 6 mm still close, 14 mm do not."""
    fine = Grid.from_spacing((56, 100, 210), (1.0, 1.0, 1.0), origin_mm=(-27.5, -55.0, -185.0))
    whole = block_spine(fine, upright())
    x, y, _ = np.moveaxis(fine.to_xyz_mm(np.moveaxis(np.indices(fine.shape), 0, -1)), -1, 0)

    def slit(width_mm: float) -> LabelMap:
        array = np.where((abs(x) < width_mm / 2) & (y > 0), 0, whole.array).astype(np.uint8)
        return LabelMap(array, fine, whole.labels)

    found = find_canal(slit(6.0))
    assert found.levels == LEVELS
    assert np.abs(found.points_mm - upright()).max() < 1.0
    with pytest.raises(InputError, match="of which none close"):
        find_canal(slit(14.0))


def test_other_bones_are_passed_over() -> None:
    bones = block_spine(SAGITTAL, upright())
    array = bones.array.copy()
    array[:2] = STRUCTURES["hip_left"].id
    more = LabelMap(array, SAGITTAL, {**bones.labels, "hip_left": STRUCTURES["hip_left"].id})
    assert find_canal(more).levels == LEVELS


def test_bones_of_another_place_are_refused() -> None:
    elsewhere = Grid.from_spacing(SAGITTAL.shape, SAGITTAL.spacing_mm, origin_mm=(500.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="show different places"):
        centreline_of(find_canal(block_spine(SAGITTAL, upright())), elsewhere)
