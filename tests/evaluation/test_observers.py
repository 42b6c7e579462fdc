"""Annotation rounds by counts on an anisotropic grid, and the agreement of volumes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError, GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.evaluation.observers import RoundPair, compare_rounds, read_rounds, round_agreement, volume_agreement

GRID = Grid.from_spacing((6, 4, 2), (10.0, 5.0, 20.0))  # a voxel is 1 ml


def block(start: int, stop: int) -> NDArray[np.uint8]:
    mask = np.zeros(GRID.shape, dtype=np.uint8)
    mask[start:stop, 0, 0] = 3
    return mask


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_four_rounds_make_six_pairs() -> None:
    rounds = {"A1.1": block(0, 2), "A1.2": block(1, 3), "A2.1": block(0, 4), "A2.2": block(4, 6)}
    pairs = compare_rounds(rounds, GRID, case="c", patient="p")
    assert [(p.first, p.second, p.dice) for p in pairs] == [
        ("A1.1", "A1.2", 0.5),
        ("A1.1", "A2.1", pytest.approx(4 / 6)),
        ("A1.1", "A2.2", 0.0),
        ("A1.2", "A2.1", pytest.approx(4 / 6)),
        ("A1.2", "A2.2", 0.0),
        ("A2.1", "A2.2", 0.0),
    ]
    assert (pairs[1].first_ml, pairs[1].second_ml) == pytest.approx((2.0, 4.0))


@pytest.mark.parametrize(
    ("first", "second", "dice"),
    [
        (block(0, 0), block(0, 0), None),
        (block(0, 2), block(0, 0), 0.0),
        (block(0, 0), block(0, 2), 0.0),
        (block(0, 2), block(0, 2), 1.0),
    ],
    ids=["both empty", "second empty", "first empty", "perfect"],
)
def test_quartet(first: NDArray[np.uint8], second: NDArray[np.uint8], dice: float | None) -> None:
    (pair,) = compare_rounds({"A.1": first, "B.1": second}, GRID, case="c", patient="p")
    assert pair.dice == dice


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"round A2\.1 of case “c” differs in shape from its grid; got"):
        compare_rounds({"A2.1": np.zeros((2, 2, 2))}, GRID, case="c", patient="p")


def pair(case: str, dice: float | None, first_ml: float, second_ml: float, second: str = "A2.1") -> RoundPair:
    return RoundPair(case, case, "A1.1", second, dice, first_ml, second_ml)


def test_agreement_over_cases_by_hand() -> None:
    pairs = [pair("a", 0.8, 1, 2), pair("b", 0.9, 2, 2), pair("c", 1.0, 3, 5), pair("d", None, 0, 0)]
    pairs += [pair("a", 1.0, 1, 1, "A1.2")]
    inter, intra = round_agreement(pairs, rng=rng(), n_draws=500)
    assert (inter.first, inter.second, inter.kind) == ("A1.1", "A2.1", "inter-observer")
    assert (inter.n_cases, inter.n_both_empty) == (4, 1)
    assert inter.dice.value == pytest.approx(0.9)
    assert inter.dice_sd == pytest.approx(0.1)
    assert inter.dice.low is not None
    assert 0.8 <= inter.dice.low < 0.9
    assert inter.volume.bland_altman.bias.value == pytest.approx(0.75)  # 1, 0, 2, 0
    assert (inter.volume.mean_first_ml, inter.volume.mean_second_ml) == (1.5, 2.25)
    assert (intra.kind, intra.n_cases, intra.dice.value, intra.dice_sd) == ("intra-observer", 1, 1.0, None)
    assert intra.volume.icc.value is None


def test_nothing_annotated_in_any_case() -> None:
    (result,) = round_agreement([pair("a", None, 0, 0), pair("b", None, 0, 0)], rng=rng())
    assert (result.dice.value, result.dice_sd, result.n_both_empty) == (None, None, 2)
    assert round_agreement([], rng=rng()) == ()


def test_interval_resamples_patients() -> None:
    """Two patients of two equal cases each: a draw is one of three means, as with two patients of one case."""
    twice = [RoundPair(f"{p}{i}", p, "A.1", "B.1", d, 1, 1) for p, d in (("p", 0.4), ("q", 0.8)) for i in (0, 1)]
    once = [p for p in twice if p.case.endswith("0")]
    (a,), (b,) = round_agreement(twice, rng=rng(), n_draws=300), round_agreement(once, rng=rng(), n_draws=300)
    assert a.dice == b.dice


def test_rounds_that_are_refused() -> None:
    with pytest.raises(InputError, match=r"a round has no number; expected OBSERVER.NUMBER, such as A1.2; got 'first'"):
        round_agreement([RoundPair("a", "a", "first", "A2.1", 1.0, 1, 1)], rng=rng())
    with pytest.raises(InputError, match=r"case “a” stands twice among A1.1 against A2.1"):
        round_agreement([pair("a", 1.0, 1, 1), pair("a", 1.0, 1, 1)], rng=rng())


def test_volumes_of_hand_and_model() -> None:
    result = volume_agreement([1, 2, 3, 4], [2, 2, 5, 5])
    assert result.bland_altman.bias.value == 1.0
    assert result.bland_altman.upper.value == pytest.approx(1 + 1.959964 * (2 / 3) ** 0.5)
    # sums of squares 16 = 13 (cases, 3 df) + 2 (observers, 1 df) + 1 (rest, 3 df): (13 - 1)/3 over 14/3 + 2 (2 - 1/3)/4
    assert result.icc.value == pytest.approx(8 / 11)
    empty = volume_agreement([], [])
    assert (empty.mean_first_ml, empty.bland_altman.bias.value, empty.icc.value) == (None, None, None)


def test_table_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "rounds.csv"
    head = "case,patient,first,second,dice,first_ml,second_ml\n"
    path.write_text(head + "a,P,A1.1,A2.1,0.9,1.5,2\na,P,A1.1,A1.2,,0,0\n")
    assert read_rounds(path) == (
        RoundPair("a", "P", "A1.1", "A2.1", 0.9, 1.5, 2.0),
        RoundPair("a", "P", "A1.1", "A1.2", None, 0.0, 0.0),
    )
    path.write_text(head + "a,P,A1.1,A2.1,90,1.5,2\n")
    with pytest.raises(DatasetError, match=r"line 2: a Dice lies in 0–1 and a volume is not negative; got 90\.0"):
        read_rounds(path)
    path.write_text(head + "a,P,A1.1,A2.1,0.9,1,2\n" * 2)
    with pytest.raises(DatasetError, match=r"line 3: the pair “a, A1.1, A2.1” stands twice; got first on line 2"):
        read_rounds(path)
