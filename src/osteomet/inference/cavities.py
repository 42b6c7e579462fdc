"""Bone that a metastasis has dissolved still belongs to its bone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt

from osteomet.core.grid import Grid
from osteomet.core.volume import present_labels
from osteomet.image.components import bounding_box
from osteomet.image.distance import distance_to_mm

REACH_MM = 5.0
"""Notches of a vertebral body up to twice this wide are closed."""
_BODY = 1


def fill_cavities(structures: NDArray[np.uint8], parts: NDArray[np.uint8], grid: Grid) -> None:
    """Give bones what a network leaves out where bone is lost, in place.

    Parameters
    ----------
    structures
        Label of the bone of each voxel, shape (i, j, k). What a bone encloses becomes bone, and vertebral bodies, which
        are convex but for their waist, are closed by a ball of `REACH_MM`. It is done bone by bone, so that discs and
        joints stay open, and voxels of other bones are never taken.
    parts
        Part of its vertebra of each voxel (1 is the body), 0 elsewhere; a voxel that a vertebra gains takes the part
        nearest to it.
    grid
        Where both lie.

    Notes
    -----
    A network that has seen few lyses calls a lysed voxel soft tissue. Without this step the lesion inside would lie
    outside of every bone, and be dropped as a false call (`lesions.candidates`).
    """
    n_pad = [int(np.ceil(REACH_MM / s)) + 1 for s in grid.spacing_mm]
    for label in present_labels(structures):
        box = bounding_box(structures == label)
        assert box is not None
        block = tuple(slice(max(0, s.start - n), s.stop + n) for s, n in zip(box, n_pad, strict=True))
        bone, part = structures[block] == label, parts[block]
        body = bone & (part == _BODY)
        whole = bone | _closed(body, n_pad, grid) if body.any() else bone
        gained = binary_fill_holes(whole) & (structures[block] == 0)
        structures[block][gained] = label
        if body.any() and gained.any():
            nearest = distance_transform_edt(~bone, sampling=grid.spacing_mm, return_indices=True)[1]
            part[gained] = part[tuple(nearest[:, gained])]


def _closed(mask: NDArray[np.bool_], n_pad: list[int], grid: Grid) -> NDArray[np.bool_]:
    """Morphological closing by a ball; beyond the array there is nothing."""
    padded = np.pad(mask, [(n, n) for n in n_pad])
    grown = distance_to_mm(padded, grid.spacing_mm) <= REACH_MM
    closed = distance_to_mm(~grown, grid.spacing_mm) > REACH_MM
    return np.asarray(closed[tuple(slice(n, -n) for n in n_pad)])
