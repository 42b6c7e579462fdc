import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from osteomet.core.grid import Grid
from osteomet.image.distance import distance_inside_mm, distance_to_mm, signed_distance_mm

SPACING = (0.7, 1.0, 2.5)


def one_voxel() -> NDArray[np.bool_]:
    mask = np.zeros((8, 6, 10), dtype=bool)
    mask[3, 2, 4] = True
    return mask


def test_distance_to_a_voxel_is_that_between_centres() -> None:
    mask = one_voxel()
    i, j, k = np.indices(mask.shape)
    expected = np.sqrt(((i - 3) * 0.7) ** 2 + ((j - 2) * 1.0) ** 2 + ((k - 4) * 2.5) ** 2)
    np.testing.assert_allclose(distance_to_mm(mask, SPACING), expected, rtol=1e-5)


def test_distance_to_on_an_oblique_grid_is_that_in_the_world() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    grid = Grid.from_spacing((8, 6, 10), SPACING, direction=turn)
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    expected = np.linalg.norm(xyz - grid.to_xyz_mm((3, 2, 4)), axis=-1)
    np.testing.assert_allclose(distance_to_mm(one_voxel(), grid.spacing_mm), expected, rtol=1e-5, atol=1e-9)


def test_half_space() -> None:
    mask = np.zeros((10, 4, 4), dtype=bool)
    mask[6:] = True
    depth = distance_inside_mm(mask, (0.7, 1.0, 2.5))[:, 1, 2]
    np.testing.assert_allclose(depth, [0, 0, 0, 0, 0, 0, 0.7, 1.4, 2.1, 2.8], rtol=1e-6)
    to = distance_to_mm(mask, (0.7, 1.0, 2.5))[:, 1, 2]
    np.testing.assert_allclose(to, [4.2, 3.5, 2.8, 2.1, 1.4, 0.7, 0, 0, 0, 0], rtol=1e-6)
    signed = signed_distance_mm(mask, (0.7, 1.0, 2.5))[:, 1, 2]
    np.testing.assert_allclose(signed, [4.2, 3.5, 2.8, 2.1, 1.4, 0.7, -0.7, -1.4, -2.1, -2.8], rtol=1e-6)


def test_the_edge_of_the_array_is_no_surface() -> None:
    mask = np.ones((6, 6, 6), dtype=bool)
    mask[0] = False
    assert distance_inside_mm(mask, (1.0, 1.0, 1.0))[5].tolist() == [[5.0] * 6] * 6


def test_middle_of_a_ball_lies_its_radius_deep() -> None:
    spacing = (0.5, 0.8, 1.0)
    grid = Grid.from_spacing((60, 40, 30), spacing, origin_mm=(-14.75, -15.6, -14.5))
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    from_middle = np.linalg.norm(xyz, axis=-1)
    inside = distance_inside_mm(from_middle <= 10, spacing)
    # Centre to centre: at most one voxel diagonal more than the depth below the sphere, never less.
    depth = 10 - from_middle
    ball = from_middle <= 10
    assert (inside[ball] >= depth[ball] - 1e-4).all()
    assert (inside[ball] <= depth[ball] + np.linalg.norm(spacing)).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_distances_as_scipy_finds_them(order: str) -> None:
    mask = np.random.default_rng(2).random((12, 14, 9)) > 0.3
    mask = np.asfortranarray(mask) if order == "F" else mask
    np.testing.assert_allclose(distance_inside_mm(mask, SPACING), distance_transform_edt(mask, SPACING), rtol=1e-5)
    np.testing.assert_allclose(distance_to_mm(mask, SPACING), distance_transform_edt(~mask, SPACING), rtol=1e-5)
    part = mask[1::2, ::-1]
    np.testing.assert_allclose(distance_inside_mm(part, SPACING), distance_transform_edt(part, SPACING), rtol=1e-5)


def test_flips_and_permutations_commute() -> None:
    mask = np.random.default_rng(3).random((7, 8, 9)) > 0.4
    turned = mask[::-1, :, ::-1].transpose(2, 0, 1)
    expected = signed_distance_mm(mask, SPACING)[::-1, :, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(signed_distance_mm(turned, (2.5, 0.7, 1.0)), expected, rtol=1e-6)


def test_signed_distance_tells_inside_from_outside() -> None:
    mask = np.random.default_rng(4).random((9, 9, 9)) > 0.5
    np.testing.assert_array_equal(signed_distance_mm(mask, SPACING) < 0, mask)
    np.testing.assert_allclose(signed_distance_mm(~mask, SPACING), -signed_distance_mm(mask, SPACING))


def test_empty_and_full() -> None:
    empty = np.zeros((3, 4, 5), dtype=bool)
    assert (distance_inside_mm(empty, SPACING) == 0).all()
    assert (distance_to_mm(empty, SPACING) == np.inf).all()
    assert (signed_distance_mm(empty, SPACING) == np.inf).all()
    assert (distance_inside_mm(~empty, SPACING) == np.inf).all()
    assert (distance_to_mm(~empty, SPACING) == 0).all()
    assert (signed_distance_mm(~empty, SPACING) == -np.inf).all()


def test_other_types_than_bool_count_what_is_not_zero() -> None:
    mask = one_voxel()
    for same in (mask.astype(np.uint8) * 7, mask.astype(np.float32)):
        np.testing.assert_array_equal(distance_to_mm(same, SPACING), distance_to_mm(mask, SPACING))
        np.testing.assert_array_equal(distance_inside_mm(same, SPACING), distance_inside_mm(mask, SPACING))
