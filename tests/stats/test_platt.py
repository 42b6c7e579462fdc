import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.stats.platt import LEAST_SLOPE, apply_platt, fit_platt, log_odds_of


def test_a_score_that_says_nothing_becomes_the_share_of_positives() -> None:
    fitted = fit_platt(np.zeros(10), [True] * 3 + [False] * 7)
    # Platt's targets: 4/5 for each of 3 positives, 1/9 for each of 7 negatives.
    assert apply_platt(fitted, 0.0) == pytest.approx((3 * 4 / 5 + 7 / 9) / 10, abs=1e-6)
    assert (fitted.n, fitted.n_positive) == (10, 3)


def test_two_levels_are_met_exactly() -> None:
    log_odds = np.repeat([-1.0, 3.0], 100)
    truth = np.concatenate([np.arange(100) < 20, np.arange(100) < 70])
    fitted = fit_platt(log_odds, truth)
    high, low = 91 / 92, 1 / 112
    for level, n in ((-1.0, 20), (3.0, 70)):
        expected = (n * high + (100 - n) * low) / 100
        assert apply_platt(fitted, level) == pytest.approx(expected, abs=1e-5)


def test_calibrated_scores_of_a_known_law() -> None:
    rng = np.random.default_rng(3)
    log_odds = rng.normal(0, 3, 20_000)
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * log_odds - 1.0)))
    fitted = fit_platt(log_odds, truth)
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx(-1.0, abs=0.06)


def test_separated_scores_stay_finite_and_a_misleading_one_is_not_turned_over() -> None:
    separated = fit_platt([-5.0, -4.0, 4.0, 5.0], [False, False, True, True])
    assert np.isfinite([separated.intercept, separated.slope]).all()
    assert 0.5 < apply_platt(separated, 4.0) < 1
    misleading = fit_platt([-5.0, -4.0, 4.0, 5.0], [True, True, False, False])
    assert misleading.slope == pytest.approx(LEAST_SLOPE)


def test_one_class_alone() -> None:
    fitted = fit_platt([1.0, 2.0, 3.0], [True, True, True])
    assert apply_platt(fitted, 2.0) == pytest.approx(0.8, abs=0.02)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(InputError, match="a calibration needs at least one score"):
        fit_platt([], [])


def test_log_odds_stay_finite_at_the_ends() -> None:
    np.testing.assert_allclose(log_odds_of([0.0, 0.25, 1.0]), [-9.2102, -1.0986, 9.2102], atol=1e-4)
