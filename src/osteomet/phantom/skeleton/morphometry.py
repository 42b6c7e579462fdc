"""Sizes of each vertebra: a table of adult means and its interpolation for columns with more or fewer levels.

Values lie near the published means of cadaver morphometry; heights and body widths are those of the outer surface as CT
shows it, one to four millimetres above what calipers give inside the rims.

References
----------
Panjabi M.M. et al. Cervical human vertebrae. Spine 1991;16:861-869. https://doi.org/10.1097/00007632-199108000-00001
Panjabi M.M. et al. Thoracic human vertebrae. Spine 1991;16:888-901. https://doi.org/10.1097/00007632-199108000-00006
Panjabi M.M. et al. Human lumbar vertebrae. Spine 1992;17:299-306. https://doi.org/10.1097/00007632-199203000-00010
Panjabi M.M. et al. Articular facets of the human spine. Spine 1993;18:1298-1310.
https://doi.org/10.1097/00007632-199308000-00009
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from osteomet.core.vocabulary import CERVICAL, LUMBAR, THORACIC


@dataclass(frozen=True, slots=True)
class Sizes:
    """One level, mm: body, canal, pedicle, span of the transverse processes, spinous process and upper joints.

    ``disc`` lies below the body. ``spinous_reach`` goes from the back of the body to the tip of the spinous process,
    ``spinous_drop`` from the middle of the body down to it. An upper joint lies ``joint_side`` to each side,
    ``joint_back`` behind the back of the body and ``joint_up`` above its upper end plate; its lower surface faces
    sideways (positive: outwards), backwards and upwards by the last three numbers.
    """

    width: float
    depth: float
    height: float
    disc: float
    canal_width: float
    canal_depth: float
    pedicle_width: float
    pedicle_height: float
    transverse_span: float
    spinous_reach: float
    spinous_drop: float
    joint_side: float
    joint_back: float
    joint_up: float
    faces_out: float
    faces_back: float
    faces_up: float


# fmt: off
_TABLE = {
    #     width depth height disc  canal       pedicle     span  reach drop  joint             faces
    "C1": (18.0, 16.0, 11.0, 2.5, 27.0, 17.0,  8.0,  8.0,  75.0, 26.0,  0.0, 23.0,  0.0,  4.0,  0.10, 0.10, 0.98),
    "C2": (18.5, 15.0, 19.0, 4.5, 24.0, 17.0,  7.5,  9.0,  53.0, 34.0,  8.0, 16.0, -7.0,  1.0,  0.35, 0.00, 0.94),
    "C3": (17.5, 15.5, 13.5, 4.5, 23.0, 15.5,  5.3,  7.3,  50.0, 32.0, 10.0, 20.0,  4.0,  2.0,  0.00, 0.70, 0.71),
    "C4": (18.0, 15.5, 13.0, 4.5, 23.5, 15.0,  5.3,  7.3,  51.0, 32.0, 11.0, 20.0,  4.0,  2.0,  0.00, 0.70, 0.71),
    "C5": (18.5, 15.7, 13.0, 4.5, 24.0, 15.0,  5.4,  7.0,  52.0, 34.0, 11.0, 20.0,  4.0,  2.0,  0.00, 0.70, 0.71),
    "C6": (20.0, 16.3, 13.0, 4.5, 24.5, 15.0,  5.8,  7.3,  54.0, 40.0, 10.5, 20.0,  4.5,  2.0,  0.00, 0.74, 0.67),
    "C7": (24.0, 17.0, 14.5, 4.5, 24.0, 15.0,  6.6,  8.0,  64.0, 48.0, 12.0, 18.5,  6.0,  2.0,  0.00, 0.82, 0.57),
    "T1": (29.7, 19.0, 16.3, 4.5, 21.5, 15.5,  8.5, 10.0,  75.0, 44.0,  9.0, 15.0,  8.0,  2.0,  0.10, 0.85, 0.50),
    "T2": (28.7, 20.0, 17.3, 4.0, 19.0, 15.5,  7.2, 11.5,  69.0, 40.0, 16.0, 12.5, 10.5,  3.0,  0.15, 0.90, 0.40),
    "T3": (27.7, 22.0, 17.9, 3.7, 18.0, 15.5,  6.0, 12.0,  63.0, 38.0, 20.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T4": (28.2, 24.6, 18.4, 3.5, 17.5, 15.5,  5.3, 12.0,  60.0, 36.0, 22.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T5": (29.2, 26.6, 19.0, 3.5, 17.0, 15.5,  5.3, 12.0,  60.0, 35.0, 24.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T6": (30.7, 28.4, 19.6, 3.8, 17.0, 15.5,  5.5, 12.3,  60.0, 34.0, 25.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T7": (31.8, 29.7, 20.2, 4.0, 17.0, 15.5,  5.8, 12.5,  59.0, 34.0, 25.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T8": (32.8, 30.7, 20.7, 4.2, 17.0, 15.5,  6.3, 13.0,  59.0, 34.0, 25.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T9": (34.3, 31.8, 21.2, 4.5, 17.2, 15.5,  7.0, 14.0,  58.0, 34.0, 22.0, 11.5, 12.0,  3.0,  0.20, 0.93, 0.33),
    "T10": (36.4, 32.3, 21.9, 5.0, 18.0, 15.5, 7.8, 15.0,  56.0, 34.0, 17.0, 11.5, 12.0,  3.0,  0.18, 0.93, 0.30),
    "T11": (38.9, 32.8, 22.9, 5.8, 19.0, 16.0, 8.5, 16.0,  51.0, 34.0, 12.0, 11.5, 12.5,  3.0,  0.12, 0.95, 0.28),
    "T12": (42.0, 33.1, 24.5, 6.8, 21.5, 17.0, 8.0, 16.0,  48.0, 37.0, 10.0, 11.5, 13.0,  3.0,  0.08, 0.95, 0.25),
    "L1": (44.1, 33.8, 25.8, 7.5, 22.5, 17.0,  8.2, 15.5,  71.0, 43.0,  7.0, 12.5, 14.5,  3.0, -0.86, 0.50, 0.00),
    "L2": (45.6, 34.8, 26.5, 8.5, 23.0, 16.5,  8.7, 15.0,  77.0, 47.0,  7.0, 13.0, 15.0,  3.0, -0.84, 0.54, 0.00),
    "L3": (47.1, 35.9, 27.0, 9.5, 23.5, 16.5, 10.3, 14.8,  86.0, 50.0,  7.0, 14.0, 15.5,  2.5, -0.80, 0.60, 0.00),
    "L4": (49.2, 36.2, 27.0, 10.5, 24.5, 16.5, 13.0, 15.0, 83.0, 48.0,  7.0, 15.5, 15.5,  2.0, -0.72, 0.70, 0.00),
    "L5": (51.2, 35.9, 26.5, 10.0, 26.5, 17.0, 16.5, 16.0, 87.0, 41.0,  7.0, 18.0, 15.5,  2.0, -0.66, 0.75, 0.00),
}
# fmt: on
PLACES = {name: float(place) for place, name in enumerate((*CERVICAL, *THORACIC, *LUMBAR))}
"""Place of each level of the usual column, 0 for C1 to 23 for L5."""
_ROWS = np.array(list(_TABLE.values()))


def places_of(n_thoracic: int, n_lumbar: int) -> dict[str, float]:
    """Place of every vertebra of a column on the scale of `PLACES`, head to foot.

    The first and last vertebra of a region keep the places of the usual first and last one, so that in a column with
    six lumbar vertebrae L6 is shaped as L5 usually is.

    Examples
    --------
    >>> places_of(12, 6)["L6"] == PLACES["L5"]
    True
    """
    regions = (("C", 7, "C7"), ("T", n_thoracic, "T12"), ("L", n_lumbar, "L5"))
    found = {}
    for letter, n, last in regions:
        for number, place in enumerate(np.linspace(PLACES[f"{letter}1"], PLACES[last], n), start=1):
            found[f"{letter}{number}"] = float(place)
    return found


def sizes_at(place: float) -> Sizes:
    """Mean adult sizes at a place between 0 (C1) and 23 (L5), mm."""
    return Sizes(*(float(np.interp(place, np.arange(len(_ROWS)), column)) for column in _ROWS.T))


def varied(sizes: Sizes, rng: np.random.Generator, *, scale: float, breadth: float) -> Sizes:
    """One person's sizes: all scaled, widths and depths also by ``breadth``, each with its own 3 to 6 per cent.

    The directions that a joint faces are turned at random by about 4 degrees instead.
    """
    spread = np.array([0.03] * 4 + [0.05] * 7 + [0.03, 0.05, 0.05])
    factors = scale * rng.normal(1.0, spread)
    factors[[0, 1]] *= breadth
    values = np.array(astuple(sizes))
    n = len(factors)
    values[:n] *= factors
    values[n:] += rng.normal(0, 0.07, 3)
    values[n:] /= np.linalg.norm(values[n:])
    return Sizes(*values.tolist())
