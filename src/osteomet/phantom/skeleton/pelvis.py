"""Hip bones, divided into ilium, acetabulum, ischium and pubis, and proximal femora with head, neck and trochanters.

Landmark distances follow textbook proportions of an adult; every landmark is jittered, so that no two pelves are alike.
Women have a wider inlet, ischial tuberosities and spines farther apart and a wider subpubic angle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Sex
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.skeleton.vertebrae import SIDES

# Landmarks of the left hip bone, mm from the midpoint between the hip joints: left, posterior, superior.
_MARKS: dict[str, tuple[float, float, float]] = {
    "head": (88, 0, 0),
    "roof": (84, 2, 33),
    "aiis": (104, -38, 36),
    "asis": (121, -46, 82),
    "crest_front": (135, -16, 109),
    "crest_top": (121, 26, 127),
    "crest_back": (84, 62, 113),
    "psis": (46, 84, 80),
    "piis": (46, 78, 46),
    "notch": (64, 47, 24),
    "joint_top": (66, 42, 92),
    "joint_low": (60, 52, 52),
    "brim": (68, 8, 26),
    "spine": (56, 45, -5),
    "tuber_top": (72, 30, -28),
    "tuber": (60, 33, -74),
    "ramus": (30, -26, -62),
    "pubis_side": (62, -24, 6),
    "tubercle": (15, -48, -24),
    "pubis_low": (12, -40, -50),
}
# What a woman's landmarks differ by, mm, on top of stature: the subpubic angle opens and the outlet widens.
_FEMALE_SHIFT = {
    "ramus": (7, 0, 4),
    "tuber": (8, 0, 4),
    "tuber_top": (3, 0, 0),
    "spine": (4, 2, 0),
    "pubis_low": (2, 0, 5),
    "tubercle": (2, 0, 2),
}
_FEMALE_STRETCH = np.array([1.06, 1.02, 0.96])
_CREST = ("asis", "crest_front", "crest_top", "crest_back", "psis")
_CREST_SHARES = (0.0, 0.24, 0.48, 0.76, 1.0)
_BASE = ("aiis", "roof", "notch", "piis")
_BASE_SHARES = (0.0, 0.3, 0.65, 1.0)
_N_WING = 9
# From, to, radius at each, part.
_RODS = (
    ("roof", "aiis", 11.5, 8.0, "ilium"),
    ("roof", "brim", 12.0, 11.0, "acetabulum"),
    ("brim", "joint_low", 10.0, 9.0, "ilium"),
    ("roof", "notch", 11.0, 8.5, "ilium"),
    ("notch", "joint_low", 8.0, 8.0, "ilium"),
    ("piis", "psis", 6.5, 7.5, "ilium"),
    ("notch", "spine", 7.5, 4.5, "ischium"),
    ("notch", "tuber_top", 8.5, 12.0, "ischium"),
    ("spine", "tuber_top", 4.5, 9.0, "ischium"),
    ("tuber_top", "tuber", 13.0, 13.0, "ischium"),
    ("tuber", "ramus", 8.5, 5.5, "ischium"),
    ("ramus", "pubis_low", 5.5, 7.0, "pubis"),
    ("pubis_side", "tubercle", 8.5, 9.5, "pubis"),
    ("brim", "pubis_side", 10.5, 9.0, "pubis"),
    ("tubercle", "pubis_low", 8.5, 7.5, "pubis"),
)
_CREASE_MM = 6.0
# Neighbouring sheets of the wing meet flat: a wide crease would swell every seam.
_SEAM_MM = 1.0


def add_hips_and_femora(table: ShapeTable, scale: float, rng: np.random.Generator, *, sex: Sex = Sex.MALE) -> None:
    """Add both hip bones and proximal femora, mirrored about the mid-sagittal plane.

    Owners are ``hip_left`` to ``femur_right``; the part tells the structure within (see `parts.structure_table`).
    """
    stretch = rng.normal(1, 0.035, 3) * scale
    if sex is Sex.FEMALE:
        stretch = stretch * _FEMALE_STRETCH
    marks = {name: (np.array(xyz) + rng.normal(0, 2, 3)) * stretch for name, xyz in _MARKS.items()}
    if sex is Sex.FEMALE:
        for name, shift in _FEMALE_SHIFT.items():
            marks[name] += np.array(shift) * scale
    flare = rng.normal(0, 5)
    for name in _CREST[:-1]:
        marks[name][0] += flare
    marks["tubercle"][0] = max(marks["tubercle"][0], 11.0 * scale)
    marks["pubis_low"][0] = max(marks["pubis_low"][0], 10.0 * scale)
    rotation, thick, wing = rng.normal(0, 6), rng.uniform(0.9, 1.1) * scale, rng.uniform(2.8, 4.4)
    for side, word in SIDES:
        mirror = np.array([side, 1.0, 1.0])
        own = {n: p * mirror for n, p in marks.items()}
        with table.joining(blend_mm=_SEAM_MM):
            _add_wing(table, own, side, STRUCTURES[f"hip_{word}"].id, thick, wing)
        with table.joining(blend_mm=_CREASE_MM):
            _add_hip(table, own, side, STRUCTURES[f"hip_{word}"].id, scale, thick)
            _add_femur(table, own["head"], mirror, STRUCTURES[f"femur_{word}"].id, scale, rotation)


def _add_hip(
    table: ShapeTable, m: dict[str, NDArray[np.float64]], side: float, owner: int, scale: float, thick: float
) -> None:
    """Socket and rods of one hip bone."""
    opening = np.array([side * 0.78, -0.28, -0.56])
    opening /= np.linalg.norm(opening)
    table.cup(m["head"], 29.5 * scale, 4.5 * scale, opening, owner=owner, part=PARTS["acetabulum"])
    floor = m["head"] - opening * 30.0 * scale
    table.capsule(floor, floor - opening * 2.0, (9.0 * thick, 8.0 * thick), owner=owner, part=PARTS["acetabulum"])
    for a, b, r0, r1, part in _RODS:
        table.capsule(m[a], m[b], (r0 * thick, r1 * thick), owner=owner, part=PARTS[part])
    back_wall = [m["notch"], m["tuber_top"], m["head"] + np.array([-side * 8, 29, -20]) * scale]
    table.plate(np.array(back_wall), 6.0 * thick, owner=owner, part=PARTS["ischium"])
    table.plate(np.array([m["roof"], m["notch"], floor]), 7.0 * thick, owner=owner, part=PARTS["acetabulum"])


def _add_wing(
    table: ShapeTable, m: dict[str, NDArray[np.float64]], side: float, owner: int, thick: float, wing: float
) -> None:
    """Wing of the ilium: a crest along a smooth curve, a thin bowed blade below it, thick behind at the sacrum."""
    share = np.linspace(0, 1, _N_WING)
    crest = PchipInterpolator(_CREST_SHARES, [m[n] for n in _CREST])(share)
    base = PchipInterpolator(_BASE_SHARES, [m[n] for n in _BASE])(share)
    bow = np.sin(np.pi * np.clip(share * 1.35, 0, 1))[:, None] * np.array([side * 5.5, 5.5, 0.0])
    # The fossa hollows the blade below the crest most, and the gluteal pillar stands out in front of its middle.
    pillar = np.exp(-(((share - 0.28) / 0.1) ** 2))
    upper = crest + 0.36 * (base - crest) + 1.25 * bow * (1 + 0.35 * pillar[:, None])
    middle = 0.5 * (crest + base) + bow
    lower = crest + 0.72 * (base - crest) + 0.8 * bow
    part = PARTS["ilium"]
    for n in range(_N_WING - 1):
        half = (wing if share[n] < 0.55 else float(np.interp(share[n], [0.55, 0.75, 1], [wing + 1, 6.5, 6.0]))) * thick
        radius = float(np.interp(share[n], [0, 0.3, 0.6, 1], [6.0, 8.0, 6.0, 7.0])) * thick
        table.capsule(crest[n], crest[n + 1], (radius, radius), owner=owner, part=part)
        thin = share[n] < 0.55
        stout = 1.6 * float(pillar[n : n + 2].mean())
        for high, low, more in ((crest, upper, 0.9 if thin else 0.0), (upper, lower, -0.5 if thin else 0.0),
                                (lower, base, 2.2 if thin else 0.0)):  # fmt: skip
            around = [high[n], high[n + 1], low[n + 1], low[n]]
            table.quad(around, half + more + stout, owner=owner, part=part)
    for corners, half in (
        ((m["joint_top"], m["joint_low"], m["psis"]), 6.0),
        ((m["joint_low"], m["psis"], m["piis"]), 6.0),
        ((m["joint_top"], m["joint_low"], middle[6]), 8.0),
        ((m["joint_top"], m["psis"], crest[6]), 6.5),
        ((m["joint_top"], middle[6], crest[6]), 8.0),
        ((m["joint_top"], m["psis"], middle[7]), 8.0),
        ((m["joint_low"], middle[6], base[6]), 7.0),
        ((m["joint_low"], middle[6], m["psis"]), 7.5),
    ):
        table.plate(np.array(corners), half * thick, owner=owner, part=part)


def _add_femur(
    table: ShapeTable, head: NDArray[np.float64], mirror: NDArray[np.float64], owner: int, scale: float, rotation: float
) -> None:
    """Head, neck, trochanters and the upper shaft; ``rotation`` moves the trochanters to posterior in mm."""

    def rod(a: tuple[float, float, float], b: tuple[float, float, float], r0: float, r1: float, part: str) -> None:
        ends = [head + np.array(end) * scale * mirror for end in (a, b)]
        table.capsule(ends[0], ends[1], (r0 * scale, r1 * scale), owner=owner, part=PARTS[part])

    turn = rotation
    rod((0, 0, 0), (0.1, 0, 0), 23.5, 23.5, "femoral_head")
    rod((10, 2, -8), (38, 6 + turn, -30), 15.0, 15.5, "femoral_neck")
    rod((52, 14 + turn, -12), (51, 10 + turn, -44), 12.5, 16.0, "femur")
    rod((40, 8 + turn, -34), (44, 8 + turn, -80), 17.0, 15.5, "femur")
    rod((30, 20 + turn, -62), (38, 14 + turn, -72), 8.0, 9.0, "femur")
    rod((44, 8 + turn, -80), (30, 2, -290), 15.5, 13.5, "femur")
