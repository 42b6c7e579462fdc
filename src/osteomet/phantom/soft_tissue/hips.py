"""Muscles of the hips, each a stack of sections in its sheath of fat, and the sciatic nerve.

Below the crests the body is filled with fat (`outline`), so that what is not muscle, bone or organ is fat as it is in
patients. Sizes are those of an adult of middle age: young ones have about 850 ml of gluteus maximus and 320 ml of
gluteus medius a side (Handsfield 2014), women of about 70 years clearly less (Montefiori 2020).

References
----------
Handsfield G.G. et al. 2014: https://doi.org/10.1016/j.jbiomech.2013.12.002
Montefiori E. et al. 2020: https://doi.org/10.1371/journal.pone.0242973
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Patient

Knot = tuple[float, float, float, float, float, float]
"""Height, left and back of the middle of a section, its half width and half depth, mm, and its turn, rad."""
Part = tuple[Knot, ...]

# fmt: off
HIP_MUSCLES: Mapping[str, tuple[Part, ...]] = MappingProxyType({
    "gluteus_maximus": (
        ((-138, 112, 40, 6, 4, -0.6), (-112, 106, 46, 20, 10, -0.6), (-85, 98, 58, 40, 15, -0.55),
         (-55, 90, 68, 56, 19, -0.5), (-22, 84, 75, 64, 22, -0.46), (10, 82, 79, 61, 21, -0.44),
         (40, 79, 83, 50, 16, -0.42), (68, 74, 87, 34, 10, -0.42), (94, 64, 92, 14, 5, -0.4)),
        ((-70, 60, 74, 20, 14, -0.35), (-45, 46, 84, 24, 17, -0.3), (-15, 42, 92, 24, 17, -0.3),
         (15, 44, 96, 22, 13, -0.3), (40, 46, 97, 14, 8, -0.3)),
    ),
    "gluteus_medius": (
        ((-12, 147, 14, 4, 6, 0.2), (2, 142, 13, 9, 15, 0.25), (22, 130, 12, 17, 30, 0.4), (45, 128, 12, 21, 41, 0.45),
         (70, 130, 12, 20, 45, 0.42), (95, 131, 13, 15, 40, 0.35), (118, 126, 28, 6, 24, 0.5)),
    ),
    "gluteus_minimus": (
        ((-6, 139, -2, 4, 8, 0.2), (15, 119, 0, 9, 19, 0.3), (40, 109, 2, 9, 27, 0.4), (65, 113, 2, 7, 25, 0.35)),
    ),
    "iliacus": (
        ((14, 96, -34, 14, 12, 0.2), (26, 95, -30, 17, 16, 0.2), (45, 92, -18, 16, 25, 0.3), (70, 98, -6, 15, 31, 0.35),
         (96, 108, 0, 11, 31, 0.3), (116, 117, 8, 4, 17, 0.3)),
    ),
    "tensor_fasciae_latae": (
        ((-90, 146, -28, 5, 12, 0.3), (-50, 138, -40, 9, 15, 0.4), (0, 132, -48, 10, 16, 0.5), (50, 128, -50, 6, 11, 0.4)),
    ),
    "sartorius": (
        ((-95, 74, -68, 10, 8, 0.2), (-40, 92, -62, 11, 8, 0.2), (20, 112, -60, 9, 8, 0.1), (70, 121, -54, 5, 5, 0.0)),
    ),
    "rectus_femoris": (
        ((-95, 104, -54, 18, 14, 0.1), (-45, 106, -50, 15, 13, 0.1), (0, 106, -46, 10, 10, 0.0), (24, 105, -42, 5, 6, 0.0)),
    ),
    "vastus": (
        ((-95, 132, -10, 22, 34, 0.35), (-65, 142, -4, 14, 26, 0.3), (-35, 151, 6, 6, 12, 0.2)),
        ((-95, 108, -32, 24, 12, 0.1), (-65, 112, -26, 18, 9, 0.1), (-48, 116, -20, 8, 4, 0.1)),
    ),
    "obturator_internus": (
        ((-64, 44, -2, 5, 16, -0.25), (-45, 45, 0, 8, 27, -0.22), (-20, 47, 3, 9, 32, -0.16), (5, 51, 8, 8, 29, -0.1),
         (26, 57, 14, 4, 17, -0.1)),
    ),
    "levator_ani": (
        ((-82, 8, 34, 4, 8, -0.2), (-66, 13, 28, 3.2, 17, -0.25), (-42, 24, 22, 2.4, 24, -0.3), (-16, 37, 16, 2.2, 26, -0.2)),
    ),
    "pectineus": (
        ((-95, 70, -30, 15, 12, 0.3), (-60, 60, -40, 19, 13, 0.3), (-30, 50, -45, 17, 10, 0.25), (-12, 44, -46, 10, 5, 0.2)),
    ),
    "adductors": (
        ((-95, 42, -40, 21, 15, 0.3), (-70, 32, -44, 13, 11, 0.2), (-52, 22, -46, 5, 5, 0.1)),
        ((-95, 52, -2, 30, 20, 0.2), (-75, 42, -10, 20, 16, 0.2), (-58, 32, -20, 8, 8, 0.1)),
        ((-95, 18, -14, 6, 18, 0.1), (-66, 15, -22, 4, 12, 0.1)),
    ),
    "hamstrings": (
        ((-95, 70, 44, 20, 15, 0.0), (-75, 68, 44, 13, 9, 0.0), (-62, 66, 44, 6, 5, 0.0)),
    ),
    "rectus_abdominis_origin": (
        ((-40, 12, -58, 8, 4, 0.0), (-15, 18, -66, 15, 5, 0.0), (10, 24, -74, 20, 5, 0.0)),
    ),
})
"""Sections of the muscles of the left hip for a stature of 1.70 m, mm from the middle between the hips, upwards."""

_STRANDS: Mapping[str, tuple[tuple[tuple[float, float, float], ...], tuple[float, ...]]] = MappingProxyType({
    "piriformis": (((20, 58, 40), (58, 60, 32), (96, 46, 20), (132, 24, 8)), (9, 12, 9, 4)),
    "obturator_externus": (((34, -32, -48), (62, -20, -48), (88, 10, -42), (122, 18, -26)), (9, 13, 10, 4)),
    "quadratus_femoris": (((80, 34, -62), (98, 34, -58), (116, 28, -54)), (10, 11, 8)),
    "gemelli": (((54, 40, 0), (84, 42, 4), (122, 24, 2)), (5, 8, 4)),
})
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


def add_hip_muscle(canvas: Canvas, name: str, side: float, patient: Patient, *, strong: float, hu: float = 0.0) -> None:
    """Draw one muscle of `HIP_MUSCLES` on one side; its parts share a sheath. ``hu`` is added to the patient's muscle.

    ``strong`` is the size of its sections over that of the table.
    """
    sheath = _sheath_mm(patient)
    for tissue, value, grow in (
        ("subcutaneous_fat", patient.fat_hu, sheath), ("muscle", patient.muscle_hu + hu, 0.0)
    ):  # fmt: skip
        for part in HIP_MUSCLES[name]:
            table = np.array(part)
            path = table[:, [1, 2, 0]] * [side, 1, 1] * patient.scale
            size = table[:, 3:5] * patient.scale * strong + grow
            canvas.loft(path, size[:, 0], size[:, 1], tissue, value, squareness=0.25, turn_rad=side * table[:, 5])


def _sheath_mm(patient: Patient) -> float:
    """Fat between a muscle and its neighbours."""
    return 0.5 + 0.8 * patient.streaks
