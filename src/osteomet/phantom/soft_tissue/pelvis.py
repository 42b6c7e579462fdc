"""Pelvis: bladder, rectum, uterus or prostate."""

from __future__ import annotations

import numpy as np

from osteomet.phantom.skeleton.anatomy import Sex
from osteomet.phantom.soft_tissue.canvas import Canvas, Levels, Patient


def add_pelvic_organs(canvas: Canvas, levels: Levels, sex: Sex, patient: Patient, rng: np.random.Generator) -> None:
    """Draw the organs between the hip bones, mm from the middle of the hips."""
    s = patient.scale
    filled = rng.uniform(0.6, 1.2)
    bladder, size = np.array([0, -22, -2]) * s, np.array([40, 30, 30]) * s * filled
    canvas.ellipsoid(bladder, size + 4, "bowel_wall", 40.0)
    canvas.ellipsoid(bladder, size, "urine", float(rng.uniform(0, 15)))
    if patient.phase == "delayed":
        canvas.ellipsoid(bladder + [0, 0.45 * size[1], 0], size * [0.8, 0.5, 0.8], "urine", 0.5 * patient.urine_hu)
    if sex is Sex.MALE:
        canvas.ellipsoid(np.array([0, -8, -40]) * s, np.array([23, 17, 19]) * s, "lymph_node", 45.0)
        canvas.ellipsoid(np.array([0, 8, -18]) * s, np.array([30, 7, 8]) * s, "lymph_node", 35.0)
    else:
        lean = rng.normal(0, 8, 3)
        hu = 0.4 * patient.vein_hu + 40
        canvas.ellipsoid(np.array([0, 8, 26]) * s + lean, np.array([26, 22, 28]) * s, "lymph_node", hu)
        canvas.ellipsoid(np.array([0, 12, -8]) * s, np.array([15, 13, 18]) * s, "lymph_node", hu)
        for side in (1, -1):
            canvas.ellipsoid(np.array([side * 42, 6, 30]) * s + lean, np.array([13, 10, 13]) * s, "lymph_node", 30.0)
    low, high = levels.at(27.5), levels.at(24.8)
    path = np.array([[0, 34 * s, -66 * s], [0, 34 * s, -34 * s], low + [0, -24 * s, 0], high + [14 * s, -38 * s, 0],
                     high + [40 * s, -44 * s, 8 * s], high + [62 * s, -40 * s, 18 * s]])  # fmt: skip
    canvas.tube(path, np.array([8, 14, 16, 15, 13, 13]) * s + 2.5, "bowel_wall", 48.0)
    canvas.tube(path, np.array([2, 12, 14, 13, 11, 11]) * s, "bowel_content", float(rng.uniform(10, 60)))
    for point in path[1:]:
        if rng.random() < 0.5:
            canvas.ellipsoid(point - [0, 5 * s, 0], np.array([9, 6, 10]) * s, "gas", -980.0)
