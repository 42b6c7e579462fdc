from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.lesions.frame import Frame, estimate_frame, sample_columns

CENTRE_MM = np.array([13.0, -92.0, 405.0])
Spine = tuple[LabelMap, LabelMap]


def turned(degrees: float, axis: int) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.roll(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), (axis, axis), axis=(0, 1))
    return np.asarray(matrix)


def angle_degrees(first: ArrayLike, second: ArrayLike) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(first, second), -1, 1))))


def masks(spine: Spine) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    bones, parts = spine
    return np.asarray(bones.array > 0), parts.mask("body")


def test_axes_are_right_handed_and_local_coordinates_round_trip() -> None:
    frame = Frame.from_directions(CENTRE_MM, superior=(0, 0.5, 2), posterior=(0.3, 1, 1))
    assert frame.axes.T @ frame.axes == pytest.approx(np.eye(3))
    assert np.linalg.det(frame.axes) == pytest.approx(1)
    points = np.array([[0.0, 0, 0], [10, -4, 7]])
    assert frame.to_local_mm(frame.to_xyz_mm(points)) == pytest.approx(points)
    upright = Frame.from_directions(CENTRE_MM, superior=(0, 0, 1), posterior=(0, 1, 0))
    assert upright.to_local_mm(CENTRE_MM + (1, 2, 3)) == pytest.approx([1, 2, 3])


# Tilted forward as L5, leaning and turned as in scoliosis, both.
@pytest.mark.parametrize(
    "axes", [np.eye(3), turned(30, 0), turned(25, 1) @ turned(20, 2), turned(-20, 0) @ turned(-25, 2)]
)
def test_the_frame_of_a_vertebra_is_found_in_any_pose_and_orientation(
    make_spine: Callable[..., Spine], vertebra_grid: Grid, axes: NDArray[np.float64]
) -> None:
    mask, body = masks(make_spine(vertebra_grid, [("L3", Frame(CENTRE_MM, axes))]))
    frame = estimate_frame(mask, body, vertebra_grid, towards_head=(0, 0, 1))
    assert frame is not None
    assert frame.centre_xyz_mm == pytest.approx(CENTRE_MM, abs=max(vertebra_grid.spacing_mm) / 2)
    for n in range(3):
        assert angle_degrees(frame.axes[:, n], axes[:, n]) <= 2.5


def upright(grid: Grid, make_spine: Callable[..., Spine]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Frame]:
    true = Frame(CENTRE_MM, turned(20, 2))
    mask, body = masks(make_spine(grid, [("L3", true)]))
    return mask, body, true


def test_an_arch_that_lost_one_transverse_process_still_gives_the_plane(
    make_spine: Callable[..., Spine], vertebra_grid: Grid
) -> None:
    mask, body, true = upright(vertebra_grid, make_spine)
    xyz = vertebra_grid.to_xyz_mm(np.moveaxis(np.indices(vertebra_grid.shape), 0, -1))
    mask = mask & ~((true.to_local_mm(xyz)[..., 0] > 16) & ~body)
    frame = estimate_frame(mask, body, vertebra_grid, towards_head=(0, 0, 1))
    assert frame is not None
    assert angle_degrees(frame.axes[:, 1], true.axes[:, 1]) <= 2


def test_an_open_arch_points_to_its_centroid_and_none_to_the_back_of_the_patient(
    make_spine: Callable[..., Spine], vertebra_grid: Grid
) -> None:
    mask, body, true = upright(vertebra_grid, make_spine)
    xyz = vertebra_grid.to_xyz_mm(np.moveaxis(np.indices(vertebra_grid.shape), 0, -1))
    local = true.to_local_mm(xyz)
    without_seam = mask & (body | (np.abs(local[..., 0]) > 4))
    open_arch = estimate_frame(without_seam, body, vertebra_grid, towards_head=(0, 0, 1))
    bare = estimate_frame(body, body, vertebra_grid, towards_head=(0, 0, 1))
    assert open_arch is not None
    assert bare is not None
    assert angle_degrees(open_arch.axes[:, 1], true.axes[:, 1]) <= 2
    assert angle_degrees(bare.axes[:, 1], (0, 1, 0)) <= 2


def test_a_body_too_damaged_to_tell_keeps_the_first_guess() -> None:
    # A plate 20 × 20 × 4 mm that stands on its edge: its faces are no endplates.
    grid = Grid.from_spacing((30, 30, 30), (1, 1, 1), origin_mm=(-14.5, -14.5, -14.5))
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) @ turned(75, 0)
    plate = np.asarray((np.abs(xyz) <= (10, 10, 2)).all(axis=-1))
    frame = estimate_frame(plate, plate, grid, towards_head=(0, 0, 1))
    assert frame is not None
    assert frame.axes == pytest.approx(np.eye(3))


def test_an_arch_above_the_body_gives_no_direction() -> None:
    grid = Grid.from_spacing((30, 30, 30), (1, 1, 1), origin_mm=(-14.5, -14.5, -14.5))
    body = np.zeros(grid.shape, dtype=bool)
    body[5:25, 5:25, 2:18] = True
    mask = body.copy()
    mask[14:16, 14:16, 22:24] = True
    frame = estimate_frame(mask, body, grid, towards_head=(0, 0, 1))
    assert frame is not None
    assert frame.axes == pytest.approx(np.eye(3), abs=1e-6)


def test_without_a_body_there_is_no_frame(make_spine: Callable[..., Spine], vertebra_grid: Grid) -> None:
    mask, body, _ = upright(vertebra_grid, make_spine)
    assert estimate_frame(mask, np.zeros_like(body), vertebra_grid, towards_head=(0, 0, 1)) is None


def test_columns_of_a_box_have_its_length() -> None:
    grid = Grid.from_spacing((30, 30, 20), (1, 1, 2), direction=-np.eye(3))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[5:25, 10:20, 4:16] = True
    frame = Frame(grid.to_xyz_mm((14.5, 14.5, 9.5)), np.eye(3))
    columns = sample_columns(mask, grid, frame)
    inside = columns.solid[np.abs(columns.left_mm) < 9][:, np.abs(columns.posterior_mm) < 4]
    # Twelve voxels of 2 mm, sampled every 0.5 mm.
    assert (inside.sum(axis=2) == 48).all()
    assert not columns.solid[np.abs(columns.left_mm) > 10.5].any()


def test_what_lies_beyond_the_array_is_outside() -> None:
    grid = Grid.from_spacing((4, 4, 4), (1, 1, 1))
    columns = sample_columns(np.ones(grid.shape, dtype=bool), grid, Frame(np.full(3, 1.5), np.eye(3)))
    assert columns.solid.sum() * 0.5 == pytest.approx(4**3, rel=0.3)
    assert not columns.solid[0].any()
    assert not columns.solid[..., -1].any()
