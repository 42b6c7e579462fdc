"""Volume of a lesion as the phantom defines it, before any scanner samples it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from osteomet.core.grid import Grid
from osteomet.phantom.body import Body
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.scene import Scene, label_scene, lobes_in, view_body

_STEPS_PER_RADIUS = 10
_STEP_LIMITS_MM = (0.4, 1.0)
_ROOM_MM = 2.5


def true_volumes_ml(body: Body, numbers: Sequence[int]) -> dict[int, float]:
    """Measure metastases by instance number (from 1, in the order of the deposits), ml.

    The labels are evaluated on cubes of a tenth of the largest radius (0.4 to 1 mm) around each lesion: what bone
    cuts off and what later lesions overlay is gone, what breaks out counts up to `scene.BREACH_MM`.
    """
    metastases = [deposit for deposit in body.deposits if deposit.is_metastasis]
    volumes = {}
    for number in numbers:
        scene = scene_around(body, metastases[number - 1])
        truth = label_scene(scene, list(lobes_in(scene, body.deposits)))
        volumes[number] = float(np.count_nonzero(truth.lesions == number)) * scene.grid.voxel_volume_ml
    return volumes


def scene_around(body: Body, deposit: Deposit, *, largest: float = 1.0) -> Scene:
    """View a body on fine cubes around a deposit, with room for it to be ``largest`` times as large."""
    centre, reach_mm = sphere_of(deposit)
    largest_mm = float(deposit.lobes_mm[:, 3].max())
    step_mm = float(np.clip(largest_mm / _STEPS_PER_RADIUS, *_STEP_LIMITS_MM))
    half_mm = largest * reach_mm + _ROOM_MM
    place = centre - body.warp.shift_mm(centre[None])[0]
    n = int(np.ceil(2 * half_mm / step_mm))
    grid = Grid.from_spacing((n, n, n), (step_mm,) * 3, origin_mm=(place - step_mm * (n - 1) / 2).tolist())
    return view_body(body, grid, margin_mm=_ROOM_MM)


def sphere_of(deposit: Deposit) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Centre (LPS mm, unwarped frame) and radius (mm) of a ball that holds a deposit."""
    centre = np.asarray(deposit.lobes_mm[:, :3].mean(axis=0))
    reach = np.linalg.norm(deposit.lobes_mm[:, :3] - centre, axis=1) + deposit.lobes_mm[:, 3]
    return centre, float(reach.max()) + deposit.ripple_mm
