"""Muscles of the hips, each a stack of sections in its sheath of fat, and the sciatic nerve.

Below the crests the body is filled with fat (`outline`), so that what is not muscle, bone or organ is fat as it is in
patients. Sizes are our choice for an adult of middle age: each muscle was made to look as it does on axial pictures,
and its volume is stated in the tests. Women of about 70 years have less (Montefiori 2020).

References
----------
Montefiori E. et al. MRI-based anatomical characterisation of lower-limb muscles in older women. PLoS One
2020;15:e0242973. https://doi.org/10.1371/journal.pone.0242973
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Patient

Knot = tuple[float, float, float, float, float]
"""Height, left and back of the middle of a section, its half width and half depth, mm."""
Part = tuple[float, tuple[Knot, ...]]
"""How far sections turn from left to back, rad, and the sections upwards."""

# fmt: off
HIP_MUSCLES: Mapping[str, tuple[Part, ...]] = MappingProxyType({
    "gluteus_maximus": (
        (-0.47, ((-138, 112, 40, 6, 4), (-112, 106, 46, 22, 11), (-85, 98, 58, 42, 17), (-55, 90, 66, 57, 22),
         (-22, 84, 73, 65, 25), (10, 81, 77, 62, 24), (40, 77, 81, 53, 20), (68, 72, 86, 40, 14),
         (96, 62, 92, 20, 7))),
        (-0.31, ((-70, 58, 74, 20, 14), (-45, 45, 83, 26, 18), (-15, 39, 90, 26, 18), (15, 41, 94, 25, 14),
         (40, 44, 97, 18, 10), (62, 48, 98, 10, 6))),
    ),
    "gluteus_medius": (
        (0.4, ((-14, 147, 14, 5, 9), (2, 141, 13, 11, 19), (22, 130, 12, 20, 34), (45, 128, 12, 24, 44),
         (70, 130, 12, 23, 48), (95, 131, 13, 17, 43), (120, 126, 28, 6, 25))),
    ),
    "gluteus_minimus": (
        (0.34, ((-8, 139, -4, 5, 10), (15, 119, -2, 11, 22), (40, 109, 0, 10, 29), (66, 113, 2, 7, 26))),
    ),
    "iliacus": (
        (0.29, ((8, 98, -33, 15, 12), (26, 96, -28, 19, 18), (45, 93, -17, 17, 27), (70, 98, -6, 16, 32),
         (96, 108, 0, 12, 32), (117, 117, 8, 4, 18))),
    ),
    "tensor_fasciae_latae": (
        (0.42, ((-95, 150, -22, 5, 16), (-50, 142, -36, 10, 20), (0, 134, -46, 12, 20), (50, 129, -49, 8, 13),
         (76, 124, -50, 4, 6))),
    ),
    "sartorius": (
        (0.25, ((-95, 72, -68, 13, 9), (-40, 92, -63, 14, 9), (20, 113, -60, 11, 8), (74, 121, -54, 5, 5))),
    ),
    "rectus_femoris": (
        (0.08, ((-95, 106, -52, 22, 16), (-45, 108, -48, 19, 15), (0, 107, -46, 13, 11), (26, 105, -42, 5, 6))),
    ),
    "vastus": (
        (0.32, ((-95, 134, -10, 24, 38), (-65, 143, -4, 16, 31), (-35, 152, 6, 7, 16))),
        (0.1, ((-95, 110, -30, 28, 14), (-65, 113, -24, 22, 12), (-44, 117, -18, 10, 6))),
        (0, ((-95, 96, 6, 12, 20), (-70, 100, 4, 6, 12))),
    ),
    "obturator_internus": (
        (-0.16, ((-66, 44, -2, 6, 18), (-45, 45, 0, 10, 29), (-20, 47, 4, 11, 35), (5, 51, 10, 9, 32),
         (28, 57, 16, 4, 19))),
    ),
    "levator_ani": (
        (-0.24, ((-82, 8, 34, 4, 8), (-66, 13, 28, 3.2, 17), (-42, 24, 22, 2.4, 24), (-16, 37, 16, 2.2, 26))),
    ),
    "pectineus": (
        (0.37, ((-95, 76, -30, 18, 14), (-60, 66, -39, 24, 14), (-30, 55, -46, 22, 11), (-8, 44, -47, 12, 5))),
    ),
    "adductors": (
        (0.26, ((-95, 44, -40, 25, 17), (-70, 34, -44, 17, 13), (-50, 22, -46, 7, 6))),
        (0.19, ((-95, 56, -2, 36, 23), (-75, 46, -10, 26, 19), (-56, 34, -20, 10, 9))),
        (0.1, ((-95, 17, -14, 6, 20), (-64, 15, -22, 4, 13))),
    ),
    "hamstrings": (
        (0, ((-95, 72, 42, 23, 16), (-75, 69, 43, 15, 10), (-60, 66, 44, 6, 5))),
    ),
    "rectus_abdominis_origin": (
        (0, ((-40, 12, -58, 8, 4), (-15, 18, -66, 15, 5), (10, 24, -74, 20, 5))),
    ),
})
"""Parts of the muscles of the left hip for a stature of 1.70 m, mm from the middle between the hips."""

_STRANDS: Mapping[str, tuple[tuple[tuple[float, float, float], ...], tuple[float, ...]]] = MappingProxyType({
    "piriformis": (((20, 58, 40), (58, 60, 32), (96, 46, 20), (132, 24, 8)), (9, 12, 9, 4)),
    "obturator_externus": (((30, -34, -50), (62, -22, -46), (88, 6, -44), (122, 18, -26)), (10, 15, 12, 4)),
    "quadratus_femoris": (((78, 36, -66), (98, 36, -62), (118, 30, -56)), (12, 13, 9)),
    "gemelli": (((54, 42, -4), (84, 44, 0), (122, 26, 0)), (6, 10, 5)),
})
_BED: tuple[Knot, ...] = (
    (-95, 92, -12, 50, 52), (-60, 97, -12, 50, 52), (-20, 100, -8, 48, 50), (20, 106, -8, 42, 48), (50, 114, -6, 32, 44),
    (78, 120, -2, 16, 34),
)
_SCIATIC_NERVE = ((56, 60, 34), (78, 56, 12), (84, 52, -20), (86, 50, -60), (88, 40, -140))
# fmt: on


def add_hip_muscles(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Draw every muscle of both hips and the sciatic nerves, as strong as the patient."""
    strong = float(rng.uniform(0.9, 1.1))
    for side in SIDES:
        for name in HIP_MUSCLES:
            add_hip_muscle(canvas, name, side, patient, strong=strong, hu=float(rng.normal(0, 3)))
        for points, radii in _STRANDS.values():
            path = np.array(points) * [side, 1, 1] * patient.scale
            size = np.array(radii) * patient.scale * strong
            canvas.tube(path, size + _sheath_mm(patient), "subcutaneous_fat", patient.fat_hu)
            canvas.tube(path, size, "muscle", patient.muscle_hu)
        nerve = np.array(_SCIATIC_NERVE) * [side, 1, 1] * patient.scale
        canvas.tube(nerve, 5.5 * patient.scale, "subcutaneous_fat", patient.fat_hu)
        canvas.tube(nerve, 3.6 * patient.scale, "nerve_root", 35.0)


def add_hip_bed(canvas: Canvas, patient: Patient) -> None:
    """Muscle around the joint, below vessels and organs: what parts the muscles drawn on it is their sheaths alone.

    It is narrower where fat has replaced muscle.
    """
    table = np.array(_BED)
    size = table[:, 3:5] * patient.scale * (1 - 0.5 * max(0.0, patient.streaks - 0.3))
    for side in SIDES:
        path = table[:, [1, 2, 0]] * [side, 1, 1] * patient.scale
        canvas.loft(path, size[:, 0], size[:, 1], "muscle", patient.muscle_hu, squareness=0.35, turn_rad=side * 0.2)


def add_hip_muscle(canvas: Canvas, name: str, side: float, patient: Patient, *, strong: float, hu: float = 0.0) -> None:
    """Draw one muscle of `HIP_MUSCLES` on one side; its parts share a sheath. ``hu`` is added to the patient's muscle.

    ``strong`` is the size of its sections over that of the table.
    """
    sheath = _sheath_mm(patient)
    for tissue, value, grow in (
        ("subcutaneous_fat", patient.fat_hu, sheath), ("muscle", patient.muscle_hu + hu, 0.0)
    ):  # fmt: skip
        for turn_rad, sections in HIP_MUSCLES[name]:
            table = np.array(sections)
            path = table[:, [1, 2, 0]] * [side, 1, 1] * patient.scale
            size = table[:, 3:5] * patient.scale * strong + grow
            canvas.loft(path, size[:, 0], size[:, 1], tissue, value, squareness=0.25, turn_rad=side * turn_rad)


def _sheath_mm(patient: Patient) -> float:
    """Fat between a muscle and its neighbours."""
    return 0.5 + 0.8 * patient.streaks
