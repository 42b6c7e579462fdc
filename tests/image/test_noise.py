"""Noise: deviation and grain are found again in noise of known kind."""

import numpy as np
import pytest

from osteomet.image.noise import Noise, estimate_noise


@pytest.mark.parametrize("grain", [(0.0, 0.0, 0.0), (0.8, 0.8, 0.0), (1.2, 0.7, 1.0)])
def test_what_is_drawn_is_estimated(grain: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    noise = Noise(20.0, grain)
    drawn = noise.draw((48, 44, 40), rng)
    assert drawn.std() == pytest.approx(20.0, rel=0.05)
    # A slope of 3 a voxel and a few outliers are no noise.
    image = drawn + 3.0 * np.arange(48, dtype=np.float32)[:, None, None]
    image[::16, ::16, ::16] += 2000
    found = estimate_noise(image, np.ones(image.shape, dtype=bool))
    assert found is not None
    assert found.deviation == pytest.approx(20.0, rel=0.06)
    np.testing.assert_allclose(found.grain, grain, atol=0.12)


def test_only_the_mask_counts() -> None:
    image = np.random.default_rng(2).normal(0, 5, (30, 30, 30))
    image[15:] *= 10
    mask = np.zeros(image.shape, dtype=bool)
    mask[:15] = True
    found = estimate_noise(image, mask)
    assert found is not None
    assert found.deviation == pytest.approx(5.0, rel=0.05)
    assert estimate_noise(image, np.zeros(image.shape, dtype=bool)) is None


def test_a_noiseless_image_has_none() -> None:
    found = estimate_noise(np.full((20, 20, 20), 7.0), np.ones((20, 20, 20), dtype=bool))
    assert found is not None
    assert found.deviation == 0.0
