"""Where the vertebrae lie, so that overview pictures can follow the column and name its levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osteomet.core.findings import Findings
from osteomet.core.vocabulary import COLUMN
from osteomet.core.volume import LabelMap
from osteomet.image.distance import distance_inside_mm
from osteomet.report.boxes import Box
from osteomet.report.cuts import Course
from osteomet.report.wording import site_name

_CORE_FRACTION = 0.7
_VERTEBRAE = frozenset((*COLUMN, "vertebra"))


@dataclass(frozen=True, slots=True)
class Level:
    """A named level, the words that name it in a picture, and the centre of its body, LPS mm."""

    name: str
    label: str
    centre_xyz_mm: tuple[float, float, float]


def column_levels(findings: Findings, bones: LabelMap, boxes: Mapping[int, Box]) -> tuple[Level, ...]:
    """Locate the levels of the findings, head to foot; names of vertebrae end in "?" where the numbering is uncertain.

    Notes
    -----
    The centre of mass of a whole vertebra lies near the spinal canal. The body is the thickest part of a vertebra, so
    its centre is taken as the mean of the voxels that lie deepest in the bone (at least 0.7 of the greatest depth). On
    C1, which has no body, the two lateral masses average to the midline. A level without a label of its own (several
    vertebrae whose number is not determined share one) keeps the centre of mass that the findings state.
    """
    names = [level.name for level in findings.levels]
    doubt = "?" if any(a.code == "numbering_uncertain" for a in findings.exam.abstentions) else ""
    levels = []
    for level in findings.levels:
        centre = level.centroid_xyz_mm
        box = boxes.get(bones.labels.get(level.name, 0))
        if box is not None and names.count(level.name) == 1:
            centre = _core_centre(bones, bones.labels[level.name], box)
        label = "?" if level.name == "vertebra" else site_name(level.name) + (doubt if level.name in COLUMN else "")
        levels.append(Level(level.name, label, centre))
    return tuple(sorted(levels, key=lambda level: -level.centre_xyz_mm[2]))


def _core_centre(bones: LabelMap, label: int, box: Box) -> tuple[float, float, float]:
    """Mean position of the deepest voxels of one label."""
    depth = distance_inside_mm(np.pad(bones.array[box] == label, 1), bones.grid.spacing_mm)
    core = np.argwhere(depth >= _CORE_FRACTION * depth.max()).mean(axis=0)
    x, y, z = bones.grid.to_xyz_mm(core + [side.start - 1 for side in box])
    return float(x), float(y), float(z)


def column_course(levels: Sequence[Level], *, axis: int) -> Course | None:
    """Course through the centres of the vertebrae along LPS axis 0 or 1, None without a vertebra.

    The sacrum does not bend the cut: its centre lies far behind the line of the vertebral bodies, and the course stays
    at the last vertebra below it. It alone makes a course where no vertebra is seen.
    """
    centres = [level.centre_xyz_mm for level in levels if level.name in _VERTEBRAE]
    centres = centres or [level.centre_xyz_mm for level in levels]
    if not centres:
        return None
    knots = np.array(sorted(centres, key=lambda centre: centre[2]))
    return Course(knots[:, 2], knots[:, axis])
