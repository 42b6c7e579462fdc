"""Calibration: bins and net benefit by hand, edges, empty cases, agreement with scikit-learn."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.stats.calibration import calibration, decision_curve


def test_bins_by_hand() -> None:
    result = calibration([0.1, 0.2, 0.6, 0.8, 0.8], [0, 1, 0, 1, 1], n_bins=2)
    assert result.edges.tolist() == [0.0, 0.5, 1.0]
    assert result.n.tolist() == [2, 3]
    np.testing.assert_allclose(result.mean_probability, [0.15, 2.2 / 3])
    assert [o.value for o in result.observed] == [0.5, 2 / 3]
    # 2/5 * |0.15 - 0.5| + 3/5 * |2.2/3 - 2/3|
    assert result.ece == pytest.approx((0.7 + 0.2) / 5)
    assert result.brier == pytest.approx((0.01 + 0.64 + 0.36 + 0.04 + 0.04) / 5)


def test_edges_belong_to_the_upper_bin_and_one_to_the_last() -> None:
    result = calibration([0.0, 0.5, 1.0], [0, 1, 1], n_bins=2)
    assert result.n.tolist() == [1, 2]


def test_perfect_and_worst_predictions() -> None:
    perfect, worst = calibration([0.0, 1.0], [0, 1]), calibration([1.0, 0.0], [0, 1])
    assert (perfect.ece, perfect.brier) == (0.0, 0.0)
    assert (worst.ece, worst.brier) == (1.0, 1.0)


def test_empty_bin_and_no_case_are_undefined() -> None:
    result = calibration([0.1], [0], n_bins=2)
    assert np.isnan(result.mean_probability[1])
    assert result.observed[1].value is None
    nothing = calibration([], [])
    assert (nothing.ece, nothing.brier) == (None, None)


def test_decision_curve_by_hand() -> None:
    # five patients, two ill; at 0.2 four are treated, two of them ill: 2/5 - 2/5 * 0.25
    curve = decision_curve([0.9, 0.5, 0.4, 0.3, 0.1], [1, 0, 1, 0, 0], [0.0, 0.2, 0.5])
    np.testing.assert_allclose(curve.model, [2 / 5, 2 / 5 - 2 / 5 * 0.25, 1 / 5 - 1 / 5])
    np.testing.assert_allclose(curve.treat_all, [2 / 5, 2 / 5 - 3 / 5 * 0.25, 2 / 5 - 3 / 5])


def test_at_threshold_zero_everybody_is_treated() -> None:
    curve = decision_curve([0.2, 0.0], [1, 0], [0.0])
    assert curve.model[0] == curve.treat_all[0] == 0.5


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"a probability lies between 0 and 1; got 0\.2 to 1\.2"):
        calibration([0.2, 1.2], [0, 1])
    with pytest.raises(InputError, match="at least one bin; got 0"):
        calibration([0.2], [0], n_bins=0)
    with pytest.raises(InputError, match="probabilities and truth differ in length; got 1 against 2"):
        calibration([0.2], [0, 1])
    with pytest.raises(InputError, match=r"threshold probability lies in \[0, 1\)"):
        decision_curve([0.2], [0], [1.0])
    with pytest.raises(InputError, match="at least one case"):
        decision_curve([], [], [0.5])


@pytest.mark.oracle
def test_agrees_with_scikit_learn() -> None:
    sklearn_calibration = pytest.importorskip("sklearn.calibration")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p = rng.random(500)
    truth = rng.random(500) < p**1.5
    result = calibration(p, truth)
    observed, mean = sklearn_calibration.calibration_curve(truth, p, n_bins=10)
    np.testing.assert_allclose(result.mean_probability, mean, atol=1e-12)
    np.testing.assert_allclose(np.array([o.value for o in result.observed], dtype=float), observed, atol=1e-12)
    assert result.brier == pytest.approx(metrics.brier_score_loss(truth, p), abs=1e-12)
