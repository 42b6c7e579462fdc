"""The LASSO path: conditions of the optimum, a reference implementation, and its two ends."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from osteomet.radiomics.lasso import largest_penalty, lasso_path

RNG = np.random.default_rng(4)
DESIGN = RNG.standard_normal((60, 6))
DESIGN[:, 5] = DESIGN[:, 0] + 0.05 * RNG.standard_normal(60)  # nearly a copy
TRUTH = DESIGN[:, 0] - DESIGN[:, 1] + RNG.standard_normal(60) > 0.5
WEIGHTS = np.where(TRUTH, 1.5, 0.8)


def gradient(intercept: float, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the weighted mean loss, that of the intercept first."""
    residual = WEIGHTS * (expit(intercept + DESIGN @ coefficients) - TRUTH) / WEIGHTS.sum()
    return np.concatenate([[residual.sum()], DESIGN.T @ residual])


def test_every_fit_of_the_path_is_the_optimum() -> None:
    penalties = largest_penalty(DESIGN, TRUTH, WEIGHTS) * np.geomspace(1, 0.001, 25)
    for penalty, intercept, row in zip(penalties, *lasso_path(DESIGN, TRUTH, WEIGHTS, penalties), strict=True):
        slope = gradient(float(intercept), row)
        assert slope[0] == pytest.approx(0.0, abs=1e-7)
        assert slope[1:][row != 0] == pytest.approx(-penalty * np.sign(row[row != 0]), abs=1e-6)
        assert (np.abs(slope[1:]) <= penalty + 1e-6).all()


def test_the_largest_penalty_is_the_smallest_that_leaves_nothing() -> None:
    largest = largest_penalty(DESIGN, TRUTH, WEIGHTS)
    _, coefficients = lasso_path(DESIGN, TRUTH, WEIGHTS, largest * np.array([1.0001, 0.99]))
    assert not coefficients[0].any()
    assert np.count_nonzero(coefficients[1]) == 1


def test_the_path_equals_the_reference() -> None:
    models = pytest.importorskip("sklearn.linear_model")
    penalty = 0.03
    reference = models.LogisticRegression(
        l1_ratio=1, solver="saga", C=1 / (penalty * WEIGHTS.sum()), tol=1e-9, max_iter=100_000
    ).fit(DESIGN[:, :5], TRUTH, sample_weight=WEIGHTS)
    intercepts, coefficients = lasso_path(DESIGN[:, :5], TRUTH, WEIGHTS, np.array([penalty]))
    assert coefficients[0] == pytest.approx(reference.coef_[0], abs=1e-5)
    assert intercepts[0] == pytest.approx(reference.intercept_[0], abs=1e-5)


def test_classes_that_a_feature_tells_apart_have_a_finite_coefficient() -> None:
    design, truth = np.repeat([-1.0, 1.0], 10)[:, None], np.repeat([False, True], 10)
    # (1 − p) = penalty at the optimum, so the coefficient is the log odds of 1 − penalty.
    _, coefficients = lasso_path(design, truth, np.ones(20), np.array([0.5, 0.001]))
    assert coefficients[:, 0] == pytest.approx([0.0, np.log(999)], abs=1e-5)


def test_no_feature_leaves_the_intercept() -> None:
    intercepts, coefficients = lasso_path(np.zeros((4, 0)), np.array([1, 0, 0, 0], bool), np.ones(4), np.array([0.1]))
    assert coefficients.shape == (1, 0)
    assert intercepts[0] == pytest.approx(np.log(1 / 3))
