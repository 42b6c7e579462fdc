"""A ball that enhances, outlined on one sagittal slice, is found whole; what it does not touch is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.region_growing import GrowingSettings, grow_region, sagittal_outline

SPACING_MM = (1.25, 1.0, 3.0)
GRID = Grid.from_spacing((64, 80, 20), SPACING_MM)
RADIUS_MM = 12.0


def ball(centre: tuple[float, float, float], radius_mm: float = RADIUS_MM) -> NDArray[np.bool_]:
    places = np.moveaxis(np.indices(GRID.shape), 0, -1) * np.array(SPACING_MM)
    return np.asarray(((places - centre) ** 2).sum(axis=-1) <= radius_mm**2)


LESION, OTHER = ball((40.0, 40.0, 30.0)), ball((40.0, 64.0, 30.0), 8.0)


def scan(noise: float) -> Volume:
    """Background enhances by 20, both balls by 100; the second one lies 4 mm beside the first."""
    values = np.where(LESION | OTHER, 100.0, 20.0) + np.random.default_rng(2).normal(0, noise, GRID.shape)
    return Volume(values.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)


def lesion_map() -> LabelMap:
    return LabelMap(LESION.astype(np.uint8), GRID, {"lesion": 1})


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def test_the_outline_is_the_largest_sagittal_section() -> None:
    """Planes lie 1.25 mm apart: of a slice 4 mm thick three have their centre in it, around the middle of the ball."""
    outline = sagittal_outline(lesion_map(), thickness_mm=4.0)
    assert np.flatnonzero(outline.any(axis=(1, 2))).tolist() == [31, 32, 33]
    assert bool((outline[32] == LESION[32]).all())


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.999), (10.0, 0.93)])
def test_a_ball_is_found_whole_and_its_neighbour_left_alone(noise: float, least: float) -> None:
    outline = sagittal_outline(lesion_map(), thickness_mm=4.0)
    found = grow_region(scan(noise), outline, GrowingSettings(smooth_mm=0.0 if noise == 0 else 1.0))
    assert dice(found, LESION) > least
    assert not (found & OTHER).any()


def test_axes_that_run_another_way_change_nothing() -> None:
    """The same place in the world, stored with other axes first and back to front."""
    image, outline = scan(10.0), sagittal_outline(lesion_map(), thickness_mm=4.0)
    direction = np.eye(3)[:, [2, 0, 1]] * [1.0, -1.0, 1.0]
    origin = GRID.to_xyz_mm((GRID.shape[0] - 1, 0, 0))
    turned = Grid.from_spacing((20, 64, 80), (3.0, 1.25, 1.0), origin_mm=origin.tolist(), direction=direction)
    array = image.array.transpose(2, 0, 1)[:, ::-1]
    volume = Volume(np.ascontiguousarray(array), turned, Modality.MR, Unit.ARBITRARY)
    drawn = outline.transpose(2, 0, 1)[:, ::-1]
    expected = grow_region(image, outline).transpose(2, 0, 1)[:, ::-1]
    assert dice(grow_region(volume, drawn), expected) > 0.99


def test_without_an_outline_nothing_grows() -> None:
    empty = np.zeros(GRID.shape, dtype=bool)
    assert not grow_region(scan(0.0), empty).any()
    none = LabelMap(empty.astype(np.uint8), GRID, {"lesion": 1})
    assert not sagittal_outline(none, thickness_mm=4.0).any()


def test_a_constant_image_is_one_partition() -> None:
    """All of the square around the outline: there is nothing to tell apart."""
    outline = sagittal_outline(lesion_map(), thickness_mm=4.0)
    flat = Volume(np.full(GRID.shape, 5.0, np.float32), GRID, Modality.MR, Unit.ARBITRARY)
    found = grow_region(flat, outline)
    middle = found[:, :, 10]
    half_mm = np.sqrt(5.0) * 25.0 / 2  # the section of the ball has 25 pixels of 1 mm
    assert np.ptp(np.flatnonzero(middle.any(axis=0))) == 2 * np.ceil(half_mm)


def test_an_outline_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"differ in shape; expected \(64, 80, 20\); got \(2, 2, 2\)"):
        grow_region(scan(0.0), np.zeros((2, 2, 2), dtype=bool))
