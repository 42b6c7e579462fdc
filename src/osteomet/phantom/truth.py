"""What a metastasis truly is, whatever the grid of the scan: type, site, and a volume counted on a grid of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.body import Body
from osteomet.phantom.scene import label_scene, lobes_in, view_body
from osteomet.phantom.skeleton.parts import PARTS

_N_VOXELS_ACROSS = 40
_NAME_OF_OWNER = {s.id: s.name for s in STRUCTURES.values()}
_NAME_OF_PART = {code: name for name, code in PARTS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class LesionTruth:
    """One metastasis.

    ``number`` is its label in `scene.Truth.lesions`; ``site`` the bone it arose in and ``subsite`` the part of it
    that holds most, None for a bone without parts; ``centroid_xyz_mm`` (LPS) is None and ``volume_ml`` 0 where later
    metastases cover it.
    """

    number: int
    type: LesionType
    treated: bool
    site: str
    subsite: str | None
    volume_ml: float
    centroid_xyz_mm: NDArray[np.float64] | None


def measure_truth(body: Body, number: int) -> LesionTruth:
    """Measure one metastasis of a body, counted from 1 in the order of its deposits.

    The volume is that of the labelled region, confined to bone and what it may outgrow, without what later metastases
    take from it, counted on an isotropic grid of about 40 voxels across: within 1 % for a ball.

    Raises
    ------
    UsageError
        If the body has no such metastasis.
    """
    metastases = [d for d in body.deposits if d.is_metastasis]
    if not 1 <= number <= len(metastases):
        raise UsageError(
            "no such metastasis",
            expected=f"1 to {len(metastases)}" if metastases else "a body that has metastases",
            got=str(number),
            remedy="number metastases from 1, as the label map of lesions does",
        )
    deposit = metastases[number - 1]
    centres = deposit.lobes_mm[:, :3] - body.warp.shift_mm(deposit.lobes_mm[:, :3])
    reach = (deposit.lobes_mm[:, 3] * deposit.longest + deposit.ripple_mm) * (1 + 2 * body.warp.steepest) + 0.5
    low, high = (centres - reach[:, None]).min(axis=0), (centres + reach[:, None]).max(axis=0)
    spacing = float((high - low).max()) / _N_VOXELS_ACROSS
    shape = np.ceil((high - low) / spacing).astype(int) + 1
    grid = Grid.from_spacing(shape.tolist(), (spacing,) * 3, origin_mm=low.tolist())
    scene = view_body(body, grid, margin_mm=1.0)
    truth = label_scene(scene, list(lobes_in(scene, metastases)))
    inside = truth.lesions == number
    parts = np.bincount(truth.parts[inside & (truth.bones == deposit.owner)], minlength=1)
    return LesionTruth(
        number=number,
        type=deposit.lesion_type,
        treated=deposit.treated,
        site=_NAME_OF_OWNER[deposit.owner],
        subsite=_NAME_OF_PART.get(int(parts.argmax())) if parts.any() else None,
        volume_ml=float(np.count_nonzero(inside) * grid.voxel_volume_ml),
        centroid_xyz_mm=grid.to_xyz_mm(np.argwhere(inside).mean(axis=0)) if inside.any() else None,
    )
