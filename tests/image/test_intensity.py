from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import InputError, UsageError
from osteomet.image.intensity import clahe, relative_signal, signal_gain, to_0_255, window, z_score

RAMP = np.array([-1000, -450, 100, 650, 1200], dtype=np.int16)[:, None, None]


def test_window_by_hand() -> None:
    assert window(RAMP, -450, 650).ravel().tolist() == [-1, -1, 0, 1, 1]
    assert window(RAMP, -1000, 1200).ravel().tolist() == [-1, -0.5, 0, 0.5, 1]
    assert window(RAMP, -450, 650).dtype == np.float32


def test_window_gives_the_same_value_in_every_scan() -> None:
    both = window(RAMP, -800, 900)
    each = [window(RAMP[n : n + 1], -800, 900).item() for n in range(5)]
    assert both.ravel().tolist() == each


@pytest.mark.parametrize(("low", "high"), [(5, 5), (5, 4), (np.nan, 1)])
def test_a_window_without_width_is_refused(low: float, high: float) -> None:
    with pytest.raises(UsageError, match="high end above its low end"):
        window(RAMP, low, high)


def test_min_max_by_hand() -> None:
    assert to_0_255(RAMP).ravel().tolist() == [0, 64, 128, 191, 255]
    assert to_0_255(np.array([[-0.5, 0.5]], dtype=np.float32)).tolist() == [[0, 255]]
    assert to_0_255(RAMP).dtype == np.uint8


def test_min_max_ignores_gain_and_offset() -> None:
    array = np.random.default_rng(0).integers(0, 1000, (6, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(to_0_255(array), to_0_255(array * 4 + 512))


def test_min_max_of_the_widest_int16_does_not_overflow() -> None:
    assert to_0_255(np.array([-32768, 0, 32767], dtype=np.int16)).tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_constant_image_has_no_contrast(dtype: type) -> None:
    constant: NDArray[Any] = np.full((3, 4, 5), 70, dtype=dtype)
    assert (to_0_255(constant) == 0).all()
    assert (z_score(constant) == 0).all()
    assert to_0_255(constant).shape == z_score(constant).shape == (3, 4, 5)


def test_z_score_by_hand() -> None:
    # Mean 5, deviations −3, −1, 1, 3: variance 5.
    array = np.array([2, 4, 6, 8], dtype=np.int16)
    np.testing.assert_allclose(z_score(array), np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-6)


def test_z_score_of_a_mask_scales_every_voxel() -> None:
    array = np.array([1, 3, 100], dtype=np.float32)
    mask = np.array([True, True, False])
    assert z_score(array, mask).tolist() == [-1, 1, 98]


def test_z_score_keeps_its_precision_far_from_zero() -> None:
    array = np.random.default_rng(1).normal(30000, 2, (20, 20, 20)).astype(np.float32)
    scaled = z_score(array)
    assert scaled.mean(dtype=np.float64) == pytest.approx(0, abs=1e-3)
    assert scaled.std(dtype=np.float64) == pytest.approx(1, abs=1e-3)


def test_z_score_inside_a_constant_region_is_zero() -> None:
    assert (z_score(np.array([5, 5, 9], dtype=np.int16), np.array([True, True, False])) == 0).all()


def test_z_score_of_an_empty_mask_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least one voxel .* got an empty mask"):
        z_score(RAMP, np.zeros(RAMP.shape, dtype=bool))


def test_clahe_with_one_tile_and_no_limit_is_histogram_equalisation() -> None:
    # Four values of 64 pixels each: ranks 1/4 … 4/4, stretched to 0 … 255.
    values = np.repeat(np.array([0, 10, 20, 255], dtype=np.uint8), 64)
    slice_ = np.random.default_rng(0).permutation(values).reshape(16, 16, 1)
    out = clahe(slice_, n_tiles=1, clip_limit=1.0)
    assert out.dtype == np.uint8
    for value, expected in {0: 0, 10: 85, 20: 170, 255: 255}.items():
        np.testing.assert_allclose(out[slice_ == value], expected, atol=1)


def test_clahe_raises_local_contrast() -> None:
    # A faint checkerboard in a dark and a bright half: 4 of 164 grey values.
    i, j = np.indices((128, 128))
    picture = np.where(j < 64, 40, 200) + 4 * ((i // 4 + j // 4) % 2)
    out = clahe(picture[:, :, None].astype(np.uint8), n_tiles=2, clip_limit=0.1)[..., 0].astype(int)
    assert np.ptp(to_0_255(picture)[:, :64]) == 6
    assert np.ptp(out[:, :32]) > 20
    assert np.ptp(out[:, 96:]) > 20


@pytest.mark.parametrize("n_slices", [1, 2, 3, 4, 5])
def test_clahe_of_a_stack_equals_that_of_each_slice(n_slices: int) -> None:
    stack = np.random.default_rng(2).integers(0, 256, (40, 33, n_slices), dtype=np.uint8)
    stack[..., -1] //= 3
    each = [clahe(stack[:, :, k : k + 1]) for k in range(n_slices)]
    np.testing.assert_array_equal(clahe(stack), np.concatenate(each, axis=2))


def test_clahe_leaves_a_constant_slice_alone() -> None:
    stack = np.full((32, 32, 3), 9, dtype=np.uint8)
    stack[..., 1] = np.arange(32)
    out = clahe(stack)
    assert (out[..., [0, 2]] == 9).all()
    assert (out[..., 1].min(), out[..., 1].max()) == (0, 255)


def test_inputs_are_left_as_they_were() -> None:
    array = np.random.default_rng(3).integers(0, 256, (16, 16, 2)).astype(np.uint8)
    array.setflags(write=False)
    before = array.copy()
    for scale in (lambda a: window(a, 0, 100), to_0_255, z_score, clahe):
        scale(array)
    np.testing.assert_array_equal(array, before)


def test_the_gain_is_the_median_of_the_body() -> None:
    """60 voxels of air with noise up to 9, 30 of tissue at 200 and 10 of fat at 800: a tenth of the fat is 80."""
    array = np.concatenate([np.arange(60) % 10, np.full(30, 200), np.full(10, 800)]).astype(np.int16)
    assert signal_gain(array) == 200
    assert signal_gain(array[array < 800]) == 200


def test_the_same_picture_at_any_gain_gives_the_same_values() -> None:
    array = np.random.default_rng(0).gamma(2.0, 100.0, (8, 9, 10)).astype(np.float32)
    scaled = [relative_signal(array * factor, signal_gain(array * factor)) for factor in (0.01, 1.0, 37.0)]
    for one in scaled:
        np.testing.assert_allclose(one, scaled[1], atol=1e-5)
    assert -1 <= scaled[1].min() < -0.5
    assert 0.5 < scaled[1].max() < 1


def test_a_wrong_gain_is_nearly_a_shift() -> None:
    """(s − g) / (s + g) is tanh of half of ln(s / g): by hand 0.5 ↔ 3 g, and a gain 10 % too low moves 0 to 0.0526."""
    assert relative_signal(np.array([3.0]), 1.0).item() == pytest.approx(np.tanh(np.log(3) / 2))
    assert relative_signal(np.array([1.0]), 0.9).item() == pytest.approx(0.1 / 1.9)


def test_an_image_without_signal_has_no_gain() -> None:
    with pytest.raises(InputError, match=r"shows no signal; expected more than 1 % of its voxels above 0; got .* 0$"):
        signal_gain(np.zeros((4, 4, 4), np.int16))
