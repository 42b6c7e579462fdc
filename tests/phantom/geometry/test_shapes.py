import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.phantom.geometry.distances import distances
from osteomet.phantom.geometry.kernels import FUSED, HOLE
from osteomet.phantom.geometry.shapes import (
    FAR_MM,
    Shapes,
    ShapeTable,
    Warp,
    cut,
    distance_to_one,
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


def row_of(table: ShapeTable, n: int = 21) -> tuple[np.ndarray, np.ndarray]:
    """Distances and owners along the x axis from −5 mm in steps of 1 mm."""
    grid = Grid.from_spacing((n, 3, 3), (1, 1, 1), origin_mm=(-5, -1, -1))
    found = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=3.0)
    return found.distance_mm[:, 1, 1], found.owner[:, 1, 1]


def test_two_owners_that_overlap_keep_a_joint_space() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (6, 6, 6), owner=1)
    table.ellipsoid((10, 0, 0), (6, 6, 6), owner=2)
    distance, owner = row_of(table)
    # At x the two distances are x − 6 and 4 − x: they differ by 10 − 2x, and the space opens where that is below 1.8.
    assert distance[8] == pytest.approx(-1.1)
    assert distance[9] == pytest.approx(-0.1)
    assert distance[10] == pytest.approx(0.9)
    assert distance[7] == pytest.approx(-2.1)
    assert (owner[:10] == 1).all()
    assert (owner[11:] == 2).all()


def test_owners_farther_apart_than_the_joint_space_stay_as_they_are() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (4, 4, 4), owner=1)
    table.ellipsoid((10, 0, 0), (4, 4, 4), owner=2)
    distance, _ = row_of(table)
    assert distance[9] == pytest.approx(0.0, abs=1e-5)
    assert distance[7] == pytest.approx(-2.0)


def test_fused_owners_touch() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (6, 6, 6), owner=1)
    with table.joining(mode=FUSED):
        table.ellipsoid((10, 0, 0), (6, 6, 6), owner=2)
    distance, owner = row_of(table)
    assert distance[10] == pytest.approx(-1.0)
    assert {1, 2} == set(owner[9:12].tolist())


def test_a_hole_cuts_its_owner_only() -> None:
    table = ShapeTable()
    table.ellipsoid((0, 0, 0), (5, 5, 5), owner=1)
    table.ellipsoid((12, 0, 0), (4, 4, 4), owner=2)
    with table.joining(mode=HOLE):
        table.ellipsoid((0, 0, 0), (2, 2, 2), owner=1)
        table.ellipsoid((12, 0, 0), (2, 2, 2), owner=1)
    distance, owner = row_of(table)
    assert distance[5] == pytest.approx(2.0)
    assert distance[8] == pytest.approx(-1.0)
    assert distance[17] == pytest.approx(-4.0)
    assert owner[17] == 2
    assert table.freeze().is_solid.tolist() == [True, True, False, False]


def test_a_crease_is_filled_by_a_quarter_of_its_width() -> None:
    table = ShapeTable()
    with table.joining(blend_mm=2.0):
        table.ellipsoid((0, 0, 0), (3, 3, 3), owner=1)
        table.ellipsoid((6, 0, 0), (3, 3, 3), owner=1)
    distance, _ = row_of(table)
    # Both distances are 0 where the spheres touch, so the overlap of the blend is whole: −2² / (4 · 2).
    assert distance[8] == pytest.approx(-0.5, abs=1e-5)
    assert distance[5] == pytest.approx(-3.0)


def test_the_lowest_part_code_wins_inside_several_parts() -> None:
    for order in ((1, 2), (2, 1)):
        table = ShapeTable()
        for part in order:
            table.ellipsoid((0, 0, 0), (4.0 + part, 4, 4), owner=1, part=part)
        grid = Grid.from_spacing((3, 3, 3), (1, 1, 1), origin_mm=(-1, -1, -1))
        assert (cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=1.0).part == 1).all()


def test_quad_distances_by_hand() -> None:
    table = ShapeTable()
    table.quad([(0, 0, 0), (10, 0, 0), (10, 8, 0), (0, 8, 0)], 1.5, owner=1)
    shapes = table.freeze()
    assert at(shapes, (8, 2, 4)) == pytest.approx(2.5)
    assert at(shapes, (2, 6, -4)) == pytest.approx(2.5)
    assert at(shapes, (13, 12, 0)) == pytest.approx(5 - 1.5)
    assert at(shapes, (5, 4, 0)) == pytest.approx(-1.5)


def test_a_skewed_body_is_widest_behind_its_middle() -> None:
    table = ShapeTable()
    table.vertebral_body((0, 0, 0), np.eye(3), (40, 30, 24), (0.0, 0.0, 0.0, 0.2), owner=1)
    shapes = table.freeze()
    assert at(shapes, (20, 3, 0)) == pytest.approx(0.0, abs=1e-6)
    assert at(shapes, (20, 0, 0)) > 0.05
    assert at(shapes, (0, -15, 0)) == pytest.approx(0.0, abs=1e-6)


def test_a_long_slanted_primitive_is_whole_though_blocks_are_passed_over() -> None:
    table = ShapeTable()
    table.capsule((-40, -35, -30), (40, 35, 30), (2.0, 2.0), owner=1)
    grid = Grid.from_spacing((60, 50, 40), (1.5, 1.6, 1.7), origin_mm=(-44, -39, -33))
    found = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=2.0)
    length = np.linalg.norm([80, 70, 60])
    volume = np.pi * 2**2 * length + 4 / 3 * np.pi * 2**3
    assert (found.distance_mm < 0).sum() * grid.voxel_volume_mm3 == pytest.approx(volume, rel=0.02)


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


def test_many_points_have_the_distance_of_each() -> None:
    table = ShapeTable()
    table.capsule((-4, 1, 0), (6, 3, 2), (2.0, 3.5), owner=1)
    table.plate([[0, 0, 0], [8, 0, 1], [0, 6, -2]], 1.0, owner=1)
    table.quad([[0, 0, 0], [8, 0, 1], [8, 6, 0], [0, 6, -2]], 1.0, owner=1)
    table.ellipsoid((1, 2, 3), (4, 6, 2), owner=1)
    table.vertebral_body((0, 0, 0), np.eye(3), (30, 24, 20), (1.0, 0.1, 0.05, 0.1), owner=1)
    table.cup((0, 0, 0), 8.0, 1.5, (0, 0, 1), owner=1)
    table.loft([[-9, 0, 0, 6, 4], [9, 2, 1, 5, 7]], squareness=0.4, turn_rad=0.3, owner=1)
    shapes, points = table.freeze(), np.random.default_rng(0).uniform(-12, 12, (3, 100))
    x, y, z = points
    for row in range(len(shapes)):
        found = np.empty(100)
        distances(int(shapes.kinds[row]), x, y, z, shapes.parameters[row], found)
        each = [distance_to_one(shapes, row, np.ascontiguousarray(p)) for p in points.T]
        np.testing.assert_allclose(found, each, atol=1e-9)
    # The corner of the loft's first section, and the middle of its flat end.
    assert distance_to_one(shapes, len(shapes) - 1, np.array([0.0, 0.0, -9.0])) == pytest.approx(-4.0)


def test_warps_keep_topology() -> None:
    for seed in range(20):
        assert random_warp(np.random.default_rng(seed), amplitude_mm=8.0).steepest < 0.6
