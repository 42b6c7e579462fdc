"""Names, ids, codes and colours of the structures that osteomet knows, and the ids that other tools give them.

Our ids follow VerSe for the column (1–7 cervical, 8–19 thoracic, 20–25 lumbar, 26 sacrum, 27 coccyx, 28 T13), so that
the largest public vertebra data set needs no conversion.

References
----------
Sekuboyina A. et al. VerSe: a vertebrae labelling and segmentation benchmark. https://doi.org/10.1016/j.media.2021.102166
Wasserthal J. et al. TotalSegmentator. https://doi.org/10.1148/ryai.230024
SNOMED CT codes as in DICOM PS3.16 (CID 4, CID 4031); a structure whose own code the DICOM dictionary lacks has the
code of the nearest structure that holds it, or none.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class LesionType(StrEnum):
    """How a metastasis changes bone: CT types, and marrow replacement on MR."""

    LYTIC = "lytic"
    SCLEROTIC = "sclerotic"
    MIXED = "mixed"
    MARROW = "marrow"


class SequenceRole(StrEnum):
    """What a series is for, independent of its vendor's name."""

    CT = "CT"
    T1 = "T1"
    T1_IP = "T1-IP"
    FO = "FO"
    CE = "CE"
    T2 = "T2"
    STIR = "STIR"
    DWI = "DWI"
    ADC = "ADC"
    DYNAMIC = "dynamic"


class Group(StrEnum):
    """Region of the skeleton."""

    CERVICAL = "cervical"
    THORACIC = "thoracic"
    LUMBAR = "lumbar"
    SACRAL = "sacral"
    PELVIS = "pelvis"
    FEMUR = "femur"
    THORAX = "thorax"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Structure:
    """One bone, or part of a bone, that a label can stand for.

    ``snomed`` is the SNOMED CT code (None where none is known), ``rgb`` the display colour, each channel 0–255.
    """

    name: str
    id: int
    group: Group
    display: str
    snomed: str | None
    rgb: tuple[int, int, int]


CERVICAL = tuple(f"C{n}" for n in range(1, 8))
THORACIC = tuple(f"T{n}" for n in range(1, 13))
LUMBAR = tuple(f"L{n}" for n in range(1, 6))
COLUMN = (*CERVICAL, *THORACIC, "T13", *LUMBAR, "L6")
"""Every vertebra name from head to foot, numbering variants included."""

SUBSITES = (
    "body",
    "pedicle_left",
    "pedicle_right",
    "lamina",
    "facet_left",
    "facet_right",
    "transverse_process_left",
    "transverse_process_right",
    "spinous_process",
    "posterior_left",
    "posterior_right",
)
"""Parts of a vertebra; ``posterior_left`` and ``posterior_right`` stand for an arch whose parts are not told apart."""

# fmt: off
_VERTEBRA_CODES = {
    "C1": "14806007", "C2": "39976000", "C3": "113205007", "C4": "5329002", "C5": "36978003", "C6": "36054005",
    "C7": "87391001", "T1": "64864005", "T2": "53733008", "T3": "1626008", "T4": "73071006", "T5": "56401006",
    "T6": "45296009", "T7": "62487009", "T8": "11068009", "T9": "82687006", "T10": "7610001", "T11": "12989004",
    "T12": "23215003", "L1": "66794005", "L2": "14293000", "L3": "36470004", "L4": "11994002", "L5": "49668003",
}
# fmt: on
_HIP, _PROXIMAL_FEMUR, _RIB = "29836001", "310651003", "113197003"
_PAIRED = (
    ("ilium", 31, Group.PELVIS, "22356005"),
    ("acetabulum", 33, Group.PELVIS, "37783008"),
    ("ischium", 35, Group.PELVIS, "85710004"),
    ("pubis", 37, Group.PELVIS, _HIP),
    ("femoral_head", 39, Group.FEMUR, "2812003"),
    ("femoral_neck", 41, Group.FEMUR, _PROXIMAL_FEMUR),
    ("femur", 43, Group.FEMUR, "71341001"),
    ("hip", 45, Group.PELVIS, _HIP),
)
_DISPLAY = {"hip": "hip bone"}


def _colour(index: int) -> tuple[int, int, int]:
    """Colours whose hues step by the golden ratio, so that neighbours differ."""
    r, g, b = colorsys.hsv_to_rgb((index * 0.61803398875) % 1.0, 0.55 + 0.15 * (index % 3), 0.95)
    return round(r * 255), round(g * 255), round(b * 255)


def _structure(name: str, id_: int, group: Group, snomed: str | None, display: str | None = None) -> Structure:
    return Structure(name, id_, group, display or name, snomed, _colour(id_))


def _build() -> dict[str, Structure]:
    """Assemble the table once."""
    rows = [_structure(n, i, Group.CERVICAL, _VERTEBRA_CODES[n]) for i, n in enumerate(CERVICAL, start=1)]
    rows += [_structure(n, i, Group.THORACIC, _VERTEBRA_CODES[n]) for i, n in enumerate(THORACIC, start=8)]
    rows += [_structure(n, i, Group.LUMBAR, _VERTEBRA_CODES[n]) for i, n in enumerate(LUMBAR, start=20)]
    rows += [
        _structure("L6", 25, Group.LUMBAR, None),
        _structure("sacrum", 26, Group.SACRAL, "54735007"),
        _structure("coccyx", 27, Group.SACRAL, "64688005"),
        _structure("T13", 28, Group.THORACIC, None),
        _structure("vertebra", 29, Group.UNKNOWN, None, "vertebra, level not determined"),
    ]
    for stem, id_, group, code in _PAIRED:
        for offset, side in enumerate(("left", "right")):
            display = f"{side} {_DISPLAY.get(stem, stem.replace('_', ' '))}"
            rows.append(_structure(f"{stem}_{side}", id_ + offset, group, code, display))
    rows += [
        _structure("sternum", 50, Group.THORAX, "56873002"),
        _structure("rib", 70, Group.THORAX, _RIB, "rib, number not determined"),
    ]
    for offset, side in ((50, "left"), (70, "right")):
        rows += [_structure(f"rib_{side}_{n}", offset + n, Group.THORAX, _RIB, f"{side} rib {n}") for n in range(1, 14)]
    return {row.name: row for row in sorted(rows, key=lambda row: row.id)}


STRUCTURES: Mapping[str, Structure] = MappingProxyType(_build())
"""Every structure by name, in order of id."""

SEARCHED_GROUPS = frozenset(Group) - {Group.THORAX}
"""Where lesions are looked for: spine, pelvis and thighs. Ribs, thin and curved, would give most of the false calls."""

SEARCHED_IDS = tuple(s.id for s in STRUCTURES.values() if s.group in SEARCHED_GROUPS)
"""Labels of the bones that are searched for lesions."""

LIU2021_STRUCTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lumbar_vertebra": (*LUMBAR, "L6"),
        "sacrococcyx": ("sacrum", "coccyx"),
        **{
            stem: (f"{stem}_left", f"{stem}_right")
            for stem in ("ilium", "acetabulum", "femoral_head", "femoral_neck", "ischium", "pubis")
        },
    }
)
"""The eight pelvic structures of Liu et al. 2021 (https://doi.org/10.3389/fonc.2021.773299) in our names."""


class LabelConvention(StrEnum):
    """Whose ids a label map carries."""

    VERSE = "verse"
    TOTALSPINESEG = "totalspineseg"
    TOTALSEGMENTATOR = "totalsegmentator"


def _verse() -> dict[int, str]:
    return {s.id: s.name for s in STRUCTURES.values() if s.id <= 28}


def _totalspineseg() -> dict[int, str]:
    ids = {11 + n: name for n, name in enumerate(CERVICAL)}
    ids |= {21 + n: name for n, name in enumerate(THORACIC)}
    ids |= {41 + n: name for n, name in enumerate(LUMBAR)}
    return ids | {50: "sacrum"}


def _totalsegmentator() -> dict[int, str]:
    ids = {25: "sacrum", 26: "sacrum"}
    ids |= {27 + n: name for n, name in enumerate(reversed((*CERVICAL, *THORACIC, *LUMBAR)))}
    ids |= {75: "femur_left", 76: "femur_right", 77: "hip_left", 78: "hip_right", 116: "sternum"}
    ids |= {91 + n: f"rib_left_{n}" for n in range(1, 13)}
    return ids | {103 + n: f"rib_right_{n}" for n in range(1, 13)}


NAMES_BY_CONVENTION: Mapping[LabelConvention, Mapping[int, str]] = MappingProxyType(
    {
        LabelConvention.VERSE: MappingProxyType(_verse()),
        LabelConvention.TOTALSPINESEG: MappingProxyType(_totalspineseg()),
        LabelConvention.TOTALSEGMENTATOR: MappingProxyType(_totalsegmentator()),
    }
)
"""Our name of each foreign id. VerSe ids are shared by SPINEPS; TotalSegmentator 26 is S1, part of our sacrum."""


def ids_from(convention: LabelConvention) -> dict[int, int]:
    """Our id of each foreign id; foreign ids outside the table have no bone of ours and are left out.

    Examples
    --------
    >>> ids_from(LabelConvention.TOTALSEGMENTATOR)[27] == STRUCTURES["L5"].id
    True
    """
    return {foreign: STRUCTURES[name].id for foreign, name in NAMES_BY_CONVENTION[convention].items()}


def ids_to(convention: LabelConvention) -> dict[int, int]:
    """Foreign id of each of our ids that the convention can express, the lowest where several stand for one of ours.

    Examples
    --------
    >>> ids_to(LabelConvention.TOTALSPINESEG)[STRUCTURES["C1"].id]
    11
    """
    table: dict[int, int] = {}
    for foreign, name in sorted(NAMES_BY_CONVENTION[convention].items()):
        table.setdefault(STRUCTURES[name].id, foreign)
    return table


def totalsegmentator_name(name: str) -> str | None:
    """TotalSegmentator's class name of one of our structures, or None where it has no such class.

    Examples
    --------
    >>> totalsegmentator_name("L5"), totalsegmentator_name("hip_left"), totalsegmentator_name("coccyx")
    ('vertebrae_L5', 'hip_left', None)
    """
    if name not in NAMES_BY_CONVENTION[LabelConvention.TOTALSEGMENTATOR].values():
        return None
    return f"vertebrae_{name}" if name in COLUMN else name
