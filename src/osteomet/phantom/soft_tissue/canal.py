"""What the column holds: discs, epidural fat, the dural sac with cord and roots, and ligaments behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.skeleton.anatomy import Column, Vertebra
from osteomet.phantom.soft_tissue.between_spines import add_between_spines
from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient

_CONUS_PLACE = 19.6
"""The cord ends at the disc between L1 and L2 on average."""
_SAC_END_PLACE = 25.3
_WAIST_MM = 1.2
"""How much further forwards than behind a disc the sac may reach behind the middle of a body."""
_N_SHEAVES = 4
"""Sheaves of roots on each side of the sac below the cord."""
_CORD_MM = ((1, 6.6, 4.4), (4, 7.0, 3.9), (7, 6.0, 3.6), (12, 4.7, 3.4), (17, 5.0, 3.9), (19, 3.6, 3.2))
"""Half width and half depth of the cord by place: wide in the neck and above its end."""


def add_canal(
    canvas: Canvas, column: Column, levels: Levels, patient: Patient, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw discs and the contents of the canal from the skull to S2; return the sac as `SoftTissue` keeps it."""
    for v in column.vertebrae:
        if v.disc_below_mm > 0:
            _add_disc(canvas, v, patient, rng)
    places = levels.places_between(_SAC_END_PLACE + 0.6, 0.0, 0.5)
    middle = _canal_middle(column, levels, places)
    half_width = np.interp(places, *_sizes(column, "canal_width")) / 2
    half_depth = np.interp(places, *_sizes(column, "canal_depth")) / 2
    slope = _slope(middle)
    canvas.loft(middle, half_width - 0.4, half_depth / slope, "epidural_fat", patient.fat_hu + 15, squareness=0.4)
    for v in column.vertebrae:
        if v.disc_below_mm > 0:
            _add_fat_behind(canvas, v, patient)
            _add_yellow_ligaments(canvas, v, patient)
    add_between_spines(canvas, column, patient, rng.spawn(1)[0])
    # Fat lies behind the sac and, in the sacrum, all round it.
    fill = np.interp(places, [0, 8, 17, 22, 24, 25, _SAC_END_PLACE + 0.6], [0.86, 0.84, 0.88, 0.86, 0.7, 0.5, 0.12])
    fill = fill * rng.uniform(0.94, 1.03)
    sac = middle - np.column_stack([np.zeros(len(places)), (1 - fill) * half_depth * 0.8, np.zeros(len(places))])
    sac_width, sac_depth = half_width * fill, half_depth * fill / slope
    # The waist of a body leaves the sac room, which bone then cuts to its shape.
    swell = 0.5 * _WAIST_MM * np.cos(np.pi * (places - np.round(places))) ** 2 * (places < 24.0)
    sac[:, 1] -= swell
    sac_depth = sac_depth + swell
    # The sac lies over the fat of the foramina, which would reach into it.
    _add_roots(canvas, column, patient)
    canvas.loft(sac, sac_width + 0.5, sac_depth + 0.5, "ligament", 55.0)
    canvas.loft(sac, sac_width, sac_depth, "csf", float(rng.uniform(8, 20)))
    _add_cord(canvas, sac, places, rng)
    _add_cauda(canvas, sac, sac_width, sac_depth, places, rng)
    return np.column_stack([sac[:, 2], sac[:, :2], sac_width, sac_depth, places])


def _sizes(column: Column, name: str) -> tuple[list[float], list[float]]:
    """Places and one size of every vertebra, ascending, with the sacral canal added."""
    found = sorted((v.place, float(getattr(v.sizes, name))) for v in column.vertebrae)
    last = found[-1][1]
    sacral = [(24.0, 0.95 * last), (25.0, 0.72 * last), (26.0, 0.5 * last)]
    pairs = found + sacral
    return [p for p, _ in pairs], [s for _, s in pairs]


def _canal_middle(column: Column, levels: Levels, places: np.ndarray) -> np.ndarray:
    """Middle of the canal at places, world mm: half the canal behind the back wall of the bodies."""
    rows = sorted([(v.place, *v.at(0, v.depth_mm / 2 + v.sizes.canal_depth / 2, 0)) for v in column.vertebrae])
    for segment, place in enumerate((24.0, 25.0, 26.0)):
        centre, tilt = levels.at(place), column.sacral_tilt_rad + 0.32 * segment
        back = (20.0 - 3.0 * segment) * column.scale
        rows.append((place, centre[0], centre[1] + back * np.cos(tilt), centre[2] - back * np.sin(tilt)))
    table = np.array(rows)
    points = np.stack([np.interp(places, table[:, 0], table[:, a]) for a in (1, 2, 3)], axis=-1)
    points[:, 2] = np.maximum.accumulate(points[:, 2] + 1e-3 * np.arange(len(points)))
    return points


def _slope(path: np.ndarray) -> np.ndarray:
    """Cosine of the tilt of a path against the vertical: a slice through a tilted tube is deeper."""
    step = np.gradient(path, axis=0)
    return np.asarray(np.clip(step[:, 2] / np.linalg.norm(step, axis=1), 0.6, 1.0))


def _add_disc(canvas: Canvas, v: Vertebra, patient: Patient, rng: np.random.Generator) -> None:
    """Annulus and nucleus below a vertebra; worn discs bulge and may hold gas."""
    wear = float(np.clip(patient.wear + rng.normal(0, 0.2), 0, 1))
    place = v.at(0, 0, -(v.height_mm + v.disc_below_mm) / 2)
    bulge = rng.uniform(0, 1.5) * wear
    annulus = float(rng.normal(88, 8) + 8 * wear)
    size = (v.width_mm, v.depth_mm, v.disc_below_mm + 4.0)
    canvas.drum(place, v.axes, size, (0.3 + bulge) / (v.depth_mm / 2), "annulus", annulus)
    _add_nucleus(canvas, v, place + v.axes @ np.array([0, 0.05 * v.depth_mm, 0]), wear, annulus)
    if wear > 0.55 and rng.random() < 0.3:
        gas = place + v.axes @ (rng.uniform(-0.15, 0.15, 3) * [v.width_mm, v.depth_mm, 0])
        size = (v.width_mm * rng.uniform(0.1, 0.3), v.depth_mm * rng.uniform(0.1, 0.25), rng.uniform(0.7, 1.6))
        canvas.ellipsoid(gas, size, "gas", float(rng.uniform(-800, -300)), axes=v.axes)


def _add_nucleus(canvas: Canvas, v: Vertebra, place: NDArray[np.float64], wear: float, annulus_hu: float) -> None:
    """A flat lens that the end plates bound, fading into the annulus; worn ones are small."""
    half, hu = v.disc_below_mm / 2, annulus_hu - 18 * (1 - wear)
    if wear > 0.5:
        radii = np.array([0.30 * v.width_mm, 0.29 * v.depth_mm, half + 0.6])
        canvas.ellipsoid(place, radii, "nucleus_degenerated", hu, axes=v.axes)
        return
    rim = np.array([0.39 * v.width_mm, 0.40 * v.depth_mm, half + 1.5])
    canvas.ellipsoid(place, rim, "nucleus_degenerated", 0.5 * (hu + annulus_hu), axes=v.axes)
    canvas.ellipsoid(place, rim * (0.9, 0.88, 0.95), "nucleus_hydrated", hu, axes=v.axes)


def _add_fat_behind(canvas: Canvas, v: Vertebra, patient: Patient) -> None:
    """Fat behind the sac, between the arches of a vertebra and the one below."""
    size = min(1.0, v.height_mm / 26)
    back = v.depth_mm / 2 + v.sizes.canal_depth
    low = -0.5 * v.height_mm - 0.6 * v.disc_below_mm
    canvas.ellipsoid(v.at(0, back - 0.5, low), np.array([6.0, 5.0, 9.5]) * size, "epidural_fat", patient.fat_hu + 15,
                     axes=v.axes)  # fmt: skip


def _add_yellow_ligaments(canvas: Canvas, v: Vertebra, patient: Patient) -> None:
    """The two yellow ligaments between the laminae of a vertebra and the one below."""
    back = v.depth_mm / 2 + v.sizes.canal_depth
    thick = (1.1 + 0.9 * patient.wear) * min(1.0, v.height_mm / 22)
    for side in SIDES:
        low = v.at(side * 0.24 * v.sizes.canal_width, back - 1.0, -0.5 * v.height_mm - v.disc_below_mm)
        high = v.at(side * 0.20 * v.sizes.canal_width, back - 0.2, -0.25 * v.height_mm)
        canvas.tube(np.array([low, high]), thick + 0.7, "ligament", 78.0)


def _add_cord(canvas: Canvas, sac: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> None:
    """The cord with its conus, a little in front of the middle of the sac."""
    knots = np.array(_CORD_MM)
    end = _CONUS_PLACE + rng.normal(0, 0.5)
    inside = places <= end + 0.6
    path, where = sac[inside], places[inside]
    taper = np.clip((end + 0.6 - where) / 1.6, 0.08, 1.0)
    size = rng.uniform(0.92, 1.08)
    canvas.loft(
        path,
        np.interp(where, knots[:, 0], knots[:, 1]) * taper * size,
        np.interp(where, knots[:, 0], knots[:, 2]) * taper * size,
        "cord", float(rng.uniform(34, 42)),
    )  # fmt: skip


def _add_cauda(
    canvas: Canvas, sac: np.ndarray, width: np.ndarray, depth: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> None:
    """Roots below the cord, in sheaves that thin out downwards.

    They lie in the back of the sac of a patient on the back, and the outer ones leave it first.
    """
    for side in SIDES:
        for n in range(_N_SHEAVES):
            across = (n + rng.uniform(0.3, 1.0)) / _N_SHEAVES
            last = _SAC_END_PLACE - 0.4 - 3.2 * across + rng.uniform(-0.3, 0.3)
            rows = np.flatnonzero((places > _CONUS_PLACE - 0.8) & (places < last))
            behind = (0.78 - 0.3 * across) * rng.uniform(0.75, 1.1)
            low = np.clip((places[rows] - _CONUS_PLACE) / 1.5, 0, 1)
            # Beside the cord they spread around it; below it they fall together behind.
            left = side * (0.08 + (0.75 - 0.25 * low) * across) * width[rows] * np.sqrt(1 - behind**2)
            wander = np.cumsum(rng.normal(0, 0.05, rows.size)) * depth[rows]
            offset = np.column_stack([left, behind * depth[rows] * (0.5 + 0.5 * low) + wander, np.zeros(rows.size)])
            thin = np.linspace(0.4, 1.0, rows.size)
            canvas.loft(
                sac[rows] + offset, rng.uniform(0.4, 1.0) * thin, rng.uniform(0.1, 0.35) * thin, "nerve_root", 40.0
            )


def _add_roots(canvas: Canvas, column: Column, patient: Patient) -> None:
    """Fat of the foramina with the root and its ganglion in it, below each pedicle."""
    for v in column.vertebrae:
        if v.disc_below_mm <= 0:
            continue
        size = min(1.0, v.height_mm / 24)
        for side in SIDES:
            inner = v.at(side * v.sizes.canal_width * 0.42, v.depth_mm / 2 + 3.5, -0.25 * v.height_mm)
            outer = v.at(side * (v.sizes.canal_width * 0.5 + 11 * size), v.depth_mm / 2 + 3.0, -0.42 * v.height_mm)
            canvas.tube(np.array([inner, outer]), 4.6 * size + 1.0, "epidural_fat", patient.fat_hu + 10)
            canvas.tube(np.array([inner, outer]), [1.4 * size, 2.6 * size], "nerve_root", 40.0)
