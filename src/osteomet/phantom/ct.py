"""CT of a phantom: attenuation by tissue with partial volume, then what rays, kernel, slices and dose make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom.body import Body
from osteomet.phantom.bone_density import bone_density
from osteomet.phantom.ct_beam import Beam, trace_beam
from osteomet.phantom.ct_deposits import change_density, place_substances
from osteomet.phantom.ct_reconstruction import SlicePlan, blur_in_plane, noise_pair, plan_slices, scan_axis
from osteomet.phantom.ct_scanner import CtScanner, sample_scanner
from osteomet.phantom.metal import METAL_HU, add_metal, metal_in
from osteomet.phantom.painting import paint_soft_tissue
from osteomet.phantom.scene import Scene, Truth, label_scene, lobes_in, view_body

__all__ = ["CtPhantom", "CtScanner", "render_ct", "sample_scanner"]

_LEAST_HU = -1024
_SLAB_VOXELS = 6_000_000
"""Fine voxels that are held at once: a whole spine is rendered in slabs, a training crop in one go."""


@dataclass(frozen=True, slots=True, eq=False)
class CtPhantom:
    """A rendered phantom with its truth, all on one grid; ``depth_mm`` is the distance below the bone surface."""

    volume: Volume
    truth: Truth
    depth_mm: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Scan:
    """One acquisition: what all slabs of it share."""

    body: Body
    grid: Grid
    scanner: CtScanner
    plan: SlicePlan
    beam: Beam
    seed: int


def render_ct(body: Body, grid: Grid, scanner: CtScanner, rng: np.random.Generator) -> CtPhantom:
    """Image a body on any grid: only what the grid sees is computed.

    Notes
    -----
    Large grids are rendered in slabs along the patient. Anatomy and textures are functions of space, every slice has
    noise of its own, and slabs overlap by the slice profile, so the slabs join without a seam.
    """
    seed = int(rng.integers(2**31))
    beam = trace_beam(lambda coarse: _attenuation(body, coarse), grid, scanner)
    scan = _Scan(body, grid, scanner, plan_slices(grid, scanner), beam, seed)
    axis = scan.plan.axis
    n_slices = grid.shape[axis]
    fine_slice = int(np.prod(grid.shape)) // n_slices * scan.plan.factor
    n_slabs = max(1, round(n_slices * fine_slice / _SLAB_VOXELS))
    edges = np.linspace(0, n_slices, min(n_slabs, n_slices) + 1).astype(int)
    parts = [_render_slab(scan, int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    values, labels, depth = zip(*parts, strict=True)
    truth = Truth(*(_join([getattr(t, name) for t in labels], axis) for name in Truth.__dataclass_fields__))
    return CtPhantom(Volume(_join(list(values), axis), grid, Modality.CT, Unit.HU), truth, _join(list(depth), axis))
