"""Read a map of bones whoever made it, with its labels as our ids.

What the labels mean is told by the first of these that says so:

1. ``labels.json`` with ``{"convention": "verse"}`` (or ``totalspineseg``, ``totalsegmentator``) beside the file;
2. names, in the file itself or in ``labels.json`` or ``dataset.json`` beside it: ours, or class names of
   TotalSegmentator;
3. the labels themselves, where one convention alone explains them: it knows them all, its vertebrae follow each other
   from head to foot without a gap, its left bones lie to the left of its right ones, and no other convention that fits
   takes as many of them for bones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import FormatError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import COLUMN, NAMES_BY_CONVENTION, STRUCTURES, LabelConvention
from osteomet.core.volume import LabelMap, present_labels
from osteomet.io.formats import read_labels

BONE_LABELS: Mapping[str, int] = MappingProxyType({s.name: s.id for s in STRUCTURES.values()})
"""Label of every bone in the maps that `read_bones` returns."""

_SACRAL_NAMES = ("s1", "s2", "s3", "s4", "s5")
_SKIPPED_LEVELS = {"T12", "T13", "L5", "L6"}
# Labels of each convention that stand for no bone: discs, end plates, canal, cord, organs.
_NOT_BONE: Mapping[LabelConvention, frozenset[int]] = MappingProxyType(
    {
        LabelConvention.VERSE: frozenset((*range(60, 64), *range(100, 129), *range(200, 229))),
        LabelConvention.TOTALSPINESEG: frozenset((1, 2, *range(60, 101))),
        LabelConvention.TOTALSEGMENTATOR: frozenset(range(1, 118)),
    }
)
_REMEDY = 'write labels.json beside it, such as {"convention": "totalspineseg"} or {"L1": 41, "L2": 42}'


def bone_name(text: str) -> str | None:
    """Our name of a bone by a name of ours, of TotalSegmentator, or a sacral level; None for anything else.

    Examples
    --------
    >>> bone_name("vertebrae_L5"), bone_name("hip_left"), bone_name("S1"), bone_name("liver")
    ('L5', 'hip_left', 'sacrum', None)
    """
    short = text.strip().lower().replace(" ", "_").removeprefix("vertebrae_").removeprefix("vertebra_")
    if short in _SACRAL_NAMES:
        return "sacrum"
    return short.upper() if short.upper() in COLUMN else short if short in STRUCTURES else None


def read_bones(path: Path) -> LabelMap:
    """Read a label map of bones; everything that is not bone becomes background.

    Returns
    -------
    LabelMap
        uint8, with `BONE_LABELS`.

    Raises
    ------
    FormatError
        If the labels explain themselves by no convention or by several, or no bone is in the map. And whatever
        `osteomet.io.formats.read_labels` raises.
    """
    labels = read_labels(path)
    present = labels.present()
    if not present:
        raise FormatError(
            f"{path}: the label map of bones is empty",
            expected="bones labelled above 0",
            got="0 everywhere",
            remedy="segment the bones first",
        )
    convention = _stated_convention(path.parent)
    named = {label: bone_name(name) for name, label in present.items()}
    if convention is not None:
        table: Mapping[int, str | None] = NAMES_BY_CONVENTION[convention]
    elif any(named.values()):
        table = named
    elif all(name == f"label_{label}" for name, label in present.items()):
        table = _recognised(path, labels.array, labels.grid)
    else:
        table = {}
    array = _translated(labels.array, table)
    if not array.any():
        got = ", ".join(list(present)[:8])
        raise FormatError(
            f"{path} holds no bone that osteomet knows",
            expected="vertebrae, sacrum, hip bones, femora, ribs or sternum",
            got=f"labels {got}",
            remedy=_REMEDY,
        )
    return LabelMap(array, labels.grid, BONE_LABELS)


def _stated_convention(folder: Path) -> LabelConvention | None:
    """Read ``{"convention": NAME}`` from labels.json, None where it says nothing of the kind."""
    path = folder / "labels.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as JSON", got=str(error)) from error
    if not isinstance(content, dict) or "convention" not in content:
        return None
    try:
        return LabelConvention(content["convention"])
    except ValueError as error:
        raise FormatError(
            f"{path} names a label convention that osteomet does not know",
            expected=" or ".join(LabelConvention),
            got=str(content["convention"]),
        ) from error


def _recognised(path: Path, array: NDArray[Any], grid: Grid) -> Mapping[int, str]:
    """Find the one convention that explains the labels."""
    present = present_labels(array)
    centres = dict(zip(present, _centres(array, present, grid), strict=True))
    tables = {"osteomet": {s.id: s.name for s in STRUCTURES.values()}} | {
        convention.value: NAMES_BY_CONVENTION[convention] for convention in LabelConvention
    }
    fitting = {}
    for name, table in tables.items():
        ignored = _NOT_BONE[LabelConvention(name)] if name != "osteomet" else frozenset()
        known = {table[label]: centres[label] for label in present if label in table}
        is_enough = len(known) >= min(2, len(present))
        if is_enough and all(label in table or label in ignored for label in present) and _plausible(known):
            fitting[name] = {label: table[label] for label in present if label in table}
    most = max(map(len, fitting.values()), default=0)
    fitting = {name: found for name, found in fitting.items() if len(found) == most}
    if len({tuple(sorted(found.items())) for found in fitting.values()}) != 1:
        raise FormatError(
            f"what the labels of {path} mean cannot be told",
            expected=f"labels that one convention alone explains ({', '.join(tables)}), or names",
            got=f"labels {present[:12]}, which fit {' and '.join(fitting) or 'none'}",
            remedy=_REMEDY,
        )
    return next(iter(fitting.values()))


def _centres(array: NDArray[Any], labels: list[int], grid: Grid) -> list[NDArray[np.float64]]:
    """Centre of each label, LPS mm."""
    found = ndimage.find_objects(array)
    centres = []
    for label in labels:
        box = found[label - 1]
        index = np.argwhere(array[box] == label).mean(axis=0) + [part.start for part in box]
        centres.append(grid.to_xyz_mm(index))
    return centres


def _plausible(centres: Mapping[str, NDArray[np.float64]]) -> bool:
    """Whether vertebrae descend without a gap, and pairs lie on their sides."""
    levels = [name for name in COLUMN if name in centres]
    places = [COLUMN.index(name) for name in levels]
    gaps = [set(COLUMN[a + 1 : b]) - _SKIPPED_LEVELS for a, b in pairwise(places)]
    column = [centres[name][2] for name in (*levels, "sacrum", "coccyx") if name in centres]
    descends = all(low < high for high, low in pairwise(column))
    sides = [
        (xyz[0], centres[name.replace("left", "right")][0])
        for name, xyz in centres.items()
        if "left" in name and name.replace("left", "right") in centres
    ]
    return not any(gaps) and descends and all(left > right for left, right in sides)


def _translated(array: NDArray[Any], table: Mapping[int, str | None]) -> NDArray[np.uint8]:
    """Replace each label by our id of the bone it stands for, and by 0 where it stands for none."""
    lookup = np.zeros(int(array.max()) + 1, dtype=np.uint8)
    for label, name in table.items():
        if name is not None and label < len(lookup):
            lookup[label] = STRUCTURES[name].id
    return np.asarray(lookup[array])
