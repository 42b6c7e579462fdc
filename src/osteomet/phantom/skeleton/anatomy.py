"""The column: who the patient is, how many vertebrae there are, where each one stands and how large it is.

References
----------
NCD Risk Factor Collaboration. A century of trends in adult human height. eLife 2016;5:e13410.
https://doi.org/10.7554/eLife.13410
Tins B.J., Balain B. Incidence of numerical variants and transitional lumbosacral vertebrae on whole-spine MRI. Insights
Imaging 2016;7:199-203. https://doi.org/10.1007/s13244-016-0468-7
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from osteomet.phantom.skeleton.collapse import collapsed_height
from osteomet.phantom.skeleton.morphometry import PLACES, Sizes, places_of, sizes_at, varied


class Sex(StrEnum):
    """Sex, as far as it shapes bones."""

    FEMALE = "female"
    MALE = "male"


class Numbering(StrEnum):
    """How many vertebrae of each kind a column has, and whether the last lumbar one is part of the sacrum."""

    USUAL = "usual"
    T13 = "T13"
    L6 = "L6"
    SACRALISED_L5 = "sacralised L5"
    ELEVEN_THORACIC = "eleven thoracic"
    FOUR_LUMBAR = "four lumbar"


NUMBERING_ODDS: Mapping[Numbering, float] = MappingProxyType(
    {
        Numbering.USUAL: 374 / 418,
        Numbering.T13: 9 / 418,
        Numbering.L6: 13 / 418,
        Numbering.SACRALISED_L5: 8 / 418,
        Numbering.ELEVEN_THORACIC: 7 / 418,
        Numbering.FOUR_LUMBAR: 7 / 418,
    }
)
"""Prevalence after Tins and Balain 2016: of 418 columns 18 had one mobile vertebra more and 14 one less, 8 a sacralised
L5 and 4 a lumbarised S1 (here an L6 above four sacral segments). They do not tell thoracic from lumbar variants: half
of each is our choice."""
_COUNTS = {
    Numbering.T13: (13, 5),
    Numbering.L6: (12, 6),
    Numbering.ELEVEN_THORACIC: (11, 5),
    Numbering.FOUR_LUMBAR: (12, 4),
}
_STATURE_MM = {Sex.MALE: (1760.0, 68.0), Sex.FEMALE: (1630.0, 63.0)}
_REFERENCE_STATURE_MM = 1700.0
_BREADTH = {Sex.MALE: 1.02, Sex.FEMALE: 0.97}
# Sagittal tilt in degrees of the superior axis of a level, positive to posterior, of a supine adult.
_TILT_KNOTS = {
    "L5": -22.0, "L3": 0.0, "L1": 9.0, "T10": 10.0, "T6": -3.0, "T2": -22.0, "C6": -14.0, "C3": 2.0, "C1": 8.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Facet joint: its middle (LPS mm) and the unit normal from the lower vertebra to the upper one."""

    centre_mm: NDArray[np.float64]
    normal: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Vertebra:
    """One vertebra: centre of its body (LPS mm), own axes as columns (left, posterior, superior), body size in mm.

    ``place`` says which level of the usual column it is shaped as (0 is C1, 23 is L5). Joints are (left, right); the
    atlas has no disc below it (0 mm), and its body size is that of anterior arch and dens together.
    """

    name: str
    centre_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    width_mm: float
    depth_mm: float
    height_mm: float
    disc_below_mm: float
    wedge: float
    place: float
    sizes: Sizes
    joints_above: tuple[Joint, Joint]
    joints_below: tuple[Joint, Joint]

    def at(self, u_mm: float, v_mm: float, w_mm: float) -> NDArray[np.float64]:
        """World position of a point in the frame of the vertebra: left, posterior, superior of the body centre."""
        return np.asarray(self.centre_mm + self.axes @ np.array([u_mm, v_mm, w_mm]))

    def own(self, xyz_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position in the frame of the vertebra of a world point: the inverse of `at`."""
        return np.asarray(self.axes.T @ (xyz_mm - self.centre_mm))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The column from the lowest lumbar vertebra up to C1, with the frame of the first sacral body, and whose it is.

    ``scale`` is the stature over 1.70 m and scales all bones. ``curvature`` multiplies the usual lordosis and kyphosis,
    ``scoliosis_deg`` is the largest coronal lean. ``wear`` runs from 0 (young) to 1: discs are narrow and rims and
    joints ought to be worn in proportion. ``joints_of_sacrum`` are its joints with the last lumbar vertebra.
    """

    vertebrae: tuple[Vertebra, ...]
    sacrum_centre_mm: NDArray[np.float64]
    sacral_tilt_rad: float
    scale: float
    sex: Sex
    age_years: float
    stature_mm: float
    numbering: Numbering
    n_sacral: int
    curvature: float
    scoliosis_deg: float
    wear: float
    joints_of_sacrum: tuple[Joint, Joint]

    def nearest(self, name: str) -> Vertebra:
        """Return the vertebra of this name, or where a variant lacks it the one shaped most like it."""
        return min(self.vertebrae, key=lambda v: (v.name != name, abs(v.place - _place(name))))


def _place(name: str) -> float:
    """Place of a level by name, also of T13 (as T12) and L6 (as L5)."""
    return PLACES.get(name, PLACES["T12" if name == "T13" else "L5"])


@dataclass(frozen=True, slots=True)
class _Person:
    """What is drawn before any vertebra."""

    sex: Sex
    age_years: float
    stature_mm: float
    numbering: Numbering
    wear: float

    @property
    def scale(self) -> float:
        return self.stature_mm / _REFERENCE_STATURE_MM


def _sample_person(
    rng: np.random.Generator, sex: Sex | None, numbering: Numbering | None, age_years: float | None
) -> _Person:
    """Draw sex, age, stature, numbering and wear."""
    drawn_sex = Sex(str(rng.choice([s.value for s in Sex])))
    drawn_numbering = Numbering(str(rng.choice([n.value for n in NUMBERING_ODDS], p=list(NUMBERING_ODDS.values()))))
    sex = sex or drawn_sex
    age = float(np.clip(rng.normal(62, 14), 20, 95))
    age = age if age_years is None else age_years
    mean, spread = _STATURE_MM[sex]
    stature = float(np.clip(rng.normal(mean, spread), 1450, 1980))
    wear = float(np.clip((age - 25) / 65 + rng.normal(0, 0.18), 0, 1))
    return _Person(sex, age, stature, numbering or drawn_numbering, wear)


def sample_column(
    rng: np.random.Generator,
    *,
    sex: Sex | None = None,
    numbering: Numbering | None = None,
    age_years: float | None = None,
    collapsed: Mapping[str, float] = MappingProxyType({}),
) -> Column:
    """Draw a column: sex, age, stature, numbering, lordosis, kyphosis, scoliosis, level by level variation.

    ``sex``, ``numbering`` and ``age_years`` fix what would be drawn: the sexes evenly, variants by `NUMBERING_ODDS`,
    age normal about 62 years as cancer cohorts are, stature by sex (NCD-RisC 2016). The centre of the first sacral body
    lies at (0, 45, 85) mm times the scale, in a frame whose origin lies midway between the hip joints. ``collapsed``
    names levels with the share of anterior height that each has lost (`collapse.collapsed_height`).
    """
    person = _sample_person(rng, sex, numbering, age_years)
    scale = person.scale
    places = dict(reversed(places_of(*_COUNTS.get(person.numbering, (12, 5))).items()))
    curvature = float(rng.uniform(0.4, 1.4))
    tilt = _tilts(rng, np.array(list(places.values())), curvature)
    lean = _leans(rng, len(places))
    sacral_tilt = float(np.deg2rad(-40 + rng.normal(0, 7)))
    sacrum = np.array([0.0, 45.0, 85.0]) * scale
    before = frame(sacral_tilt, 0.0)
    top = sacrum + before[:, 2] * 15.0 * scale
    joints = sacral_joints = _sacral_joints(sacrum, before, scale)
    slim_disc = rng.uniform(0.75, 1.15) - 0.3 * person.wear
    vertebrae: list[Vertebra] = []
    for (name, place), forward, sideways in zip(places.items(), tilt, lean, strict=True):
        sizes = varied(sizes_at(place), rng, scale=scale, breadth=_BREADTH[person.sex])
        is_narrow = rng.random() < 0.05 + 0.15 * person.wear
        gap = sizes.disc * (slim_disc * (0.6 if is_narrow else 1.0) if name != "C1" else 1.0)
        if person.numbering is Numbering.SACRALISED_L5 and name == "L5":
            gap *= 0.5
        wedge = -float(rng.normal(0.02, 0.02))
        if name in collapsed:
            height, wedge = collapsed_height(sizes.height, wedge, collapsed[name])
            sizes = replace(sizes, height=height)
        axes = frame(float(forward), float(sideways))
        middle = before[:, 2] + axes[:, 2]
        centre = top + gap * middle / np.linalg.norm(middle) + axes[:, 2] * sizes.height / 2
        above = _joints_above(centre, axes, sizes)
        vertebrae.append(
            Vertebra(
                name, centre, axes, sizes.width, sizes.depth, sizes.height, gap if name != "C1" else 0.0, wedge, place,
                sizes, above, joints,
            )
        )  # fmt: skip
        top, before, joints = centre + axes[:, 2] * sizes.height / 2, axes, above
    return Column(
        vertebrae=tuple(vertebrae),
        sacrum_centre_mm=sacrum,
        sacral_tilt_rad=sacral_tilt,
        scale=scale,
        sex=person.sex,
        age_years=person.age_years,
        stature_mm=person.stature_mm,
        numbering=person.numbering,
        n_sacral=4 if person.numbering is Numbering.L6 and rng.random() < 4 / 13 else 5,
        curvature=curvature,
        scoliosis_deg=float(np.rad2deg(np.abs(lean).max())),
        wear=person.wear,
        joints_of_sacrum=sacral_joints,
    )


def _tilts(rng: np.random.Generator, places: NDArray[np.float64], curvature: float) -> NDArray[np.float64]:
    """Sagittal tilt of each level in radians."""
    knots = sorted((PLACES[n], t * curvature + rng.normal(0, 3)) for n, t in _TILT_KNOTS.items())
    return np.asarray(np.deg2rad(CubicSpline([k for k, _ in knots], [t for _, t in knots])(places)))


def _leans(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Coronal lean of each level in radians: a wave, mostly slight, plus a little of its own."""
    scoliosis = np.deg2rad(rng.choice([2.0, 6.0, 14.0], p=[0.6, 0.3, 0.1]) * rng.normal())
    phase, wave = rng.uniform(0, 2 * np.pi), rng.uniform(6, 14)
    return np.asarray(scoliosis * np.sin(2 * np.pi * np.arange(n) / wave + phase) + rng.normal(0, 0.015, n))


def _joints_above(centre: NDArray[np.float64], axes: NDArray[np.float64], s: Sizes) -> tuple[Joint, Joint]:
    """Left and right joints of a vertebra with the one above it."""
    back, up = s.depth / 2 + s.joint_back, s.height / 2 + s.joint_up
    left, right = (
        Joint(
            centre + axes @ np.array([side * s.joint_side, back, up]),
            axes @ np.array([side * s.faces_out, s.faces_back, s.faces_up]),
        )
        for side in (1.0, -1.0)
    )
    return left, right


def _sacral_joints(centre: NDArray[np.float64], axes: NDArray[np.float64], scale: float) -> tuple[Joint, Joint]:
    """Joints of the sacrum with the last lumbar vertebra; they face backwards and inwards."""
    normal = np.array([-0.55, 0.83, 0.0]) / np.hypot(0.55, 0.83)
    left, right = (
        Joint(centre + axes @ (np.array([side * 21.5, 31.0, 16.0]) * scale), axes @ (normal * [side, 1, 1]))
        for side in (1.0, -1.0)
    )
    return left, right


def frame(tilt_rad: float, lean_rad: float) -> NDArray[np.float64]:
    """Axes (left, posterior, superior as columns) after a sagittal tilt to posterior and a coronal lean to the left."""
    superior = np.array([np.sin(lean_rad), np.sin(tilt_rad) * np.cos(lean_rad), np.cos(tilt_rad) * np.cos(lean_rad)])
    left = np.array([1.0, 0.0, 0.0]) - superior[0] * superior
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(superior, left), superior], axis=1)
