"""Lesions of a chosen volume: a deposit is scaled until what bone leaves of it has that volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from osteomet.core.grid import Grid
from osteomet.phantom.body import Body
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.scene import Scene, label_scene, lobes_in, view_body

EXACT, ROUGH = (16, 0.005), (5, 0.05)
"""Steps in the largest radius, and the relative error of volume that `scaled_to` leaves.

Eight steps in a lesion that bone cuts gave its volume to 2.5 % only, sixteen give it to 1 %.
"""
LARGEST_SCALE = 1.7
"""`scaled_to` looks no further than this factor of length."""

_STEP_LIMITS_MM = (0.5, 1.2)
_ROOM_MM = 2.5
_SMALLEST_SCALE = 0.3
_SEARCH_STEPS = 12


def scene_around(body: Body, deposit: Deposit, *, largest: float = 1.0, steps: int = EXACT[0]) -> Scene:
    """View a body on fine cubes around a deposit, with room for it to be ``largest`` times as large.

    ``steps`` is how many cubes there are in its largest radius.
    """
    centre, reach_mm = sphere_of(deposit)
    largest_mm = float(deposit.lobes_mm[:, 3].max())
    step_mm = float(np.clip(largest_mm / steps, *_STEP_LIMITS_MM))
    half_mm = largest * reach_mm + _ROOM_MM
    place = centre - body.warp.shift_mm(centre[None])[0]
    n = int(np.ceil(2 * half_mm / step_mm))
    grid = Grid.from_spacing((n, n, n), (step_mm,) * 3, origin_mm=(place - step_mm * (n - 1) / 2).tolist())
    return view_body(body, grid, margin_mm=_ROOM_MM)


def sphere_of(deposit: Deposit) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Centre (LPS mm, unwarped frame) and radius (mm) of a ball that holds a deposit."""
    centre = np.asarray(deposit.lobes_mm[:, :3].mean(axis=0))
    reach = np.linalg.norm(deposit.lobes_mm[:, :3] - centre, axis=1) + deposit.lobes_mm[:, 3] * deposit.longest
    return centre, float(reach.max()) + deposit.ripple_mm


def volume_ml(scene: Scene, deposit: Deposit) -> float:
    """Volume of one deposit alone in a scene."""
    lesions = label_scene(scene, list(lobes_in(scene, [deposit]))).lesions
    return float(np.count_nonzero(lesions)) * scene.grid.voxel_volume_ml


def scaled(deposit: Deposit, factor: float) -> Deposit:
    """Deposit of the same shape, grown or shrunk about the mean centre of its lobes."""
    centre = deposit.lobes_mm[:, :3].mean(axis=0)
    lobes = deposit.lobes_mm * factor
    lobes[:, :3] += centre * (1 - factor)
    return replace(deposit, lobes_mm=lobes, ripple_mm=deposit.ripple_mm * factor)


def scaled_to(
    body: Body, deposit: Deposit, wanted_ml: float, *, precision: tuple[int, float] = EXACT
) -> Deposit | None:
    """Scale a deposit until its true volume in a body is the one asked for; None where bone leaves no room for it."""
    steps, tolerance = precision
    scene = scene_around(body, deposit, largest=LARGEST_SCALE, steps=steps)
    low, high = _SMALLEST_SCALE, LARGEST_SCALE
    factor = 1.0
    for _ in range(_SEARCH_STEPS):
        candidate = scaled(deposit, factor)
        found_ml = volume_ml(scene, candidate)
        if abs(found_ml / wanted_ml - 1) <= tolerance:
            return candidate
        low, high = (factor, high) if found_ml < wanted_ml else (low, factor)
        guess = factor * float(np.cbrt(wanted_ml / max(found_ml, 1e-6)))
        factor = guess if low < guess < high else (low + high) / 2
    return None
