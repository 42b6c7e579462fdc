from collections.abc import Sequence

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.inference import numbering
from osteomet.inference.numbering import CERTAIN, Column, Numbering, number_vertebrae

PITCH_MM = numbering._PITCH_MM
USUAL = [name for name in PITCH_MM if name not in ("T13", "L6")]


def span(first: str, last: str, *, present: Sequence[str] = USUAL) -> list[str]:
    return list(present[present.index(first) : present.index(last) + 1])


def column(
    names: Sequence[str],
    *,
    sacrum: bool = False,
    present: Sequence[str] = USUAL,
    looks: dict[str, tuple[float, float, float]] | None = None,
    stature: float = 1.0,
    ribs: bool = True,
) -> Column:
    """Evidence of seeing ``names`` in a patient who has the levels ``present``, with clean votes save for ``looks``."""
    pitch = np.array([PITCH_MM[name] for name in present]) * stature
    centre = dict(zip(present, np.cumsum(pitch) - pitch / 2, strict=True))
    votes = [(looks or {}).get(name, tuple(float(name[0] == region) for region in "CTL")) for name in names]
    to_sacrum = pitch.sum() + 6 * stature - centre[names[-1]]
    return Column(
        votes=np.array(votes, dtype=np.float64).reshape(-1, 3),
        spacing_mm=np.diff([centre[name] for name in names]),
        sacrum_mm=float(to_sacrum) if sacrum else None,
        rib_sides=np.array([2 * (name[0] == "T") for name in names]) if ribs else None,
    )


def check(found: Numbering, names: Sequence[str], *, certain: bool) -> None:
    assert list(found.names) == list(names)
    assert (min(found.confidences) >= CERTAIN) == certain
    assert (found.abstention is None) == certain


@pytest.mark.parametrize("stature", [0.8, 1.0, 1.2])
@pytest.mark.parametrize(("first", "last"), [("C2", "L5"), ("T4", "L5"), ("L1", "L5"), ("L3", "L5"), ("L5", "L5")])
def test_counted_up_from_the_sacrum(first: str, last: str, stature: float) -> None:
    names = span(first, last)
    check(number_vertebrae(column(names, sacrum=True, stature=stature)), names, certain=True)


@pytest.mark.parametrize(("first", "last"), [("T6", "L3"), ("T11", "L2"), ("C4", "T6"), ("C2", "L5")])
def test_named_from_a_junction(first: str, last: str) -> None:
    names = span(first, last)
    check(number_vertebrae(column(names)), names, certain=True)


@pytest.mark.parametrize("missing", ["L2", "L5", "T12", "T9", "L1"])
def test_a_vertebra_not_found_leaves_a_gap_in_the_names(missing: str) -> None:
    names = [name for name in span("T8", "L5") if name != missing]
    check(number_vertebrae(column(names, sacrum=True)), names, certain=True)


def test_two_vertebrae_in_a_row_not_found() -> None:
    names = [name for name in span("T8", "L5") if name not in ("L2", "L3")]
    check(number_vertebrae(column(names, sacrum=True)), names, certain=True)


def test_four_thoracic_vertebrae_are_a_best_guess() -> None:
    found = number_vertebrae(column(span("T5", "T8")))
    assert [name[0] for name in found.names] == ["T"] * 4
    levels = [int(name[1:]) for name in found.names]
    assert levels == list(range(levels[0], levels[0] + 4))
    assert max(found.confidences) < 0.5
    assert found.abstention is not None
    assert found.abstention.code == "numbering_uncertain"
    assert "could be off by one level or more: no sacrum is seen" in found.abstention.reason


def test_one_contrary_vote_does_not_move_the_column() -> None:
    looks = {"T12": (0.0, 0.1, 0.9), "T5": (0.0, 0.0, 1.0)}
    found = number_vertebrae(column(span("C4", "L5"), sacrum=True, looks=looks))
    check(found, span("C4", "L5"), certain=True)


def test_a_junction_that_the_network_cannot_place_is_not_certain() -> None:
    looks = {"T12": (0.0, 0.5, 0.5)}
    found = number_vertebrae(column(span("T8", "L3"), looks=looks, ribs=False))
    assert list(found.names) in (span("T8", "L3"), span("T7", "L2"))
    assert found.abstention is not None
    assert "L1" in found.abstention.reason or "T12" in found.abstention.reason


def test_noise_in_all_votes() -> None:
    rng = np.random.default_rng(5)
    clean = column(span("T3", "L5"), sacrum=True)
    for _ in range(10):
        noisy = 0.65 * clean.votes + 0.35 * rng.dirichlet((1, 1, 1), len(clean.votes))
        spacing = clean.spacing_mm * np.exp(rng.normal(0, 0.08, len(clean.spacing_mm)))
        assert list(number_vertebrae(Column(noisy, spacing, clean.sacrum_mm, clean.rib_sides)).names) == span(
            "T3", "L5"
        )


def test_a_whole_column_shows_its_variants() -> None:
    six = [*USUAL, "L6"]
    check(number_vertebrae(column(six, present=six, sacrum=True)), six, certain=True)
    thirteen = [*span("C2", "T12"), "T13", *span("L1", "L5")]
    check(number_vertebrae(column(thirteen, present=thirteen, sacrum=True)), thirteen, certain=True)
    eleven = [name for name in USUAL if name != "T12"]
    assert list(number_vertebrae(column(eleven, present=eleven, sacrum=True)).names) == eleven
    four = [name for name in USUAL if name != "L5"]
    assert list(number_vertebrae(column(four, present=four, sacrum=True)).names) == four


def test_a_sixth_lumbar_vertebra_in_part_of_the_column_is_not_certain() -> None:
    six = [*USUAL, "L6"]
    found = number_vertebrae(column([*span("T10", "L5"), "L6"], present=six, sacrum=True))
    assert found.abstention is not None
    assert "does not agree with the usual count" in found.abstention.reason


def test_confidence_is_a_probability() -> None:
    """Three thoracic vertebrae, nothing else: ten places fit about as well, so each name has about a tenth."""
    found = number_vertebrae(column(span("T6", "T8")))
    assert all(1 / 13 < confidence < 0.35 for confidence in found.confidences)


def test_empty_column() -> None:
    nothing = Column(np.zeros((0, 3)), np.zeros(0), None, None)
    assert number_vertebrae(nothing) == Numbering((), (), None)


def test_more_than_any_column_has() -> None:
    many = Column(np.tile([0.0, 1.0, 0.0], (26, 1)), np.full(25, 20.0), None, None)
    with pytest.raises(InputError, match="more vertebrae were found than a column has; expected ≤ 25; got 26"):
        number_vertebrae(many)


def test_the_most_that_a_column_has() -> None:
    present = [*span("C2", "T12"), "T13", *span("L1", "L5"), "L6"]
    assert list(number_vertebrae(column(present, present=present)).names) == present
