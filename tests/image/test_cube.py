"""Cubes about a lesion: where they lie, and what is in them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.cube import cube_grid, cut_cube

TURN = Rotation.from_euler("zx", [25, 10], degrees=True).as_matrix()
OBLIQUE = Grid.from_spacing((40, 36, 14), (1.5, 1.5, 3.0), origin_mm=(-20.0, 15.0, 80.0), direction=TURN)


def ball(grid: Grid, centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.asarray(np.linalg.norm(xyz - centre_mm, axis=-1) <= radius_mm)


def test_the_middle_of_the_cube_is_that_of_the_lesion() -> None:
    centre = OBLIQUE.to_xyz_mm((20, 18, 7))
    for side in (15, 16):
        cube = cube_grid(ball(OBLIQUE, centre, 6.0), OBLIQUE, side=side, edge_mm=2.0)
        np.testing.assert_allclose(cube.to_xyz_mm(np.full(3, (side - 1) / 2)), centre, atol=1e-9)
        np.testing.assert_allclose(cube.direction, np.eye(3))
        assert cube.shape == (side,) * 3


def test_a_linear_ramp_stays_one_whatever_the_axes_of_the_image() -> None:
    xyz = OBLIQUE.to_xyz_mm(np.moveaxis(np.indices(OBLIQUE.shape), 0, -1))
    ramp = Volume((xyz @ [2.0, -1.0, 0.5]).astype(np.float32), OBLIQUE, Modality.MR, Unit.ARBITRARY)
    region = ball(OBLIQUE, OBLIQUE.to_xyz_mm((20, 18, 7)), 6.0)
    cube = cut_cube([ramp], region, side=8, edge_mm=2.0)
    places = cube_grid(region, OBLIQUE, side=8, edge_mm=2.0).to_xyz_mm(np.moveaxis(np.indices((8, 8, 8)), 0, -1))
    inner = (slice(2, 6),) * 3
    np.testing.assert_allclose(cube[0][inner], (places @ [2.0, -1.0, 0.5])[inner], atol=0.02)


def test_the_mask_keeps_its_volume_and_what_is_beyond_the_image_is_zero() -> None:
    grid = Grid.from_spacing((30, 30, 12), (1.0, 1.0, 2.5))
    region = ball(grid, grid.to_xyz_mm((15, 15, 6)), 7.0)
    image = Volume(np.full(grid.shape, 9.0, np.float32), grid, Modality.MR, Unit.ARBITRARY)
    cube = cut_cube([image, image], region, side=32, edge_mm=2.0)
    assert cube.shape == (3, 32, 32, 32)
    assert cube[2].sum() * 8.0 == pytest.approx(region.sum() * 2.5, rel=0.05)  # linear between slices
    assert cube[:2, 16, 16, 16].tolist() == pytest.approx([9.0, 9.0])
    assert cube[0, 0, 0, 0] == 0.0  # 31 mm from the lesion in an image of 30 mm


def test_nothing_has_no_cube() -> None:
    with pytest.raises(InputError, match="a lesion without voxels has no cube"):
        cube_grid(np.zeros(OBLIQUE.shape, dtype=bool), OBLIQUE, side=8, edge_mm=1.0)
