import numpy as np
import pytest

from osteomet.phantom.mr import signals


def test_spin_echo_by_hand() -> None:
    # TR = T1, TE = T2 = T1/10: 1 − 2e^(−0.95) + e^(−1) = 0.594397, times e^(−1).
    value = signals.spin_echo(1.0, 1000.0, 100.0, tr_ms=1000, te_ms=100)
    np.testing.assert_allclose(value, 0.5943974 * 0.3678794, rtol=1e-6)


def test_fast_spin_echo_by_hand() -> None:
    # TR − train = T1 ln 2 recovers one half, TE = T2 ln 4 leaves a quarter.
    value = signals.fast_spin_echo(0.8, 1000.0, 50.0, tr_ms=793.1472, te_ms=69.31472, train_ms=100)
    np.testing.assert_allclose(value, 0.8 * 0.5 * 0.25, rtol=1e-6)


def test_inversion_recovery_nulls_its_tissue_and_keeps_the_sign() -> None:
    null = signals.null_inversion_time_ms(288, tr_ms=4000, train_ms=100)
    times = {"tr_ms": 4000.0, "ti_ms": null, "te_ms": 50.0, "train_ms": 100.0}
    assert abs(float(signals.inversion_recovery(1.0, 288.0, 165.0, **times))) < 1e-12
    assert (
        signals.inversion_recovery(1.0, 1000.0, 165.0, **times)
        < 0
        < signals.inversion_recovery(1.0, 200.0, 165.0, **times)
    )
    # Long TR: the null lies at T1 ln 2.
    np.testing.assert_allclose(signals.null_inversion_time_ms(500, tr_ms=1e6, train_ms=0), 500 * np.log(2))


def test_spoiled_gradient_echo_by_hand() -> None:
    # 90°: full saturation, 1 − e^(−TR/T1) = one half.
    np.testing.assert_allclose(
        signals.spoiled_gradient_echo(1.0, 1000.0, tr_ms=693.1472, flip_degree=90), 0.5, rtol=1e-6
    )
    # The signal is largest at the Ernst angle, arccos(e^(−TR/T1)).
    angles = np.linspace(1, 89, 881)
    curve = [float(signals.spoiled_gradient_echo(1.0, 800.0, tr_ms=5, flip_degree=a)) for a in angles]
    np.testing.assert_allclose(angles[int(np.argmax(curve))], np.rad2deg(np.arccos(np.exp(-5 / 800))), atol=0.06)


@pytest.mark.parametrize("field_strength_t", [1.5, 3.0])
def test_fat_opposes_water_at_the_first_echo_and_joins_it_at_the_second(field_strength_t: float) -> None:
    opposed, in_phase = signals.echo_times_ms(field_strength_t)
    np.testing.assert_allclose(signals.fat_phasor(0.0, field_strength_t), 1.0)
    # The tallest peak alone would give −1 and 1; the others turn at their own pace.
    assert signals.fat_phasor(opposed, field_strength_t).real < -0.7
    assert signals.fat_phasor(in_phase, field_strength_t).real > 0.7
    np.testing.assert_allclose(sum(signals.FAT_PEAK_SHARES), 1.0)
    # By hand: 3.4 ppm of 42.577 MHz/T.
    np.testing.assert_allclose(in_phase, 1e3 / (3.4 * 42.577 * field_strength_t))


def test_two_point_water_and_fat_recombine() -> None:
    rng = np.random.default_rng(0)
    in_phase, opposed = rng.normal(size=(2, 5, 4)).astype(np.float32)
    water, fat = signals.separate_two_points(in_phase, opposed)
    np.testing.assert_allclose(water + fat, in_phase, rtol=1e-5, atol=1e-6)
    # Water 3 and fat 1 give echoes of 4 and 2.
    water, fat = signals.separate_two_points(np.array([4], np.float32), np.array([2], np.float32))
    assert (float(water[0]), float(fat[0])) == (3.0, 1.0)


@pytest.mark.parametrize("b_values", [(0.0, 800.0), (50.0, 400.0, 1000.0)])
def test_fitted_adc_is_the_one_that_weighted_the_signal(b_values: tuple[float, ...]) -> None:
    adc = np.array([0.3, 0.85, 2.8])
    images = [
        signals.diffusion_weighted(1.0, 1000.0, 80.0, adc, tr_ms=5000, te_ms=70, b_s_per_mm2=b).astype(np.float32)
        for b in b_values
    ]
    np.testing.assert_allclose(signals.fit_adc_um2_per_ms(images, b_values), adc, rtol=1e-4)


def test_adc_without_signal_or_below_zero_is_zero() -> None:
    low, high = np.array([0.0, 1.0], np.float32), np.array([0.5, 2.0], np.float32)
    assert signals.fit_adc_um2_per_ms([low, high], (0, 800)).tolist() == [0.0, 0.0]


def test_contrast_medium_adds_rates() -> None:
    # 1/1 s + 5 per mmol/l and second × 0.2 mmol/l = 2 per second.
    np.testing.assert_allclose(signals.shortened_ms(1000.0, 5.0, 0.2), 500.0)
