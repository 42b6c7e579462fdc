from dataclasses import replace

import pytest

from osteomet.core.errors import InputError
from osteomet.core.findings import PartStatus
from osteomet.core.vocabulary import COLUMN, LesionType
from osteomet.lesions.sins import Alignment, EnteredSins, LevelEvidence, Pain, categorise, score_level

LYTIC, MIXED, SCLEROTIC, MARROW = LesionType.LYTIC, LesionType.MIXED, LesionType.SCLEROTIC, LesionType.MARROW
NONE, LEFT, BOTH = frozenset[str](), frozenset({"left"}), frozenset({"left", "right"})
POTENTIALLY = "potentially unstable"
KNOWN = EnteredSins(Pain.NONE, Alignment.NORMAL)
PLAIN = LevelEvidence("T5", (SCLEROTIC,), 0.0, 0.1, NONE, sides_known=True)

# Scored by hand: level, types, height loss, body involved, sides, pain, alignment, six parts, total, category.
SCORED = [
    # A sclerotic spot in a mid-thoracic body, no complaints: as stable as it gets outside the sacrum.
    (("T5", [SCLEROTIC], 0.0, 0.1, NONE, Pain.NONE, Alignment.NORMAL), (1, 0, 0, 0, 0, 0), 1, "stable"),
    # Lytic L2 with mechanical pain, a quarter lower, one pedicle.
    (("L2", [LYTIC], 0.25, 0.6, LEFT, Pain.MECHANICAL, Alignment.NORMAL), (2, 3, 2, 0, 2, 1), 10, POTENTIALLY),
    # Everything at its worst.
    (("T12", [LYTIC], 0.7, 0.9, BOTH, Pain.MECHANICAL, Alignment.SUBLUXATION), (3, 3, 2, 4, 3, 3), 18, "unstable"),
    # Odontoid: junctional, mixed, most of the body involved without collapse.
    (("C2", [MIXED], 0.0, 0.8, NONE, Pain.OCCASIONAL, Alignment.NORMAL), (3, 1, 1, 0, 1, 0), 6, "stable"),
    # Trap: L4 is mobile (2), not rigid; alignment and posterolateral count, collapse is measured.
    (("L4", [LYTIC], 0.5, 0.7, BOTH, Pain.NONE, Alignment.DEFORMITY), (2, 0, 2, 2, 3, 3), 12, POTENTIALLY),
    # One point above: the same with occasional pain.
    (("L4", [LYTIC], 0.5, 0.7, BOTH, Pain.OCCASIONAL, Alignment.DEFORMITY), (2, 1, 2, 2, 3, 3), 13, "unstable"),
    # C7 is junctional; a lytic and a sclerotic lesion together are mixed.
    (("C7", [LYTIC, SCLEROTIC], 0.1, 0.4, NONE, Pain.MECHANICAL, Alignment.NORMAL), (3, 3, 1, 0, 0, 0), 7, POTENTIALLY),
    # S2 is rigid.
    (("S2", [LYTIC], 0.0, 0.2, NONE, Pain.OCCASIONAL, Alignment.NORMAL), (0, 1, 2, 0, 0, 0), 3, "stable"),
    # T10 is semirigid although T11 is junctional; 49 % lower is under half.
    (("T10", [LYTIC], 0.49, 0.9, LEFT, Pain.NONE, Alignment.NORMAL), (1, 0, 2, 0, 2, 1), 6, "stable"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "points", "total", "category"), SCORED)
def test_scores_agree_with_those_by_hand(
    case: tuple[str, list[LesionType], float, float, frozenset[str], Pain, Alignment],
    points: tuple[int, ...],
    total: int,
    category: str,
) -> None:
    name, types, loss, involved, sides, pain, alignment = case
    evidence = LevelEvidence(name, tuple(types), loss, involved, sides, sides_known=True)
    sins = score_level(evidence, EnteredSins(pain, alignment))
    assert tuple(part.low for part in sins.parts) == points
    assert tuple(part.high for part in sins.parts) == points
    assert (sins.low, sins.high, sins.category) == (total, total, category)
    statuses = [part.status for part in sins.parts]
    measured, entered = PartStatus.MEASURED, PartStatus.ENTERED
    assert statuses == [measured, entered, measured, entered, measured, measured]


def test_every_level_has_its_region() -> None:
    expected = {3: "occiput C1 C2 C7 T1 T2 T11 T12 T13 L1 L5 L6 S1", 2: "C3 C4 C5 C6 L2 L3 L4", 0: "S2 S3 S4 S5"}
    expected[1] = "T3 T4 T5 T6 T7 T8 T9 T10"
    covered = []
    for points, names in expected.items():
        for name in names.split():
            part = score_level(replace(PLAIN, name=name), KNOWN).parts[0]
            assert (part.status, part.low, part.high) == (PartStatus.MEASURED, points, points), name
            covered.append(name)
    assert set(COLUMN) <= set(covered)


@pytest.mark.parametrize(("name", "low", "high"), [("sacrum", 0, 3), ("vertebra", 1, 3)])
def test_a_level_that_is_not_told_apart_has_a_range_of_points(name: str, low: int, high: int) -> None:
    part = score_level(replace(PLAIN, name=name), KNOWN).parts[0]
    assert (part.status, part.low, part.high) == (PartStatus.UNKNOWN, low, high)


def test_pain_and_alignment_are_unknown_unless_entered() -> None:
    sins = score_level(PLAIN, EnteredSins())
    assert [(part.status, part.low, part.high) for part in sins.parts[1::2]] == [
        (PartStatus.UNKNOWN, 0, 3),
        (PartStatus.UNKNOWN, 0, 4),
        (PartStatus.MEASURED, 0, 0),
    ]
    assert (sins.low, sins.high, sins.category) == (1, 8, "stable to potentially unstable")


@pytest.mark.parametrize(
    ("loss", "involved", "low", "high"),
    [
        (0.0, 0.0, 0, 0),
        (0.19, 0.49, 0, 0),
        (0.19, 0.51, 1, 1),
        (0.0, 0.5, 1, 1),
        (0.2, 0.0, 2, 2),
        (0.499, 1.0, 2, 2),
        (1 - 12 / 24, 0.0, 3, 3),
        (1 - 0.5000000000001, 0.0, 3, 3),
        (0.8, None, 3, 3),
        (0.0, None, 0, 1),
        (None, 0.2, 0, 3),
        (None, 0.5, 1, 3),
        (None, None, 0, 3),
    ],
)
def test_collapse_and_involvement(loss: float | None, involved: float | None, low: int, high: int) -> None:
    part = score_level(replace(PLAIN, height_loss=loss, body_involved=involved), KNOWN).parts[4]
    assert (part.low, part.high) == (low, high)
    assert part.status == (PartStatus.MEASURED if low == high else PartStatus.UNKNOWN)


def test_the_score_says_that_exactly_half_counts_as_more() -> None:
    assert "exactly 50 % counts as more" in score_level(replace(PLAIN, height_loss=0.5), KNOWN).parts[4].evidence
    assert "exactly" not in score_level(replace(PLAIN, height_loss=0.6), KNOWN).parts[4].evidence


@pytest.mark.parametrize(
    ("types", "low", "high"),
    [
        ((LYTIC,), 2, 2),
        ((LYTIC, LYTIC), 2, 2),
        ((SCLEROTIC,), 0, 0),
        ((MIXED,), 1, 1),
        ((LYTIC, SCLEROTIC), 1, 1),
        ((LYTIC, MIXED), 1, 1),
        ((MARROW,), 0, 2),
        ((MARROW, LYTIC), 0, 2),
    ],
)
def test_quality_of_all_lesions_of_a_level(types: tuple[LesionType, ...], low: int, high: int) -> None:
    part = score_level(replace(PLAIN, lesion_types=types), KNOWN).parts[2]
    assert (part.low, part.high) == (low, high)


@pytest.mark.parametrize(
    ("sides", "known", "low", "high"),
    [
        (NONE, True, 0, 0),
        (LEFT, True, 1, 1),
        (BOTH, True, 3, 3),
        (NONE, False, 0, 3),
        (LEFT, False, 1, 3),
        (BOTH, False, 3, 3),
    ],
)
def test_posterolateral_involvement(sides: frozenset[str], known: bool, low: int, high: int) -> None:
    part = score_level(replace(PLAIN, sides=sides, sides_known=known), KNOWN).parts[5]
    assert (part.low, part.high) == (low, high)


def test_categories_change_at_7_and_13() -> None:
    names = [categorise(points, points) for points in range(19)]
    assert names == ["stable"] * 7 + ["potentially unstable"] * 6 + ["unstable"] * 6
    assert categorise(6, 7) == "stable to potentially unstable"
    assert categorise(12, 13) == "potentially unstable to unstable"
    assert categorise(0, 18) == "stable to unstable"


def test_levels_without_lesion_or_outside_the_spine_are_refused() -> None:
    with pytest.raises(InputError, match="levels with lesions only; got T5"):
        score_level(replace(PLAIN, lesion_types=()), KNOWN)
    with pytest.raises(InputError, match=r"SINS does not cover this level; .* got 'hip_left'"):
        score_level(replace(PLAIN, name="hip_left"), KNOWN)
