"""Bones as tables of primitives: vertebrae with their arches, ribs, sternum, sacrum, hips and proximal femora.

Landmark distances of the pelvis and hip follow textbook proportions of an adult; every landmark is jittered, so that no
two skeletons are alike. Owners are vocabulary ids, parts are `BODY` and `POSTERIOR` for vertebrae and 0 elsewhere.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.atlas import add_atlas
from osteomet.phantom.anatomy import Column, Vertebra, frame
from osteomet.phantom.parts import BODY
from osteomet.phantom.shapes import ShapeTable
from osteomet.phantom.vertebrae import add_column_vertebra

_RELATIVE_DENSITY = {Group.CERVICAL: 1.5, Group.THORACIC: 1.1, Group.LUMBAR: 1.0, Group.SACRAL: 0.6, Group.PELVIS: 0.75}


def spongiosa_hu(lumbar_hu: float) -> NDArray[np.float32]:
    """Density of the spongiosa by bone id, HU, shape (256,), for a patient with this density in the lumbar spine."""
    density = np.zeros(256, dtype=np.float32)
    for structure in STRUCTURES.values():
        density[structure.id] = lumbar_hu * _RELATIVE_DENSITY.get(structure.group, 0.6) - 10
    return density


def add_vertebra(table: ShapeTable, vertebra: Vertebra, rng: np.random.Generator) -> None:
    """Add one vertebra of the column with all its parts."""
    add = add_atlas if vertebra.name == "C1" else add_column_vertebra
    add(table, vertebra, rng)


_LEFT_RIGHT = ((1.0, "left"), (-1.0, "right"))


def add_ribs(table: ShapeTable, column: Column, rng: np.random.Generator) -> None:
    """Add twelve pairs of ribs, each from its vertebra round the chest, not numbered, and the sternum."""
    thoracic = {v.name: v for v in column.vertebrae if v.name.startswith("T")}
    owner = STRUCTURES["rib"].id
    slope = rng.uniform(0.25, 0.55)
    half_chest, depth = rng.uniform(115, 150) * column.scale, rng.uniform(85, 115) * column.scale
    last_short = rng.uniform(0.15, 0.3)
    for name, v in thoracic.items():
        number = int(name[1:])
        widest = half_chest * np.interp(number, [1, 3, 7, 10, 12], [0.48, 0.75, 1.0, 1.0, 0.92])
        deep = depth * np.interp(number, [1, 3, 7, 12], [0.45, 0.75, 1.0, 1.0])
        sweep = np.interp(number, [1, 7, 10, 11, 12], [2.6, 2.65, 2.35, 1.6, 1.6 * last_short + 0.7])
        back = v.depth_mm / 2
        for side in (1.0, -1.0):
            head = v.at(side * (v.width_mm / 2 + 1), back * 0.55, 0.42 * v.height_mm)
            neck = v.at(side * (v.width_mm / 2 + 20), back + 18, 0.30 * v.height_mm)
            angles = np.linspace(0.35, sweep, 15)
            centre = np.array([0.0, neck[1] - deep * 0.93, neck[2]])
            arc = np.stack(
                [side * widest * np.sin(angles), deep * np.cos(angles), -slope * deep * (1 - np.cos(angles - 0.35))],
                axis=1,
            )
            points = np.vstack([head, neck, arc + centre])
            for a, b in pairwise(points):
                table.capsule(a, b, (4.2, 4.2), owner=owner)
                table.capsule(a - [0, 0, 4], b - [0, 0, 4], (3.2, 3.2), owner=owner)
    _add_sternum(table, thoracic, depth, rng)


def _add_sternum(table: ShapeTable, thoracic: dict[str, Vertebra], depth: float, rng: np.random.Generator) -> None:
    """A plate in front of the chest from T3 to T9."""
    owner = STRUCTURES["sternum"].id
    top = thoracic["T3"].centre_mm + [0, -depth * rng.uniform(0.75, 0.95), 0]
    bottom = thoracic["T9"].centre_mm + [0, -depth * rng.uniform(1.4, 1.65), 0]
    half = rng.uniform(14, 19)
    corners = np.array(
        [top + [half * 1.4, 0, 0], top - [half * 1.4, 0, 0], bottom - [half, 0, 0], bottom + [half, 0, 0]]
    )
    table.plate(corners[[0, 1, 2]], 5.0, owner=owner)
    table.plate(corners[[0, 2, 3]], 5.0, owner=owner)


def add_sacrum(table: ShapeTable, column: Column, rng: np.random.Generator) -> None:
    """Add five fused sacral bodies, the alae, the median crest and the coccyx."""
    owner, scale = STRUCTURES["sacrum"].id, column.scale
    centre, tilt = column.sacrum_centre_mm, column.sacral_tilt_rad
    width, depth, height = 50.0 * scale, 31.0 * scale, 29.0 * scale
    step = float(np.deg2rad(rng.uniform(14, 22)))
    for segment in range(5):
        axes = frame(tilt, 0.0)
        table.vertebral_body(centre, axes, (width, depth, height), (0.5, 0.03, 0.05), owner=owner)
        ala = np.interp(segment, [0, 1, 2, 3, 4], [51, 48, 38, 27, 17]) * scale
        radius = np.interp(segment, [0, 4], [14.5, 7]) * scale
        for side in (1.0, -1.0):
            inner = centre + axes @ np.array([side * width * 0.3, depth * 0.15, 0])
            outer = centre + axes @ np.array([side * (ala - radius * 0.5), depth * 0.45 + 4, -3])
            table.capsule(inner, outer, (radius, radius * 0.95), owner=owner)
        spine = centre + axes @ np.array([0, depth / 2 + 15 - 2 * segment, -2])
        for side in (1.0, -1.0):
            lateral = centre + axes @ np.array([side * width * 0.36, depth / 2 + 8 - 2 * segment, -2])
            table.capsule(spine, lateral, (3.4, 4.0), owner=owner)
        table.capsule(spine, spine + axes @ np.array([0, 4, -6]), (3.2, 3.0), owner=owner)
        before = axes
        tilt += step
        width, depth, height = width * 0.83, depth * 0.80, height * 0.91
        down = -(before[:, 2] + frame(tilt, 0.0)[:, 2])
        centre = centre + down / np.linalg.norm(down) * height * 1.02
    owner = STRUCTURES["coccyx"].id
    for segment in range(3):
        tilt += step * 0.8
        end = centre - frame(tilt, 0.0)[:, 2] * 10 * scale
        table.capsule(centre, end, (6.5 - 1.5 * segment, 5.2 - 1.5 * segment), owner=owner)
        centre = end


def add_hips_and_femora(table: ShapeTable, scale: float, rng: np.random.Generator) -> None:
    """Add both hip bones and proximal femora, mirrored about the mid-sagittal plane."""
    wide, tall = rng.normal(1, 0.05), rng.normal(1, 0.05)
    stretch = np.array([wide, rng.normal(1, 0.05), tall]) * scale
    flare = rng.normal(0, 6)
    marks = {name: (np.array(xyz) + rng.normal(0, 2, 3)) * stretch for name, xyz in _HIP_MARKS.items()}
    for name in ("asis", "crest_front", "crest_top", "crest_back"):
        marks[name][0] += flare
    rotation = rng.normal(0, 6)
    for side, word in _LEFT_RIGHT:
        mirror = np.array([side, 1.0, 1.0])
        _add_hip(table, {n: p * mirror for n, p in marks.items()}, mirror, STRUCTURES[f"hip_{word}"].id, scale, rng)
        _add_femur(table, marks["head"] * mirror, mirror, STRUCTURES[f"femur_{word}"].id, scale, rotation)


# Landmarks of the left hip bone, mm from the midpoint between the hip joints: left, posterior, superior.
_HIP_MARKS: dict[str, tuple[float, float, float]] = {
    "head": (88, 0, 0),
    "roof": (84, 2, 33),
    "aiis": (104, -38, 36),
    "asis": (122, -46, 84),
    "crest_front": (137, -16, 117),
    "crest_top": (131, 24, 127),
    "crest_back": (92, 60, 112),
    "psis": (46, 84, 80),
    "piis": (44, 80, 46),
    "notch": (64, 47, 24),
    "wing": (110, 8, 82),
    "joint_top": (62, 44, 92),
    "joint_low": (57, 52, 52),
    "brim": (68, 8, 26),
    "spine": (56, 45, -5),
    "tuber_top": (72, 30, -28),
    "tuber": (60, 33, -74),
    "ramus": (26, -30, -60),
    "pubis_side": (62, -24, 6),
    "tubercle": (15, -48, -24),
    "pubis_low": (11, -40, -50),
}


def _add_hip(
    table: ShapeTable,
    m: dict[str, NDArray[np.float64]],
    mirror: NDArray[np.float64],
    owner: int,
    scale: float,
    rng: np.random.Generator,
) -> None:
    """One hip bone from its landmarks."""
    wing = rng.uniform(2.2, 4.5)
    opening = np.array([0.78, -0.28, -0.56]) * mirror
    table.cup(m["head"], 29.5 * scale, 4.5, opening / np.linalg.norm(opening), owner=owner)
    rim = ("roof", "aiis", "asis", "crest_front", "crest_top", "crest_back")
    for a, b in pairwise(rim):
        table.plate(np.array([m[a], m[b], m["wing"]]), wing, owner=owner)
    for corners in (
        ("roof", "joint_low", "wing"),
        ("crest_back", "joint_top", "wing"),
        ("joint_top", "joint_low", "wing"),
        ("roof", "notch", "joint_low"),
    ):
        table.plate(np.array([m[c] for c in corners]), wing + 1.0, owner=owner)
    for corners in (
        ("joint_top", "joint_low", "psis"),
        ("joint_low", "psis", "piis"),
        ("crest_back", "joint_top", "psis"),
    ):
        table.plate(np.array([m[c] for c in corners]), 6.0, owner=owner)
    rods = (
        ("aiis", "asis", 6.5, 7.0),
        ("asis", "crest_front", 6.5, 7.0),
        ("crest_front", "crest_top", 7.0, 6.5),
        ("crest_top", "crest_back", 6.0, 6.5),
        ("crest_back", "psis", 7.0, 8.0),
        ("roof", "aiis", 12.0, 8.0),
        ("roof", "brim", 12.0, 11.0),
        ("brim", "joint_low", 10.0, 9.0),
        ("roof", "notch", 11.0, 7.5),
        ("notch", "spine", 7.0, 4.5),
        ("notch", "tuber_top", 8.0, 12.0),
        ("spine", "tuber_top", 4.5, 9.0),
        ("tuber_top", "tuber", 13.0, 12.5),
        ("tuber", "ramus", 8.5, 5.5),
        ("ramus", "pubis_low", 5.5, 7.0),
        ("pubis_side", "tubercle", 8.5, 9.5),
        ("brim", "pubis_side", 9.5, 9.0),
        ("tubercle", "pubis_low", 9.0, 8.0),
    )
    thick = rng.uniform(0.88, 1.1)
    for a, b, r0, r1 in rods:
        table.capsule(m[a], m[b], (r0 * thick * scale, r1 * thick * scale), owner=owner)


def _add_femur(
    table: ShapeTable, head: NDArray[np.float64], mirror: NDArray[np.float64], owner: int, scale: float, rotation: float
) -> None:
    """Head, neck, trochanters and the upper shaft; ``rotation`` moves the trochanters to posterior in mm."""

    def at(x: float, y: float, z: float) -> NDArray[np.float64]:
        return np.asarray(head + np.array([x, y, z]) * scale * mirror)

    table.capsule(head, head, (23.5 * scale, 23.5 * scale), owner=owner)
    table.capsule(at(8, 1, -6), at(40, 6 + rotation, -30), (15.5 * scale, 16 * scale), owner=owner)
    table.capsule(at(50, 12 + rotation, -16), at(50, 10 + rotation, -44), (15 * scale, 17 * scale), owner=owner)
    table.capsule(at(38, 8 + rotation, -34), at(44, 8 + rotation, -80), (18 * scale, 15.5 * scale), owner=owner)
    table.capsule(at(30, 20 + rotation, -62), at(38, 14 + rotation, -72), (8 * scale, 9 * scale), owner=owner)
    table.capsule(at(44, 8 + rotation, -80), at(30, 2, -290), (15.5 * scale, 13.5 * scale), owner=owner)
