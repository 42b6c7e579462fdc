"""Sacrum with its canal and foramina, and the coccyx."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.kernels import FUSED, HOLE
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Column, Joint, Numbering, Sex, frame
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.skeleton.vertebrae import SIDES

_BREADTH = {Sex.MALE: 0.98, Sex.FEMALE: 1.05}


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """One sacral vertebra: frame and size of its body, half width of the whole sacrum there, depth of the canal; mm."""

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    size: NDArray[np.float64]
    half: float
    canal: float

    def at(self, u: float, v: float, w: float) -> NDArray[np.float64]:
        """World position of a point in the frame of the segment."""
        return np.asarray(self.centre + self.axes @ np.array([u, v, w]))


def add_sacrum(table: ShapeTable, column: Column, rng: np.random.Generator) -> None:
    """Add the fused sacral bodies with lateral masses, dorsal wall, canal and foramina, and the coccyx."""
    segments, step = _segments(column, rng)
    owner, scale = STRUCTURES["sacrum"].id, column.scale
    with table.joining(blend_mm=5.0):
        for n, segment in enumerate(segments):
            shape = (0.4, 0.03, 0.05)
            size = segment.size * [1.0, 1.0, 0.96 if n == 0 else 1.04]
            table.vertebral_body(segment.centre, segment.axes, size, shape, owner=owner)
        for side, _ in SIDES:
            _add_wing(table, segments, side, owner, scale)
        _add_dorsal_wall(table, segments, owner, scale)
        for joint, (side, _) in zip(column.joints_of_sacrum, SIDES, strict=True):
            _add_facet(table, segments[0], joint, side, owner, scale)
    if column.numbering is Numbering.SACRALISED_L5:
        _fuse_last_lumbar(table, column, segments[0], owner)
    _cut_canal_and_foramina(table, segments, owner, scale)
    _add_coccyx(table, segments[-1], step, scale)


def _segments(column: Column, rng: np.random.Generator) -> tuple[list[_Segment], float]:
    """Frames of the sacral segments from S1 down, along a curve of constant step, and that step in radians."""
    scale, breadth, n = column.scale, _BREADTH[column.sex], column.n_sacral
    place = np.linspace(0, 4, n)
    step = float(np.deg2rad(rng.uniform(14, 22)))
    tilt, centre = column.sacral_tilt_rad, column.sacrum_centre_mm
    found: list[_Segment] = []
    for share in place:
        width = np.interp(share, range(5), [50, 40, 33, 28, 24]) * scale * breadth
        depth = np.interp(share, range(5), [31, 25, 19, 15, 12]) * scale
        height = np.interp(share, range(5), [29, 26.5, 24, 22, 20]) * scale
        axes = frame(tilt, 0.0)
        if found:
            down = -(found[-1].axes[:, 2] + axes[:, 2])
            centre = centre + down / np.linalg.norm(down) * (height + found[-1].size[2]) / 2
        half = np.interp(share, range(5), [54, 52, 43, 30, 19]) * scale * breadth
        canal = np.interp(share, range(5), [14, 11, 8.5, 6, 4]) * scale
        found.append(_Segment(centre, axes, np.array([width, depth, height]), float(half), float(canal)))
        tilt += step
    return found, step


def _add_wing(table: ShapeTable, segments: list[_Segment], side: float, owner: int, scale: float) -> None:
    """Lateral mass of one side: a slab down all segments, thick above, with the ala of the first on top."""
    first = segments[0]
    thick = [float(np.interp(n, [0, 1, 2, 4], [11.5, 11.5, 8.5, 5.0])) * scale for n in range(len(segments))]
    for n, (upper, lower) in enumerate(pairwise(segments)):
        half = thick[n] if n == 0 else 0.5 * (thick[n] + thick[n + 1])
        corners = [
            upper.at(side * upper.size[0] * 0.38, upper.size[1] * 0.10, 0),
            upper.at(side * (upper.half - half), upper.size[1] * 0.42, 0),
            lower.at(side * (lower.half - half), lower.size[1] * 0.42, 0),
            lower.at(side * lower.size[0] * 0.38, lower.size[1] * 0.10, 0),
        ]
        table.quad(corners, half, owner=owner)
    inner = first.at(side * first.size[0] * 0.34, 1.0 * scale, 0.12 * first.size[2])
    outer = first.at(side * (first.half - 9.0 * scale), first.size[1] * 0.25, -0.06 * first.size[2])
    table.capsule(inner, outer, (11.0 * scale, 10.0 * scale), owner=owner)


def _add_dorsal_wall(table: ShapeTable, segments: list[_Segment], owner: int, scale: float) -> None:
    """Fused laminae over the canal down to the hiatus, crests, and the pedicles that carry them."""
    half = 2.6 * scale
    for n, (upper, lower) in enumerate(pairwise(segments)):
        ridge = [s.at(0, s.size[1] / 2 + s.canal + half, 0.1 * s.size[2]) for s in (upper, lower)]
        for side, _ in SIDES:
            flank = [
                s.at(side * (0.36 * s.size[0] + 2.0), s.size[1] / 2 + 0.45 * s.canal + half, 0) for s in (upper, lower)
            ]
            if n < len(segments) - 2:
                table.quad([ridge[0], flank[0], flank[1], ridge[1]], half, owner=owner)
            table.capsule(flank[0], flank[1], (4.4 * scale, 3.8 * scale), owner=owner)
            pedicle = upper.at(side * 0.46 * upper.size[0], 0.25 * upper.size[1], 0)
            table.capsule(flank[0], pedicle, (4.4 * scale, (7.0 - n) * scale), owner=owner)
        if n < len(segments) - 2:
            crest = [upper.at(0, upper.size[1] / 2 + upper.canal + (11 - 2 * n) * scale, w) for w in (1.0, -6.0)]
            table.quad([ridge[0], crest[0], crest[1], ridge[1]], 2.4 * scale, owner=owner)


def _add_facet(table: ShapeTable, first: _Segment, joint: Joint, side: float, owner: int, scale: float) -> None:
    """Upper articular process of one side, below and beside its joint with the last lumbar vertebra."""
    middle = joint.centre_mm - joint.normal * 4.4 * scale
    axes = np.stack([np.cross(first.axes[:, 2], joint.normal), first.axes[:, 2], joint.normal], axis=1)
    table.ellipsoid(middle, np.array([7.0, 9.0, 4.4]) * scale, owner=owner, axes=axes)
    root = first.at(side * 22.0 * scale, first.size[1] / 2 + 6.0 * scale, 2.0 * scale)
    table.capsule(middle, root, (4.4 * scale, 6.0 * scale), owner=owner)


def _fuse_last_lumbar(table: ShapeTable, column: Column, first: _Segment, owner: int) -> None:
    """Bridges of bone from the transverse processes of a sacralised L5 to the alae."""
    last = column.vertebrae[0]
    for side, word in SIDES:
        root = last.at(side * last.width_mm * 0.5, last.depth_mm * 0.45, 0.0)
        ala = first.at(side * (first.half - 16.0), first.size[1] * 0.3, 0.3 * first.size[2])
        half_way = 0.55 * root + 0.45 * ala
        with table.joining(mode=FUSED, blend_mm=4.0):
            part = PARTS[f"transverse_process_{word}"]
            table.capsule(root, half_way, (8.0, 9.0), owner=STRUCTURES[last.name].id, part=part)
            table.capsule(half_way, ala, (9.0, 10.0), owner=owner)


def _cut_canal_and_foramina(table: ShapeTable, segments: list[_Segment], owner: int, scale: float) -> None:
    """Cut the canal, and between two segments the foramina that open to front and back on each side."""
    middles = [s.at(0, s.size[1] / 2 + s.canal / 2, 0) for s in segments]
    top = segments[0].at(0, segments[0].size[1] / 2 + segments[0].canal * 0.55, segments[0].size[2] * 0.8)
    radii = [s.canal / 2 for s in segments]
    with table.joining(mode=HOLE):
        for (a, ra), (b, rb) in pairwise(zip([top, *middles], [radii[0], *radii], strict=True)):
            for shift in (-0.8, 0.0, 0.8):
                across = np.array([shift * ra, 0, 0]), np.array([shift * rb, 0, 0])
                table.capsule(a + across[0], b + across[1], (ra, rb), owner=owner)
        for n, (upper, lower) in enumerate(pairwise(segments)):
            radius = float(np.interp(n, [0, 3], [5.2, 3.4])) * scale
            size, down = upper.size, -upper.size[2] / 2
            for side, _ in SIDES:
                place = side * (0.36 * lower.size[0] + 2.0 * scale + radius * 0.8)
                inner = upper.at(place, size[1] / 2 - 1.0, down)
                front = upper.at(place * 1.12, -size[1] / 2 - 8.0, down)
                rear = upper.at(place * 1.02, size[1] / 2 + upper.canal + 14.0, down)
                table.capsule(inner, front, (radius * 0.85, radius * 1.15), owner=owner)
                table.capsule(inner, rear, (radius * 0.8, radius * 0.8), owner=owner)
                canal = upper.at(side * upper.canal * 0.6, size[1] / 2 + upper.canal * 0.45, down)
                table.capsule(canal, inner, (radius * 0.6, radius * 0.7), owner=owner)


def _add_coccyx(table: ShapeTable, last: _Segment, step: float, scale: float) -> None:
    """Three dwindling segments that carry on the curve, the first with its horns."""
    owner = STRUCTURES["coccyx"].id
    tilt = float(np.arctan2(last.axes[1, 2], last.axes[2, 2])) + 0.8 * step
    start = last.at(0, 0, -last.size[2] / 2) - frame(tilt, 0.0)[:, 2] * 7.5 * scale
    with table.joining(blend_mm=2.0):
        for segment in range(3):
            end = start - frame(tilt, 0.0)[:, 2] * 10 * scale
            radii = ((7.6 - 1.7 * segment) * scale, (6.1 - 1.7 * segment) * scale)
            table.capsule(start, end, radii, owner=owner)
            if segment == 0:
                for side in (1.0, -1.0):
                    table.capsule(start, start + np.array([side * 10, 1, 1]) * scale, (4.0, 3.0), owner=owner)
            start, tilt = end, tilt + 0.8 * step
