"""Noise goes and edges stay; a bias field that was put in is taken out; one value stays one value."""

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.bias_field import correct_bias
from osteomet.image.denoise import denoise

GRID = Grid.from_spacing((12, 40, 44), (4.0, 1.0, 1.2))


def image(values: np.ndarray) -> Volume:
    return Volume(values.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)


def test_noise_goes_and_an_edge_stays() -> None:
    """Two halves of 100 and 300 with noise of 8: noise below a half, and the step still between two voxels."""
    clean = np.full(GRID.shape, 100.0)
    clean[:, 20:] = 300.0
    noisy = clean + np.random.default_rng(1).normal(0, 8, GRID.shape)
    got = denoise(image(noisy), iterations=8, conductance=1.0).array
    assert got[:, 3:17].std() < 4.0
    assert abs(got[:, 3:17].mean() - 100) < 1.0
    step = got.mean(axis=(0, 2))
    assert step[19] < 150
    assert step[20] > 250


def test_a_field_that_was_put_in_is_taken_out() -> None:
    """A brick of 200 in air under a field that doubles from one end to the other."""
    i, j, k = np.indices(GRID.shape)
    brick = (i > 1) & (i < 10) & (j > 4) & (j < 36) & (k > 4) & (k < 40)
    field = np.exp(np.linspace(-0.35, 0.35, GRID.shape[2]))[k]
    noise = np.random.default_rng(2).normal(0, 2, GRID.shape)
    seen = np.abs(200 * brick * field + noise)
    got = correct_bias(image(seen), iterations=(40, 30), shrink=2).array
    before, after = (x[brick].std() / x[brick].mean() for x in (seen, got))
    assert before > 0.15
    assert after < before / 3
    assert got.mean() == pytest.approx(seen.mean(), rel=1e-4)


def test_one_value_stays() -> None:
    flat = image(np.full(GRID.shape, 70.0))
    np.testing.assert_allclose(denoise(flat, iterations=3, conductance=1.0).array, 70.0, rtol=1e-6)
    assert correct_bias(flat, iterations=(5,), shrink=2).array is flat.array
