import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.phantom.shapes import (
    FAR_MM,
    Shapes,
    ShapeTable,
    Warp,
    cut,
    distance_to_one,
    paint,
    random_warp,
    warped_points,
)

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def at(shapes: Shapes, point: tuple[float, float, float]) -> float:
    return distance_to_one(shapes, 0, np.array(point))


def test_capsule_distances_by_hand() -> None:
    table = ShapeTable()
    table.capsule((0, 0, 0), (10, 0, 0), (2, 4), owner=1)
    shapes = table.freeze()
    assert at(shapes, (-5, 0, 0)) == pytest.approx(3.0)
    assert at(shapes, (14, 0, 0)) == pytest.approx(0.0)
    assert at(shapes, (5, 0, 0)) == pytest.approx(-3.0)
    assert at(shapes, (5, 7, 0)) == pytest.approx(4.0)


def test_plate_distances_by_hand() -> None:
    table = ShapeTable()
    table.plate([(0, 0, 0), (10, 0, 0), (0, 10, 0)], 1.5, owner=1)
    shapes = table.freeze()
    assert at(shapes, (2, 2, 4)) == pytest.approx(2.5)
    assert at(shapes, (-3, 0, 0)) == pytest.approx(1.5)
    assert at(shapes, (10, 10, 0)) == pytest.approx(np.sqrt(50) - 1.5)


def test_sphere_as_ellipsoid_and_its_turned_axes() -> None:
    table = ShapeTable()
    table.ellipsoid((1, 2, 3), (5, 5, 5), owner=1)
    assert at(table.freeze(), (1, 2, 11)) == pytest.approx(3.0)
    turned = ShapeTable()
    turned.ellipsoid((0, 0, 0), (10, 2, 2), owner=1, axes=OBLIQUE)
    assert at(turned.freeze(), tuple(OBLIQUE[:, 0] * 12)) == pytest.approx(2.0)
    assert at(turned.freeze(), tuple(OBLIQUE[:, 1] * 3)) == pytest.approx(1.0)


def test_cup_is_open_on_its_side() -> None:
    table = ShapeTable()
    table.cup((0, 0, 0), 20, 3, (1, 0, 0), owner=1)
    shapes = table.freeze()
    assert at(shapes, (-20, 0, 0)) == pytest.approx(-3.0)
    assert at(shapes, (20, 0, 0)) == pytest.approx(16.0)


def test_vertebral_body_has_its_size_and_hollow_ends() -> None:
    table = ShapeTable()
    table.vertebral_body((0, 0, 0), np.eye(3), (40, 30, 24), (2.0, 0.0, 0.0), owner=1)
    shapes = table.freeze()
    assert at(shapes, (20, 0, 0)) == pytest.approx(0.0, abs=1e-6)
    assert at(shapes, (0, -15, 0)) == pytest.approx(0.0, abs=1e-6)
    assert at(shapes, (0, 0, 12)) == pytest.approx(2.0)
    assert at(shapes, (0, 0, 10)) == pytest.approx(0.0)
    assert at(shapes, (0, 0, 20)) == pytest.approx(10.0)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, np.diag([-1.0, 1.0, -1.0])])
def test_volume_of_a_sphere_is_right_on_any_grid(direction: np.ndarray) -> None:
    table = ShapeTable()
    table.ellipsoid((3, -2, 5), (12, 12, 12), owner=7, part=2)
    spacing = np.array([0.8, 1.0, 1.5])
    shape = np.array([48, 40, 26])
    origin = np.array([3, -2, 5]) - direction @ (spacing * (shape - 1) / 2)
    grid = Grid.from_spacing(shape.tolist(), spacing.tolist(), origin_mm=origin.tolist(), direction=direction)
    found = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=2.0)
    inside = found.distance_mm < 0
    assert inside.sum() * grid.voxel_volume_mm3 == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)
    assert set(np.unique(found.owner[inside])) == {7}
    assert set(np.unique(found.part[inside])) == {2}
    assert found.distance_mm.max() == FAR_MM


def test_nearest_of_two_owners_wins() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (6, 6, 6), owner=1)
    table.ellipsoid((10, 0, 0), (6, 6, 6), owner=2)
    grid = Grid.from_spacing((21, 3, 3), (1, 1, 1), origin_mm=(-5, -1, -1))
    owner = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=1.0).owner
    assert owner[9, 1, 1] == 1
    assert owner[11, 1, 1] == 2


def test_paint_lays_later_shapes_over_earlier_ones() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (8, 8, 8), owner=0)
    table.ellipsoid((0, 0, 0), (3, 3, 3), owner=0)
    grid = Grid.from_spacing((21, 21, 21), (1, 1, 1), origin_mm=(-10, -10, -10))
    image = np.full(grid.shape, -1000, dtype=np.float32)
    paint(image, table.freeze(), np.array([50.0, 300.0]), warped_points(grid, STILL), grid, STILL, softness_mm=1.0)
    assert image[10, 10, 10] == 300
    assert image[15, 10, 10] == 50
    assert image[0, 0, 0] == -1000


def test_a_warped_shape_is_not_clipped_by_its_box() -> None:
    warp = random_warp(np.random.default_rng(4), amplitude_mm=6.0)
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (15, 15, 15), owner=1)
    shapes = table.freeze()
    grid = Grid.from_spacing((50, 50, 50), (1, 1, 1), origin_mm=(-25, -25, -25))
    points = warped_points(grid, warp)
    found = cut(shapes, points, grid, warp, margin_mm=3.0)
    direct = np.linalg.norm(points, axis=-1) - 15
    near = direct < 3
    np.testing.assert_allclose(found.distance_mm[near], direct[near], atol=2e-4)


def test_warps_keep_topology() -> None:
    for seed in range(20):
        assert random_warp(np.random.default_rng(seed), amplitude_mm=8.0).steepest < 0.6
