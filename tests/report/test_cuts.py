import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.report.cuts import Course, Cut, View, grey_window, render_grey, sample_nearest

# A bright cube of 20 mm in the patient's left anterior superior corner of a field that is centred on the origin.
MARKER_XYZ_MM = (20.0, -22.0, 24.0)


def rotation(degrees_about_z: float, degrees_about_x: float) -> NDArray[np.float64]:
    a, b = np.deg2rad([degrees_about_z, degrees_about_x])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return np.asarray(about_z @ about_x)


DIRECTIONS = {
    "axial": np.eye(3),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": rotation(25, 15),
    "negated": np.diag([-1.0, -1.0, -1.0]),
}


def centred_grid(direction: NDArray[np.float64], shape: tuple[int, int, int], spacing: tuple[float, ...]) -> Grid:
    """Grid whose box is centred on the LPS origin."""
    half = (np.array(shape) - 1) / 2 * spacing
    return Grid.from_spacing(shape, spacing, origin_mm=tuple(-direction @ half), direction=direction)


def marker_volume(direction: NDArray[np.float64]) -> Volume:
    grid = centred_grid(direction, (100, 110, 56), (1.2, 1.1, 2.0))
    xyz = grid.to_xyz_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))
    marker = (np.abs(xyz - MARKER_XYZ_MM) <= 10).all(axis=-1)
    return Volume(np.where(marker, 2000, 0).astype(np.int16), grid, Modality.CT, Unit.HU)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
@pytest.mark.parametrize(
    ("view", "column", "row", "letters"),
    [
        # Field of 100 mm in 100 pixels: the origin of the patient is at pixel 49.5.
        (View.AXIAL, 49.5 + 20, 49.5 - 22, ("R", "L", "A", "P")),
        (View.SAGITTAL, 49.5 - 22, 49.5 - 24, ("A", "P", "H", "F")),
        (View.CORONAL, 49.5 + 20, 49.5 - 24, ("R", "L", "H", "F")),
    ],
)
def test_a_marker_in_the_left_anterior_superior_corner_lands_where_a_radiologist_expects_it(
    direction: NDArray[np.float64], view: View, column: float, row: float, letters: tuple[str, str, str, str]
) -> None:
    volume = marker_volume(direction)
    cut = Cut.around(view, (0.0, 0.0, 0.0), field_mm=100, pixel_mm=1.0)
    through_marker = Cut.around(view, MARKER_XYZ_MM, field_mm=100, pixel_mm=1.0)
    cut = Cut(view, cut.corner_mm, cut.shape, cut.pixel_mm, through_marker.course)
    rows, columns = np.nonzero(render_grey(volume, cut, grey_window(volume)) > 128)
    assert columns.mean() == pytest.approx(column, abs=0.6)
    assert rows.mean() == pytest.approx(row, abs=0.6)
    assert cut.to_column_row(MARKER_XYZ_MM) == pytest.approx([column, row])
    assert cut.letters == letters


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_a_linear_field_is_sampled_exactly_on_every_grid(direction: NDArray[np.float64]) -> None:
    grid = centred_grid(direction, (60, 50, 40), (2.0, 2.5, 3.0))
    xyz = grid.to_xyz_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))
    volume = Volume((xyz @ [1.0, 2.0, 4.0]).astype(np.float32), grid, Modality.CT, Unit.HU)
    cut = Cut.around(View.CORONAL, (3.0, 5.0, -7.0), field_mm=20, pixel_mm=0.5)
    window = grey_window(volume)
    expected = (cut.points_xyz_mm() @ [1.0, 2.0, 4.0] - window.low) / (window.high - window.low) * 255
    assert np.abs(render_grey(volume, cut, window) - expected).max() <= 0.51


def test_fifty_millimetres_measure_fifty_millimetres_along_every_axis() -> None:
    # Voxel centres at odd halves of the spacing, so that ±25 mm lies half-way between two centres on every axis.
    grid = Grid.from_spacing((50, 100, 40), (2.0, 1.0, 2.0), origin_mm=(-50.0, -49.5, -40.0))
    xyz = grid.to_xyz_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))
    volume = Volume(np.where((np.abs(xyz) < 25).all(axis=-1), 900, -300).astype(np.int16), grid, Modality.CT, Unit.HU)
    for view in View:
        cut = Cut.around(view, (0.0, 0.0, 0.0), field_mm=70, pixel_mm=0.25)
        bright = render_grey(volume, cut, grey_window(volume)) > 127
        assert bright.any(axis=0).sum() * cut.pixel_mm == pytest.approx(50, abs=0.25)
        assert bright.any(axis=1).sum() * cut.pixel_mm == pytest.approx(50, abs=0.25)


def test_outside_the_scan_is_black_and_the_scan_ends_half_a_voxel_beyond_its_centres() -> None:
    grid = Grid.from_spacing((4, 4, 4), (2.0, 2.0, 2.0), origin_mm=(1.0, 1.0, 1.0))
    volume = Volume(np.full((4, 4, 4), 3000, np.int16), grid, Modality.CT, Unit.HU)
    cut = Cut.over(View.AXIAL, [(-2, -2, 0), (10, 10, 0)], Course.flat(4.0), pixel_mm=1.0)
    grey = render_grey(volume, cut, grey_window(volume))
    expected = np.zeros((12, 12), np.uint8)
    expected[2:10, 2:10] = 255
    assert np.array_equal(grey, expected)


def test_labels_are_never_mixed_and_stop_at_the_scan() -> None:
    labels = np.zeros((2, 1, 1), np.uint8)
    labels[:, 0, 0] = 3, 9
    grid = Grid.from_spacing((2, 1, 1), (4.0, 4.0, 4.0))
    cut = Cut.over(View.AXIAL, [(-4, -2, 0), (8, 2, 0)], Course.flat(0.0), pixel_mm=1.0)
    assert sample_nearest(labels, grid, cut)[0].tolist() == [0, 0, 3, 3, 3, 3, 9, 9, 9, 9, 0, 0]


def test_a_curved_cut_follows_its_course_and_knows_the_distance_to_it() -> None:
    course = Course(np.array([0.0, 100.0]), np.array([10.0, 30.0]))
    cut = Cut.over(View.SAGITTAL, [(0, -50, -20), (0, 50, 120)], course, pixel_mm=1.0)
    points = cut.points_xyz_mm()
    assert points[0, 0].tolist() == [30.0, -49.5, 119.5]
    assert points[-1, -1].tolist() == [10.0, 49.5, -19.5]
    assert points[69, 0].tolist() == pytest.approx([20.1, -49.5, 50.5])
    assert cut.distance_mm((25.0, 0.0, 50.0)) == pytest.approx(5.0)
    assert cut.distance_mm((5.0, 0.0, -200.0)) == pytest.approx(-5.0)


def test_a_part_of_a_picture_shows_the_same_points() -> None:
    course = Course(np.array([0.0, 10.0]), np.array([0.0, 5.0]))
    cut = Cut.over(View.CORONAL, [(-10, 0, -10), (10, 0, 10)], course, pixel_mm=0.5)
    part = cut.crop((6, 9), (20, 11))
    assert np.allclose(part.points_xyz_mm(), cut.points_xyz_mm()[6:26, 9:20])


def test_ct_has_a_bone_window_and_mr_a_window_from_its_own_values() -> None:
    grid = Grid.from_spacing((10, 10, 10), (1.0, 1.0, 1.0))
    ct = Volume(np.zeros((10, 10, 10), np.int16), grid, Modality.CT, Unit.HU)
    assert grey_window(ct).text == "Bone window, level 300 HU, width 1200 HU"
    values = np.zeros(1000, np.float32)
    values[:201] = np.arange(201)  # 200 positive values 1 … 200; the zeros around the patient do not count
    mr = Volume(values.reshape(10, 10, 10), grid, Modality.MR, Unit.ARBITRARY)
    window = grey_window(mr)
    assert (window.low, window.high) == pytest.approx((2.99, 199.005))
    assert window.text == "Window 2.99 to 199 a.u., percentiles 1 and 99.5 of the positive values"
    empty = grey_window(mr.with_array(np.zeros((10, 10, 10), np.float32)))
    assert empty.low == 0 < empty.high
