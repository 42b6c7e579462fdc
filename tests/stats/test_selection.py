"""Stability of a selection: values by hand, chance, and what its interval covers."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.stats.selection import selection_stability


def test_values_by_hand() -> None:
    # Two selections of 2 out of 4 share 2 × 2 / 4 = 1 by chance; these share exactly that one.
    assert selection_stability([[1, 1, 0, 0], [1, 0, 1, 0]]).value == pytest.approx(0.0)
    # Three selections of 1 out of 3: shares 2/3, 1/3, 0; mean variance 2/9 (times 3/2, over 3 features, twice) = 2/9;
    # chance 1/3 × 2/3 = 2/9.
    assert selection_stability([[1, 0, 0], [1, 0, 0], [0, 1, 0]]).value == pytest.approx(0.0)
    assert selection_stability([[1, 0, 0]] * 3).value == 1.0


def test_selection_at_random_has_0_on_average() -> None:
    rng = np.random.default_rng(7)
    values = [selection_stability(rng.random((10, 40)).argsort(axis=1) < 8).value for _ in range(300)]
    assert np.mean([v for v in values if v is not None]) == pytest.approx(0.0, abs=0.01)


def test_the_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(8)
    chance = np.repeat([0.9, 0.5, 0.05], [5, 5, 30])
    truth = 1 - np.mean(chance * (1 - chance)) / (chance.mean() * (1 - chance.mean()))
    covered = 0
    for _ in range(400):
        estimate = selection_stability(rng.random((60, 40)) < chance)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
    assert 0.91 < covered / 400 < 0.98


@pytest.mark.parametrize("selected", [np.zeros((3, 4)), np.ones((3, 4)), [[1, 0]], np.zeros((0, 4)), np.zeros((3, 0))])
def test_undefined_without_anything_to_agree_about(selected: np.ndarray) -> None:
    assert selection_stability(selected).value is None


def test_equal_selections_have_no_interval() -> None:
    assert selection_stability([[1, 0], [1, 0]]).low is None


def test_numbers_are_no_selection() -> None:
    with pytest.raises(InputError, match="a selection is a table of truth values"):
        selection_stability([[0.5, 1.0]])
