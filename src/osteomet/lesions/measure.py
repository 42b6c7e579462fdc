"""Sizes, place and mean intensity of a lesion.

Axes follow RECIST 1.1: the long axis is the longest diameter in an axial plane of the patient, the short axis the
longest diameter perpendicular to it in the same plane.

References
----------
Eisenhauer E. A. et al. New response evaluation criteria in solid tumours: revised RECIST guideline (version 1.1).
https://doi.org/10.1016/j.ejca.2008.10.026
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.lesion import PointMm
from osteomet.core.volume import Unit, Volume
from osteomet.lesions.boxes import find_boxes, origin_of

DENSEST_BONE_HU = 2000.0
"""No bone is as dense, not the shaft of a thigh either: metal and most cement are."""
_METAL_SHARE = 0.1
_VOXEL_EXTENT = 0.5
"""Diameter of the ellipsoid that stands for a voxel, as a fraction of the spacing."""
_SEARCH_DIRECTIONS = 90
_OUTLINE_DIRECTIONS = 360
_TIE_MM = 1e-6


@dataclass(frozen=True, slots=True)
class LesionMeasures:
    """What can be measured on the voxels of one lesion; the fields mean what they mean in `core.lesion.Lesion`."""

    volume_ml: float
    centroid_xyz_mm: PointMm
    long_axis_mm: float
    short_axis_mm: float
    long_axis_ends_xyz_mm: tuple[PointMm, PointMm]
    mean_intensity: float


def measure_lesions(instances: NDArray[Any], volume: Volume) -> dict[int, LesionMeasures]:
    """Measure every lesion of an instance map on the grid of ``volume``; an empty map gives an empty dictionary.

    Raises
    ------
    InputError
        If map and image differ in shape.
    """
    if instances.shape != volume.grid.shape:
        raise InputError("instances and image differ in shape", got=f"{instances.shape} against {volume.grid.shape}")
    measures = {}
    for label, box in find_boxes(instances).items():
        start, mask = origin_of(box), instances[box] == label
        grid = volume.grid.crop(start.tolist(), mask.shape)
        crop = Volume(volume.array[box], grid, volume.modality, volume.unit)
        measures[label] = measure_lesion(mask, crop)
    return measures


def find_metal(instances: NDArray[Any], volume: Volume) -> frozenset[int]:
    """Labels of what is metal or cement rather than a lesion: a tenth of it or more is denser than bone can be.

    A tenth, because the outline of an implant takes in its blurred edge and bone beside it. Empty but for CT.
    """
    if volume.unit != Unit.HU:
        return frozenset()
    dense = {
        label: float((volume.array[box][instances[box] == label] > DENSEST_BONE_HU).mean())
        for label, box in find_boxes(instances).items()
    }
    return frozenset(label for label, share in dense.items() if share >= _METAL_SHARE)


def measure_lesion(mask: NDArray[np.bool_], volume: Volume) -> LesionMeasures:
    """Measure one lesion.

    Parameters
    ----------
    mask
        Voxels of the lesion, shape of ``volume``.
    volume
        Image, on a grid of any orientation.

    Returns
    -------
    Volume is the number of voxels times voxel volume, centroid the mean of the voxel centres, mean intensity the mean
    over the voxels. All sizes are positive, for one voxel too.

    Raises
    ------
    InputError
        If the mask has no voxel.

    Notes
    -----
    An *axial plane* is perpendicular to the patient's z, whatever the grid. The voxels whose centres lie within half a
    step of the plane, taken along z, are its section; planes follow each other by one step from the voxel nearest to
    the middle of the lesion. The step is the length of the affine's z row, which is the slice spacing of an axial grid
    (so a plane is exactly one slice there) and the voxel size of an isotropic grid however it is turned.

    A section is measured on its convex hull, with each voxel as an ellipse of **half** its spacing across about its
    centre. Between voxel centres, a sphere always comes out short (0.2 to 0.6 voxels); from edge to edge always long,
    because among all directions the longest wins (0.8 voxels). Half-way, spheres down to a radius of two voxels come
    out right within half a voxel in any orientation; a lone voxel measures half its spacing.
    """
    ijk = np.argwhere(mask)
    if not len(ijk):
        raise InputError("a lesion without voxels cannot be measured")
    affine = volume.grid.affine[:3, :3]
    xyz = volume.grid.to_xyz_mm(ijk)
    step_mm = float(np.linalg.norm(affine[2]))
    z = xyz[:, 2]
    middle_mm = float(z[np.abs(z - z.mean()).argmin()])
    plane = np.rint((z - middle_mm) / step_mm).astype(np.int64)
    chosen = _widest_plane(xyz[:, :2], plane, affine[:2])
    outline = _outline(xyz[plane == chosen, :2], affine[:2])
    first, second, long_mm = _diameter(outline)
    chosen_mm = middle_mm + chosen * step_mm
    return LesionMeasures(
        volume_ml=len(ijk) * volume.grid.voxel_volume_ml,
        centroid_xyz_mm=_point(xyz.mean(axis=0)),
        long_axis_mm=long_mm,
        short_axis_mm=min(_longest_chord(outline, second - first), long_mm),
        long_axis_ends_xyz_mm=(_point((*first, chosen_mm)), _point((*second, chosen_mm))),
        mean_intensity=float(volume.array[mask].mean(dtype=np.float64)),
    )


def _point(xyz_mm: Iterable[float]) -> PointMm:
    """Plain floats."""
    x, y, z = (float(v) for v in xyz_mm)
    return x, y, z


def _directions(n: int, *, turn: float) -> NDArray[np.float64]:
    """``n`` unit vectors spread evenly over an angle of ``turn``, shape (n, 2)."""
    angle = np.arange(n) * turn / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _widest_plane(xy: NDArray[np.float64], plane: NDArray[np.int64], axes: NDArray[np.float64]) -> int:
    """Find the plane with the longest section; among equals the one nearest to the middle of the lesion."""
    order = np.argsort(plane, kind="stable")
    planes, starts = np.unique(plane[order], return_index=True)
    sorted_xy = xy[order]
    longest = np.zeros(len(planes))
    for direction in _directions(_SEARCH_DIRECTIONS, turn=np.pi):
        along = sorted_xy @ direction
        width = np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts)
        np.maximum(longest, width + _VOXEL_EXTENT * np.linalg.norm(direction @ axes), out=longest)
    equal = planes[longest >= longest.max() - _TIE_MM]
    return int(equal[np.abs(equal - plane.mean()).argmin()])


def _outline(xy: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline of the section as a convex polygon: its outermost point in each of many directions, in mm, by angle."""
    directions = _directions(_OUTLINE_DIRECTIONS, turn=2 * np.pi)
    outermost = xy[[int((xy @ d).argmax()) for d in directions]]
    support = directions @ axes
    ellipse = support @ axes.T / np.linalg.norm(support, axis=1, keepdims=True)
    return np.asarray(outermost + _VOXEL_EXTENT / 2 * ellipse)


def _diameter(outline: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Both ends and the length of the longest line between two corners of the outline."""
    lengths = np.linalg.norm(outline[:, None] - outline[None], axis=-1)
    first, second = np.unravel_index(int(lengths.argmax()), lengths.shape)
    return outline[first], outline[second], float(lengths[first, second])


def _longest_chord(outline: NDArray[np.float64], axis: NDArray[np.float64]) -> float:
    """Longest line across the outline perpendicular to ``axis``.

    The length of a chord changes linearly between the corners of a convex polygon, so the longest one meets a corner.
    """
    along_axis = axis / np.linalg.norm(axis)
    u = outline @ along_axis
    v = outline @ np.array([-along_axis[1], along_axis[0]])
    turned = np.roll(np.stack([u, v]), -int(u.argmin()), axis=1)
    peak = int(turned[0].argmax())
    right, left = turned[:, : peak + 1], np.concatenate([turned[:, peak:], turned[:, :1]], axis=1)[:, ::-1]
    at = np.unique(u)
    return float(np.abs(np.interp(at, *left) - np.interp(at, *right)).max())
