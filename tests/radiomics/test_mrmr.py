"""mRMR: information by hand and by a reference, and which features it prefers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.radiomics.mrmr import mutual_information, select_mrmr


def test_information_by_hand() -> None:
    value = np.arange(9.0)
    assert mutual_information(value, -(value**3)) == pytest.approx(np.log(3))  # one bin tells the other
    crossed = np.array([0.0, 3.0, 6.0, 1.0, 4.0, 7.0, 2.0, 5.0, 8.0])  # each bin has one of each third
    assert mutual_information(value, crossed) == pytest.approx(0.0, abs=1e-12)
    # Two bins of 2: each joint cell has one of the four, or two of the same.
    assert mutual_information(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 1, 2]), n_bins=2) == pytest.approx(np.log(2))


def test_information_equals_the_reference() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    first = rng.standard_normal(50)
    second = first + rng.standard_normal(50)
    bins = [np.floor(3 * (v.argsort().argsort() + 0.5) / 50).astype(int) for v in (first, second)]
    assert mutual_information(first, second) == pytest.approx(metrics.mutual_info_score(*bins))


def test_equal_values_share_a_bin() -> None:
    value = np.array([0.0, 0, 0, 0, 1, 1])  # ranks 2.5 and 5.5 of 6: bins 1 and 2
    assert mutual_information(value, value) == pytest.approx(-(2 / 3) * np.log(2 / 3) - (1 / 3) * np.log(1 / 3))


def test_a_copy_is_chosen_after_a_weaker_feature_that_is_new() -> None:
    truth = np.repeat([False, True], 18)
    strong = np.arange(36.0)
    weak = np.tile(np.arange(18.0), 2) + np.repeat([0.0, 4.5], 18)
    noise = np.tile(np.arange(18.0), 2)
    table = np.stack([noise, weak, strong, np.exp(strong / 9)], axis=1)
    assert select_mrmr(table, truth, n_selected=4)[:2] == (2, 1)
    assert set(select_mrmr(table, truth, n_selected=4)) == {0, 1, 2, 3}


def by_definition(table: NDArray[np.float64], truth: NDArray[np.bool_], n: int) -> list[int]:
    """Equation 7 of Peng et al., one pair of features at a time."""
    relevance = [mutual_information(column, np.where(truth, 1.0, 0.0)) for column in table.T]
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < n:
        rest = [j for j in range(table.shape[1]) if j not in chosen]
        gain = [relevance[j] - np.mean([mutual_information(table[:, j], table[:, i]) for i in chosen]) for j in rest]
        chosen.append(rest[int(np.argmax(gain))])
    return chosen


def test_choice_follows_the_definition() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat([False, True], 21)
    table = rng.standard_normal((42, 12)) + 0.8 * truth[:, None] * rng.random(12)
    table[:, 6:] = table[:, :6] + 0.3 * rng.standard_normal((42, 6))
    assert list(select_mrmr(table, truth, n_selected=6)) == by_definition(table, truth, 6)


def test_only_the_order_of_the_values_counts() -> None:
    rng = np.random.default_rng(3)
    truth, table = np.repeat([False, True], 15), rng.standard_normal((30, 8))
    assert select_mrmr(np.exp(5 * table), truth, n_selected=5) == select_mrmr(table, truth, n_selected=5)


def test_what_does_not_vary_is_never_chosen() -> None:
    truth = np.repeat([False, True], 5)
    table = np.stack([np.zeros(10), np.arange(10.0), np.ones(10)], axis=1)
    assert select_mrmr(table, truth, n_selected=3) == (1,)
