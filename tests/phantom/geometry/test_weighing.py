import numpy as np
import pytest
from scipy.ndimage import correlate1d

from osteomet.phantom.geometry.weighing import weigh_along


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_weighed_as_a_reference_does(axis: int) -> None:
    image = np.random.default_rng(0).normal(size=(9, 10, 12)).astype(np.float32)
    weights = np.array([0.1, 0.2, 0.4, 0.25, 0.05])
    expected = correlate1d(image, weights, axis=axis, mode="nearest")
    np.testing.assert_allclose(weigh_along(image, weights, axis, start=-2), expected, atol=1e-6)
    # Every third place from the third on, as slices are made of finer ones.
    places = [slice(None)] * 3
    places[axis] = slice(2, 6, 3)
    found = weigh_along(image, weights, axis, step=3, size=2)
    np.testing.assert_allclose(found, expected[tuple(places)], atol=1e-6)


def test_a_constant_stays_constant_beyond_its_ends() -> None:
    image = np.full((4, 3, 5), 7.0, dtype=np.float32)
    np.testing.assert_allclose(weigh_along(image, np.full(7, 1 / 7), 2, start=-3), 7.0, rtol=1e-6)
