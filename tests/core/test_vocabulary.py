import re

import pytest

from osteomet.core.vocabulary import (
    COLUMN,
    LIU2021_STRUCTURES,
    NAMES_BY_CONVENTION,
    STRUCTURES,
    Group,
    LabelConvention,
    ids_from,
    ids_to,
    totalsegmentator_name,
)

# SNOMED CT codes of C1 … L5 as the DICOM standard lists them.
# fmt: off
VERTEBRA_CODES = [
    "14806007", "39976000", "113205007", "5329002", "36978003", "36054005", "87391001", "64864005", "53733008",
    "1626008", "73071006", "56401006", "45296009", "62487009", "11068009", "82687006", "7610001", "12989004",
    "23215003", "66794005", "14293000", "36470004", "11994002", "49668003",
]
# fmt: on
NUMBERED = [name for name in COLUMN if name not in ("T13", "L6")]


def test_ids_and_names_are_unique() -> None:
    ids = [structure.id for structure in STRUCTURES.values()]
    assert len(set(ids)) == len(ids)
    assert min(ids) == 1
    assert max(ids) <= 255
    assert ids == sorted(ids)
    assert all(structure.name == name for name, structure in STRUCTURES.items())


def test_colours_are_bytes_and_tell_structures_apart() -> None:
    colours = [structure.rgb for structure in STRUCTURES.values()]
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)
    assert len(set(colours)) == len(colours)


def test_the_column_is_numbered_as_in_verse() -> None:
    assert [STRUCTURES[name].id for name in NUMBERED] == list(range(1, 25))
    assert {name: STRUCTURES[name].id for name in ("L6", "sacrum", "coccyx", "T13")} == {
        "L6": 25,
        "sacrum": 26,
        "coccyx": 27,
        "T13": 28,
    }


def test_snomed_codes() -> None:
    assert [STRUCTURES[name].snomed for name in NUMBERED] == VERTEBRA_CODES
    others = {"sacrum": "54735007", "hip_left": "29836001", "ilium_right": "22356005", "ischium_left": "85710004"}
    assert {name: STRUCTURES[name].snomed for name in others} == others
    assert all(re.fullmatch(r"\d{6,18}", s.snomed) for s in STRUCTURES.values() if s.snomed is not None)
    assert [s.name for s in STRUCTURES.values() if s.snomed is None] == ["L6", "T13", "vertebra"]


def test_groups() -> None:
    count = {group: sum(s.group is group for s in STRUCTURES.values()) for group in Group}
    assert count[Group.CERVICAL] == 7
    assert count[Group.THORACIC] == 13
    assert count[Group.LUMBAR] == 6
    assert count[Group.SACRAL] == 2


def test_the_eight_pelvic_structures_have_our_names() -> None:
    assert len(LIU2021_STRUCTURES) == 8
    names = [name for members in LIU2021_STRUCTURES.values() for name in members]
    assert set(names) <= set(STRUCTURES)
    assert len(set(names)) == len(names) == 6 + 2 + 6 * 2


@pytest.mark.parametrize("convention", LabelConvention)
def test_what_a_convention_can_express_comes_back(convention: LabelConvention) -> None:
    to, back = ids_to(convention), ids_from(convention)
    assert {back[foreign] for foreign in to.values()} == set(to)
    assert all(back[foreign] == ours for ours, foreign in to.items())
    assert set(back.values()) == set(to)


@pytest.mark.parametrize("convention", LabelConvention)
def test_foreign_ids_come_back_but_for_the_known_merger(convention: LabelConvention) -> None:
    to, back = ids_to(convention), ids_from(convention)
    changed = {foreign: to[ours] for foreign, ours in back.items() if to[ours] != foreign}
    # TotalSegmentator gives S1 an id of its own; it is part of our sacrum.
    assert changed == ({26: 25} if convention is LabelConvention.TOTALSEGMENTATOR else {})


@pytest.mark.parametrize(
    ("convention", "foreign", "name"),
    [
        (LabelConvention.VERSE, 1, "C1"),
        (LabelConvention.VERSE, 8, "T1"),
        (LabelConvention.VERSE, 19, "T12"),
        (LabelConvention.VERSE, 20, "L1"),
        (LabelConvention.VERSE, 25, "L6"),
        (LabelConvention.VERSE, 26, "sacrum"),
        (LabelConvention.VERSE, 28, "T13"),
        (LabelConvention.TOTALSPINESEG, 11, "C1"),
        (LabelConvention.TOTALSPINESEG, 17, "C7"),
        (LabelConvention.TOTALSPINESEG, 21, "T1"),
        (LabelConvention.TOTALSPINESEG, 32, "T12"),
        (LabelConvention.TOTALSPINESEG, 41, "L1"),
        (LabelConvention.TOTALSPINESEG, 45, "L5"),
        (LabelConvention.TOTALSPINESEG, 50, "sacrum"),
        (LabelConvention.TOTALSEGMENTATOR, 25, "sacrum"),
        (LabelConvention.TOTALSEGMENTATOR, 27, "L5"),
        (LabelConvention.TOTALSEGMENTATOR, 31, "L1"),
        (LabelConvention.TOTALSEGMENTATOR, 32, "T12"),
        (LabelConvention.TOTALSEGMENTATOR, 43, "T1"),
        (LabelConvention.TOTALSEGMENTATOR, 44, "C7"),
        (LabelConvention.TOTALSEGMENTATOR, 50, "C1"),
        (LabelConvention.TOTALSEGMENTATOR, 75, "femur_left"),
        (LabelConvention.TOTALSEGMENTATOR, 78, "hip_right"),
        (LabelConvention.TOTALSEGMENTATOR, 92, "rib_left_1"),
        (LabelConvention.TOTALSEGMENTATOR, 104, "rib_right_1"),
        (LabelConvention.TOTALSEGMENTATOR, 115, "rib_right_12"),
        (LabelConvention.TOTALSEGMENTATOR, 116, "sternum"),
    ],
)
def test_foreign_ids_at_the_ends_of_each_region(convention: LabelConvention, foreign: int, name: str) -> None:
    assert NAMES_BY_CONVENTION[convention][foreign] == name
    assert ids_from(convention)[foreign] == STRUCTURES[name].id


def test_class_names_of_totalsegmentator() -> None:
    assert totalsegmentator_name("C1") == "vertebrae_C1"
    assert totalsegmentator_name("sacrum") == "sacrum"
    assert totalsegmentator_name("femur_left") == "femur_left"
    assert totalsegmentator_name("T13") is None
    assert totalsegmentator_name("no such bone") is None
