"""Where scanners look: boxes around the bones of a body, or around those that the user labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.body import Body
from osteomet.phantom.cohorts.own_bones import PELVIS, SPINE, ids_of, shown

Box = NDArray[np.float64]
"""Lowest and highest coordinates, shape (2, 3), LPS mm."""

AROUND_MM = 8.0
"""What a field of view has around labelled bones."""

_OVERLAP_MM = 25.0
_LEAST_STACK_MM = 120.0


def labelled_box(body: Body) -> Box | None:
    """Box of the labelled bones of spine and pelvis; None without labelled bones.

    Ribs and femora, which reach beyond, do not count.
    """
    if body.labelled is None:
        return None
    return body.labelled.only(shown(body, ids_of(SPINE | PELVIS))).corners_mm()


def spine_boxes(body: Body, n_stacks: int, *, half_width_mm: float) -> list[Box]:
    """Boxes around the column from its top to the sacrum, overlapping, the highest first.

    Around labelled bones there are fewer where a stack would be lower than `_LEAST_STACK_MM`.
    """
    centres = np.array([v.centre_mm for v in body.column.vertebrae])
    top, low = float(centres[:, 2].max()) + 20, float(body.column.sacrum_centre_mm[2]) - 70
    if body.labelled is not None:
        ends = body.labelled.only(shown(body, ids_of(SPINE))).corners_mm()
        low, top = (float(z) for z in ends[:, 2] + [-AROUND_MM, AROUND_MM])
        n_stacks = int(np.clip((top - low) // _LEAST_STACK_MM, 1, n_stacks))
    edges = np.linspace(top, low, n_stacks + 1)
    boxes = []
    for upper, lower in zip(edges[:-1] + _OVERLAP_MM / 2, edges[1:] - _OVERLAP_MM / 2, strict=True):
        beside = np.maximum(np.abs(centres[:, 2] - (upper + lower) / 2) - (upper - lower) / 2, 0)
        x, y, _ = centres[beside == beside.min()].mean(axis=0)
        boxes.append(np.array([[x - half_width_mm, y - 90, lower], [x + half_width_mm, y + 100, upper]]))
    return boxes


def pelvic_box(body: Body) -> Box:
    """Box of a pelvic exam, from the iliac crests to below the hip joints and from skin to skin.

    Where sacrum or hip bones are labelled it moves along with them, from where those of a phantom lie, and grows where
    they would reach beyond it.
    """
    scale = body.column.scale
    box = np.array([[-180 * scale, -95 * scale, -75 * scale], [180 * scale, 135 * scale, 140 * scale]])
    if body.labelled is None:
        return box
    bones = shown(body, ids_of(PELVIS))
    ends = body.labelled.only(bones).corners_mm()
    drawn = body.scaffold.boxes[np.isin(body.scaffold.owners, bones)]
    standing = (drawn[:, 0].min(axis=0) + drawn[:, 1].max(axis=0)) / 2
    box = box + ends.mean(axis=0) - standing
    return np.stack([np.minimum(box[0], ends[0] - AROUND_MM), np.maximum(box[1], ends[1] + AROUND_MM)])
