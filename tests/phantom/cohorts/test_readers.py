"""Simulated readers reach the sensitivity and the false marks that were asked for."""

import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.phantom.cohorts.readers import READERS, SimulatedReader, Target, mark_case

DECOYS = np.arange(120.0).reshape(40, 3) + 500


def targets(rng: np.random.Generator, n: int) -> tuple[Target, ...]:
    return tuple(Target((10.0 * k, 0.0, 0.0), (8.0, 10.0, 12.0), float(rng.lognormal(0, 1))) for k in range(n))


@pytest.mark.parametrize("reader", READERS[:5:2], ids=lambda r: r.name)
def test_sensitivity_and_false_marks_are_reached(reader: SimulatedReader) -> None:
    rng = np.random.default_rng(7)
    cases = [mark_case(reader, targets(rng, 8), DECOYS, rng) for _ in range(400)]
    n_true = sum(mark.is_true for case in cases for mark in case)
    n_false = sum(not mark.is_true for case in cases for mark in case)
    # 3200 lesions and 400 cases: four standard errors of a proportion and of a Poisson mean.
    assert n_true / 3200 == pytest.approx(reader.sensitivity, abs=4 * np.sqrt(0.25 / 3200))
    assert n_false / 400 == pytest.approx(reader.false_per_case, abs=4 * np.sqrt(reader.false_per_case / 400))


def test_the_five_readers_are_on_average_those_of_the_study() -> None:
    assert np.mean([r.sensitivity for r in READERS]) == pytest.approx(0.746, abs=5e-4)
    assert np.mean([r.false_per_case for r in READERS]) == pytest.approx(1.34, abs=5e-3)


def test_large_lesions_are_found_more_often_and_true_marks_are_surer() -> None:
    rng = np.random.default_rng(2)
    pair = (Target((0.0, 0.0, 0.0), (5.0,) * 3, 0.1), Target((50.0, 0.0, 0.0), (30.0,) * 3, 10.0))
    cases = [mark_case(SimulatedReader("r", 0.6, 1.0), pair, DECOYS, rng) for _ in range(500)]
    small = sum(mark.is_true and mark.centre_mm[0] < 25 for case in cases for mark in case)
    large = sum(mark.is_true and 25 < mark.centre_mm[0] < 400 for case in cases for mark in case)
    assert large > 1.5 * small
    sure = [m.likelihood for case in cases for m in case if m.is_true]
    unsure = [m.likelihood for case in cases for m in case if not m.is_true]
    assert np.mean(sure) - np.mean(unsure) == pytest.approx(1.5 * 15, abs=3)
    assert min(sure + unsure) >= 1
    assert max(sure + unsure) <= 100


def test_a_true_mark_covers_its_lesion_and_a_false_one_lies_on_a_decoy() -> None:
    rng = np.random.default_rng(4)
    marks = mark_case(SimulatedReader("r", 1.0, 5.0, jitter_mm=50.0), targets(rng, 6), DECOYS, rng)
    assert sum(mark.is_true for mark in marks) == 6
    for number, mark in enumerate(m for m in marks if m.is_true):
        np.testing.assert_allclose(mark.centre_mm, (10.0 * number, 0, 0), atol=np.array([2.0, 2.5, 3.0]).max() + 0.05)
    places = {tuple(np.round(place, 1)) for place in DECOYS}
    assert {mark.centre_mm for mark in marks if not mark.is_true} <= places


def test_no_lesion_no_true_mark_and_no_decoy_no_false_one() -> None:
    rng = np.random.default_rng(4)
    assert mark_case(SimulatedReader("r", 0.9, 0.0), (), DECOYS, rng) == ()
    assert mark_case(SimulatedReader("r", 0.0, 9.0), targets(rng, 3), np.empty((0, 3)), rng) == ()


def test_impossible_readers_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"sensitivity from 0 to 1 and no negative number.*got sensitivity 1.2, .*; remedy"
    ):
        SimulatedReader("r", 1.2, 0.0)
    with pytest.raises(UsageError, match="-1 false marks a case"):
        SimulatedReader("r", 0.5, -1.0)
