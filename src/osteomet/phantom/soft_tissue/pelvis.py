"""Pelvis: bladder, rectum, uterus and ovaries or prostate and seminal vesicles, and the veins about them."""

from __future__ import annotations

import numpy as np

from osteomet.phantom.skeleton.anatomy import Sex
from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient


def add_pelvic_organs(canvas: Canvas, levels: Levels, sex: Sex, patient: Patient, rng: np.random.Generator) -> None:
    """Draw the organs between the hip bones, mm from the middle of the hips."""
    _add_plexus(canvas, patient, rng)
    _add_rectum(canvas, levels, patient, rng)
    if sex is Sex.MALE:
        _add_prostate(canvas, patient, rng)
    else:
        _add_uterus(canvas, patient, rng)
    _add_bladder(canvas, patient, rng)


def _add_bladder(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Urine in a wall that is thinner the fuller the bladder is; two overlapping bodies, flat on top and behind."""
    s = patient.scale
    filled = float(rng.uniform(0.65, 1.15))
    wall = 5.5 - 2.5 * filled
    parts = [
        (np.array([0, -22, 2]) * s, np.array([34, 24, 23]) * s * filled),
        (np.array([0, -30, 14 * filled]) * s, np.array([31, 23, 22]) * s * filled),
    ]
    for centre, size in parts:
        canvas.ellipsoid(centre, size + wall, "bowel_wall", 40.0)
    urine = float(rng.uniform(0, 15))
    for centre, size in parts:
        canvas.ellipsoid(centre, size, "urine", urine)
    if patient.phase == "delayed":
        bladder, size = parts[0]
        canvas.ellipsoid(bladder + [0, 0.45 * size[1], 0], size * [0.8, 0.5, 0.8], "urine", 0.5 * patient.urine_hu)


def _add_prostate(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Outer zone, inner zone with its nodules, which grow with age, and the lobes of the seminal vesicles."""
    s = patient.scale
    grown = 1 + 0.35 * patient.wear * float(rng.uniform(0, 1))
    centre = np.array([0, -6, -38]) * s
    size = np.array([25, 18, 19]) * s * grown
    canvas.ellipsoid(centre, size + 1.2, "ligament", 50.0)
    canvas.ellipsoid(centre, size, "nucleus_hydrated", 45.0)
    inner = centre + [0, -0.28 * size[1], 0.15 * size[2]]
    canvas.ellipsoid(inner, size * [0.68, 0.66, 0.74], "bowel_wall", 48.0)
    for _ in range(int(2 + 8 * patient.wear)):
        place = inner + rng.uniform(-0.42, 0.42, 3) * size
        canvas.ellipsoid(place, rng.uniform(2, 5.5, 3) * s * grown, str(rng.choice(["kidney", "muscle"])), 46.0)
    for side in SIDES:
        for n in range(7):
            place = np.array([side * (6 + 4.6 * n), 9 + 0.5 * n, -17 + 1.6 * n + rng.normal(0, 1.5)]) * s
            canvas.ellipsoid(place, np.array([4.2, 3.4, 5.0]) * s * rng.uniform(0.8, 1.2), "bowel_wall", 35.0)
            canvas.ellipsoid(place, np.array([2.8, 2.0, 3.6]) * s, "urine", 20.0)


def _add_uterus(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Body with its dark inner muscle and bright lining, neck, vagina, and ovaries with follicles in younger women."""
    s = patient.scale
    size = (1.1 - 0.35 * patient.wear) * s
    lean = np.array([rng.normal(0, 8), rng.normal(0, 5), rng.normal(0, 6)])
    neck, fundus = np.array([0, 14, -14]) * s, np.array([0, -2, 34]) * s + lean
    hu = 0.4 * patient.vein_hu + 40
    for radii, tissue, value in (
        ((14, 24), "lymph_node", hu), ((8, 13), "muscle", hu - 5), ((2.5, 6), "bowel_content", 25.0)
    ):  # fmt: skip
        canvas.tube([neck, 0.45 * neck + 0.55 * fundus, fundus], np.array([radii[0], 0.8 * radii[1], radii[1]]) * size,
                    tissue, value)  # fmt: skip
    canvas.tube([neck, np.array([0, 10, -62]) * s], np.array([9, 7]) * s, "bowel_wall", hu - 10)
    for side in SIDES:
        ovary = np.array([side * 44, 8, 28]) * s + lean + rng.normal(0, 3, 3)
        canvas.ellipsoid(ovary, np.array([13, 9, 13]) * size, "lymph_node", 32.0)
        for _ in range(int(7 * (1 - patient.wear))):
            canvas.ellipsoid(ovary + rng.uniform(-6, 6, 3) * size, (rng.uniform(1.5, 4.5),) * 3, "urine", 8.0)


def _add_rectum(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Anal canal, rectum before the sacrum and the sigmoid colon, with stool and gas."""
    s = patient.scale
    low, high = levels.at(27.5), levels.at(24.8)
    path = np.array([[0, 36 * s, -88 * s], [0, 32 * s, -66 * s], [0, 34 * s, -34 * s], low + [0, -24 * s, 0],
                     high + [14 * s, -38 * s, 0], high + [40 * s, -44 * s, 8 * s],
                     high + [62 * s, -40 * s, 18 * s]])  # fmt: skip
    full = float(rng.uniform(0.75, 1.15))
    size = np.array([8, 9, 15 * full, 17 * full, 14, 13, 13]) * s
    canvas.tube(path, size + np.array([5, 4.5, 3, 3, 3, 3, 3]), "bowel_wall", 48.0)
    canvas.tube(path, np.array([2, 4, 13 * full, 15 * full, 12, 11, 11]) * s, "bowel_content",
                float(rng.uniform(10, 60)))  # fmt: skip
    for point, radius in zip(path[2:], size[2:], strict=True):
        if rng.random() < 0.45:
            canvas.ellipsoid(point - [0, 0.35 * radius, 0], radius * np.array([0.6, 0.4, 0.7]), "gas", -980.0)


def _add_plexus(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Small veins beside bladder and rectum, and branches of the internal iliac vessels towards the sciatic foramen."""
    s = patient.scale
    for side in SIDES:
        for _ in range(9):
            start = np.array([side * rng.uniform(26, 38), rng.uniform(-10, 26), rng.uniform(-50, 10)]) * s
            step = np.array([side * rng.normal(0, 5), rng.normal(0, 9), rng.normal(8, 9)]) * s
            canvas.tube([start, start + step, start + step * [1.6, 1.4, 2.2]], float(rng.uniform(0.9, 2.0)) * s,
                        "vein", 0.8 * patient.vein_hu)  # fmt: skip
        fork = np.array([side * 44, 36, 42]) * s
        for end, radius in (((70, 66, 22), 2.6), ((52, 30, -10), 2.2), ((40, 20, 4), 1.8), ((84, 72, 6), 1.6)):
            tissue, hu = ("artery", patient.artery_hu) if rng.random() < 0.5 else ("vein", patient.vein_hu)
            canvas.tube([fork, np.array(end) * [side, 1, 1] * s], radius * s, tissue, hu)
