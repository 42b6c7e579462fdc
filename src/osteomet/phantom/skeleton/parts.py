"""Part codes: which sub-region of its bone a voxel belongs to, and the finer structure that owner and part make."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, SUBSITES

_VERTEBRAL = SUBSITES[:9]
_HIP = ("acetabulum", "ilium", "ischium", "pubis")
_FEMORAL = ("femoral_head", "femoral_neck", "femur")
_SIDES = ("left", "right")
N_RIBS = 13

PARTS: Mapping[str, int] = MappingProxyType(
    {
        **{name: code for code, name in enumerate(_VERTEBRAL, start=1)},
        **{name: code for code, name in enumerate(_HIP, start=20)},
        **{name: code for code, name in enumerate(_FEMORAL, start=30)},
        **{f"rib_left_{n}": 40 + n for n in range(1, N_RIBS + 1)},
        **{f"rib_right_{n}": 60 + n for n in range(1, N_RIBS + 1)},
    }
)
"""Code of every part by name; 0 is a bone without parts. Codes of different bones differ. Of the atlas the anterior
arch counts as body and the lateral masses as facets; the dens is part of the body of the axis."""
BODY = PARTS["body"]


def is_posterior(part: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each voxel belongs to the arch or a process of a vertebra."""
    return (part > BODY) & (part <= PARTS["spinous_process"])


def structure_table() -> NDArray[np.uint8]:
    """Vocabulary id of the finest structure by owner and part, shape (256, 256).

    Hip bones divide into ilium, acetabulum, ischium and pubis, femora into head, neck and the rest, ribs by number;
    every other bone stays itself.

    Examples
    --------
    >>> table = structure_table()
    >>> int(table[STRUCTURES["hip_left"].id, PARTS["pubis"]]) == STRUCTURES["pubis_left"].id
    True
    """
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 256, axis=1)
    for side in _SIDES:
        for bone, parts in (("hip", _HIP), ("femur", _FEMORAL)):
            for part in parts:
                table[STRUCTURES[f"{bone}_{side}"].id, PARTS[part]] = STRUCTURES[f"{part}_{side}"].id
        for n in range(1, N_RIBS + 1):
            name = f"rib_{side}_{n}"
            table[STRUCTURES["rib"].id, PARTS[name]] = STRUCTURES[name].id
    return table


def whole_bones() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Hip bone or femur that each structure is a part of, itself for all others, and the code of the part, by id.

    Examples
    --------
    >>> whole, part = whole_bones()
    >>> pubis = STRUCTURES["pubis_left"].id
    >>> int(whole[pubis]) == STRUCTURES["hip_left"].id, int(part[pubis]) == PARTS["pubis"]
    (True, True)
    """
    whole, codes = np.arange(256, dtype=np.uint8), np.zeros(256, dtype=np.uint8)
    for side in _SIDES:
        for bone, parts in (("hip", _HIP), ("femur", _FEMORAL[:2])):
            for part in parts:
                whole[STRUCTURES[f"{part}_{side}"].id] = STRUCTURES[f"{bone}_{side}"].id
                codes[STRUCTURES[f"{part}_{side}"].id] = PARTS[part]
    return whole, codes
