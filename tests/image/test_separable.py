from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ive

from osteomet.image import separable
from osteomet.image.separable import apply_weights, axis_weights, kernel_radius


def matrix_of(centres: list[float], n_source: int, sigma: float) -> NDArray[np.float64]:
    """The same weights as a dense matrix."""
    weights = axis_weights(np.array(centres), n_source, sigma)
    dense = np.zeros((len(centres), n_source))
    for row, (start, taps) in enumerate(zip(weights.start, weights.taps, strict=True)):
        dense[row, start : start + len(taps)] += taps
    return dense


def test_plain_interpolation_by_hand() -> None:
    found = matrix_of([-0.6, -0.5, 0, 0.25, 1.5, 2, 2.5, 2.6], 3, 0)
    assert found.tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [1, 0, 0],
        [0.75, 0.25, 0],
        [0, 0.5, 0.5],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]


@pytest.mark.parametrize("sigma", [0.1, 0.4, 1.0, 2.7])
def test_moments_of_the_kernel(sigma: float) -> None:
    kernel = matrix_of([50], 101, sigma)[0]
    x = np.arange(101) - 50
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-5)
    assert (kernel * x**2).sum() == pytest.approx(sigma**2, rel=1e-4)
    between = matrix_of([50.3], 101, sigma)[0]
    assert (between * x).sum() == pytest.approx(0.3, abs=1e-5)
    # Linear interpolation between two samples adds the variance f (1 − f).
    assert (between * (x - 0.3) ** 2).sum() == pytest.approx(sigma**2 + 0.21, rel=1e-4)


@pytest.mark.parametrize("n_source", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("sigma", [0, 0.5, 3.0])
def test_rows_inside_sum_to_one_and_no_weight_is_negative(n_source: int, sigma: float) -> None:
    dense = matrix_of(np.linspace(-0.5, n_source - 0.5, 37).tolist(), n_source, sigma)
    np.testing.assert_allclose(dense.sum(axis=1), 1, atol=1e-6)
    assert dense.min() >= 0


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 4.0])
def test_what_lies_beyond_the_radius_is_negligible(sigma: float) -> None:
    beyond = np.arange(kernel_radius(sigma) + 1, 100)
    assert 2 * ive(beyond, sigma**2).sum() < 1e-5


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_three_axes_as_einsum_does_it(order: Literal["C", "F"], dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 200, (9, 12, 7))
    array: NDArray[Any] = np.array(values, dtype=dtype, order=order)
    centres = [np.linspace(-1, 9, 5), np.linspace(11.2, 0.3, 14), np.linspace(2, 5, 4)]
    sigmas = (0.8, 0.0, 1.3)
    weights = [axis_weights(c, n, s) for c, n, s in zip(centres, array.shape, sigmas, strict=True)]
    dense = [matrix_of(c.tolist(), n, s) for c, n, s in zip(centres, array.shape, sigmas, strict=True)]
    expected = np.einsum("ai,bj,ck,ijk->abc", *dense, array.astype(np.float64))
    expected[[0, 4]] = -1
    out = apply_weights(array, weights, outside=-1)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
    assert out.flags.f_contiguous == (order == "F")


def test_slabs_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).normal(size=(20, 9, 8)).astype(np.float32)
    weights = [axis_weights(np.linspace(0, n - 1, n // 2), n, 0.7) for n in array.shape]
    whole = apply_weights(array, weights, outside=0)
    monkeypatch.setattr(separable, "_SLAB_VOXELS", 1)
    np.testing.assert_array_equal(apply_weights(array, weights, outside=0), whole)
