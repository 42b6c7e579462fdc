import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.phantom.mr.geometry import Orientation, Stack, acquisition_grid

BOX = np.array([[-40.0, -60.0, -110.0], [35.0, 80.0, 120.0]])


@pytest.mark.parametrize("orientation", list(Orientation))
@pytest.mark.parametrize("slice_mm", [2.0, 8.0])
def test_planned_stacks_cover_the_box_with_slices_of_the_plane(orientation: Orientation, slice_mm: float) -> None:
    stack = acquisition_grid(BOX, orientation, slice_mm, 0.1 * slice_mm, 0.9, np.random.default_rng(4))
    normal = {Orientation.SAGITTAL: 0, Orientation.AXIAL: 2, Orientation.CORONAL: 1}[orientation]
    assert abs(stack.grid.direction[normal, 2]) > np.cos(np.deg2rad(15))
    np.testing.assert_allclose(np.linalg.det(stack.grid.direction), 1.0)
    np.testing.assert_allclose(stack.grid.spacing_mm, (0.9, 0.9, 1.1 * slice_mm))
    assert stack.slice_mm == slice_mm
    centre = stack.grid.to_ijk(BOX.mean(axis=0))
    np.testing.assert_allclose(centre, (np.array(stack.grid.shape) - 1) / 2, atol=0.51)
    extent = np.abs(stack.grid.direction.T).round() @ (BOX[1] - BOX[0])
    assert (np.array(stack.grid.extent_mm) >= extent - 1e-6).all()
    assert (np.array(stack.grid.extent_mm) < extent + stack.grid.spacing_mm).all()


def test_image_axes_are_those_of_dicom() -> None:
    axes = {
        o: np.round(acquisition_grid(BOX, o, 4, 0, 1, np.random.default_rng(0)).grid.direction) for o in Orientation
    }
    # Columns run to the left or to posterior, rows to posterior or to the feet.
    np.testing.assert_array_equal(axes[Orientation.SAGITTAL][:, :2].T, [[0, 1, 0], [0, 0, -1]])
    np.testing.assert_array_equal(axes[Orientation.AXIAL][:, :2].T, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(axes[Orientation.CORONAL][:, :2].T, [[1, 0, 0], [0, 0, -1]])


def test_layers_fill_the_box_of_the_slices() -> None:
    stack = acquisition_grid(BOX, Orientation.SAGITTAL, 4.0, 0.4, 1.0, np.random.default_rng(4))
    assert stack.n_layers == 4
    assert stack.fine.shape == (*stack.grid.shape[:2], 4 * stack.grid.shape[2])
    np.testing.assert_allclose(stack.fine.extent_mm, stack.grid.extent_mm)
    # The mean of the centres of the layers of a slice is the centre of the slice.
    layers = stack.fine.to_xyz_mm([[3, 5, k] for k in range(8, 12)])
    np.testing.assert_allclose(layers.mean(axis=0), stack.grid.to_xyz_mm([3, 5, 2]), atol=1e-9)


GRID = Grid.from_spacing((4, 5, 6), (1.0, 1.0, 5.0))


def test_layer_weights_sum_to_one_and_leave_the_gap_out() -> None:
    stack = Stack(GRID, slice_mm=2.0, n_layers=10)
    weights = stack.layer_weights()
    assert weights.shape == (6, 60)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    # 2 mm of 5 mm are four of ten layers, and half a layer of slope on either side.
    assert np.flatnonzero(weights[2]).tolist() == [22, 23, 24, 25, 26, 27]
    np.testing.assert_allclose(weights[2, 24], 0.25, rtol=0.02)


def test_weights_are_symmetric_about_the_slice() -> None:
    row = Stack(GRID, slice_mm=4.0, n_layers=8).layer_weights()[3, 16:40]
    np.testing.assert_allclose(row, row[::-1], atol=1e-6)


def test_layers_displaced_by_a_whole_slice_change_slices() -> None:
    for n_layers in (1, 8):
        stack = Stack(GRID, slice_mm=4.0, n_layers=n_layers)
        tissue = np.repeat(np.arange(6.0), n_layers)
        np.testing.assert_allclose(stack.layer_weights() @ tissue, np.arange(6.0), atol=1e-5)
        # The tissue moves towards higher slices; the lowest goes on below.
        np.testing.assert_allclose(stack.layer_weights(5.0) @ tissue, [0, 0, 1, 2, 3, 4], atol=1e-5)


def test_slices_without_layers_are_their_own() -> None:
    np.testing.assert_array_equal(Stack(GRID).layer_weights(), np.eye(6))
    assert Stack(GRID).fine is GRID


def test_readout_is_the_axis_that_is_left() -> None:
    assert Stack(GRID, slice_axis=0, phase_axis=2).readout_axis == 1


def test_impossible_stacks_are_refused() -> None:
    with pytest.raises(UsageError, match=r"their distance; expected .* up to 5 mm; got 6 mm thick, 5 mm apart; remedy"):
        Stack(GRID, slice_mm=6.0)
    with pytest.raises(
        UsageError, match=r"different axes .*; expected 1 layer or more.*; got 1 layers, axes 1 and 1; remedy"
    ):
        Stack(GRID, slice_axis=1, phase_axis=1)
    with pytest.raises(UsageError, match=r"no negative gap .*; expected .* 0 mm or more.*; got .*gap -1 mm.*; remedy"):
        acquisition_grid(BOX, Orientation.AXIAL, 4.0, -1.0, 1.0, np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"box with extent; expected .* ascending order; got .*; remedy"):
        acquisition_grid(BOX[::-1], Orientation.AXIAL, 4.0, 0.0, 1.0, np.random.default_rng(0))
