"""What networks see of MR: two channels a sequence, each resampled to the grid on its own."""

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.resample import covered_by
from osteomet.nn.inputs import SequenceImage, fill_inputs, sequence_inputs

GRID = Grid.from_spacing((8, 10, 12), (2.0, 2.0, 2.0))


def even(grid: Grid, value: int) -> Volume:
    return Volume(np.full(grid.shape, value, np.int16), grid, Modality.MR, Unit.ARBITRARY)


def test_a_narrow_stack_covers_its_slices_only() -> None:
    """Sagittal slices of 4 mm at x = 3, 7 and 11 mm fill 1 … 13 mm: voxel centres 2 … 12 mm, indices 1 to 6."""
    direction = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    stack = Grid.from_spacing((30, 30, 3), (1.0, 1.0, 4.0), origin_mm=(3.0, -2.0, -2.0), direction=direction)
    image = SequenceImage.on_grid(even(stack, 300), GRID, gain=100.0)
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[1:7] = True
    np.testing.assert_array_equal(image.covered, expected)
    np.testing.assert_allclose(image.signal[expected], 3.0, rtol=1e-6)
    inputs = sequence_inputs([image], GRID.shape, None)
    np.testing.assert_allclose(inputs[0], np.where(expected, 0.5, -1.0), rtol=1e-6)
    np.testing.assert_array_equal(inputs[1], np.where(expected, 1.0, -1.0))


def test_what_is_covered_is_what_resampling_fills() -> None:
    """An oblique stack on which every voxel is 7, resampled with −1 outside."""
    a = np.deg2rad(17)
    direction = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    stack = Grid.from_spacing((6, 7, 5), (2.1, 1.7, 3.3), origin_mm=(3.0, 1.0, 4.0), direction=direction)
    covered = covered_by(stack, GRID)
    index = stack.to_ijk(GRID.to_xyz_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)))
    inside = ((index >= -0.5) & (index <= np.array(stack.shape) - 0.5)).all(axis=-1)
    np.testing.assert_array_equal(covered, inside)
    assert 0 < covered.sum() < covered.size
    np.testing.assert_allclose(SequenceImage.on_grid(even(stack, 7), GRID, 7.0).signal[covered], 1.0, rtol=1e-5)


def test_bones_come_last() -> None:
    bones = np.zeros(GRID.shape, dtype=bool)
    bones[2] = True
    inputs = sequence_inputs([None, None], GRID.shape, bones)
    assert inputs.shape == (5, *GRID.shape)
    np.testing.assert_array_equal(inputs[-1], np.where(bones, 1.0, -1.0))
    assert (inputs[:-1] == -1).all()


@pytest.mark.parametrize(
    ("present", "filled"),
    [
        ({SequenceRole.T2, SequenceRole.STIR}, (SequenceRole.T2, None)),
        ({SequenceRole.STIR, SequenceRole.T1}, (SequenceRole.STIR, SequenceRole.T1)),
        (set(), (None, None)),
    ],
)
def test_an_input_takes_the_best_of_its_roles(
    present: set[SequenceRole], filled: tuple[SequenceRole | None, ...]
) -> None:
    assert fill_inputs(((SequenceRole.T2, SequenceRole.STIR), (SequenceRole.T1,)), present) == filled
