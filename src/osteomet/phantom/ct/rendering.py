"""CT of a phantom: attenuation by tissue with partial volume, then what rays, kernel, slices and dose make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom.body import Body
from osteomet.phantom.ct.beam import Beam, trace_beam
from osteomet.phantom.ct.bone_density import bone_density
from osteomet.phantom.ct.deposits import change_density, place_substances
from osteomet.phantom.ct.metal import METAL_HU, add_metal
from osteomet.phantom.ct.painting import paint_soft_tissue
from osteomet.phantom.ct.reconstruction import SlicePlan, blur_in_plane, noise_pair, plan_slices
from osteomet.phantom.ct.scanner import CtScanner, sample_scanner
from osteomet.phantom.scene import Scene, Truth, label_scene, lobes_in, metal_in, view_body

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
    parts = [_render_slab(scan, int(a), int(b)) for a, b in pairwise(edges)]
    values, labels, depth = zip(*parts, strict=True)
    truth = Truth(*(_join([getattr(t, name) for t in labels], axis) for name in Truth.__dataclass_fields__))
    return CtPhantom(Volume(_join(list(values), axis), grid, Modality.CT, Unit.HU), truth, _join(list(depth), axis))


def _render_slab(scan: _Scan, start: int, stop: int) -> tuple[NDArray[np.int16], Truth, NDArray[np.float32]]:
    """Image, truth and depth of the slices from ``start`` to ``stop``."""
    body, plan, axis = scan.body, scan.plan, scan.plan.axis
    fine = plan.fine_grid(scan.grid, start, stop)
    scene = view_body(body, fine, margin_mm=3 * plan.point_spread_mm)
    image, density, cortex_mm = _tissue(body, scene, plan.point_spread_mm)
    cortex_hu = np.full(fine.shape, body.cortex_hu, dtype=np.float32)
    lobes = list(lobes_in(scene, body.deposits))
    change_density(lobes, density, cortex_hu, image)
    _add_bone(image, scene, density, cortex_hu, cortex_mm, plan.point_spread_mm)
    place_substances(lobes, image)
    metal = metal_in(scene, body.hardware, softness_mm=max(1.0, plan.point_spread_mm))
    add_metal(metal, body.hardware, image, scene, np.random.default_rng(scan.seed))
    slices = blur_in_plane(plan.average(image), scan.grid, plan, scan.scanner)
    slab = _slab_of(scan.grid, axis, start, stop)
    scan.beam.add_to(slices, slab, noise_pair(scan.grid, scan.scanner, scan.seed, start, stop))
    values = np.clip(np.rint(slices), _LEAST_HU, METAL_HU).astype(np.int16)
    if scan.scanner.padding_hu is not None:
        values[~_inscribed(slab, axis)] = scan.scanner.padding_hu
    truth = label_scene(scene, lobes, metal)
    labels = Truth(*(plan.centres(getattr(truth, name)) for name in Truth.__dataclass_fields__))
    return values, labels, plan.centres(scene.depth_mm)


def _tissue(
    body: Body, scene: Scene, spread_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Soft tissue in HU, spongiosa in HU and thickness of the cortex in mm."""
    image = paint_soft_tissue(body.soft_tissue, scene.points_mm, scene.grid, scene.warp, spread_mm=spread_mm)
    density, cortex_mm = bone_density(
        scene, body.column, body.density + body.soft_tissue.marrow_shift_hu, body.cortex_factor, body.texture_hu,
        spread_mm, body.soft_tissue.seed, rim=body.rim,
    )  # fmt: skip
    return image, density, cortex_mm


def _add_bone(
    image: NDArray[np.float32],
    scene: Scene,
    density: NDArray[np.float32],
    cortex_hu: NDArray[np.float32],
    cortex_mm: NDArray[np.float32],
    spread_mm: float,
) -> None:
    """Lay spongiosa and its thin shell over soft tissue, in place, each by its share of the point spread."""
    near = scene.depth_mm > -3 * spread_mm
    depth = scene.depth_mm[near]
    solid, core = _share(depth, spread_mm), _share(depth - cortex_mm[near], spread_mm)
    soft = image[near]
    image[near] = soft + cortex_hu[near] * (solid - core) + density[near] * core - soft * solid


def _share(depth_mm: NDArray[np.float32], spread_mm: float) -> NDArray[np.float32]:
    """Share of a voxel below a surface, for a Gaussian point spread."""
    return np.asarray(0.5 * erfc(-depth_mm / np.float32(spread_mm * np.sqrt(2))), dtype=np.float32)


def _attenuation(body: Body, grid: Grid) -> NDArray[np.float32]:
    """HU of a body without deposits on the coarse grid of its beams."""
    spread_mm = 0.4 * grid.spacing_mm[0]
    scene = view_body(replace(body, deposits=()), grid, margin_mm=3 * spread_mm)
    image, density, cortex_mm = _tissue(body, scene, spread_mm)
    _add_bone(image, scene, density, np.full(grid.shape, body.cortex_hu, dtype=np.float32), cortex_mm, spread_mm)
    return image


def _slab_of(grid: Grid, axis: int, start: int, stop: int) -> Grid:
    """Slices of a grid from ``start`` to ``stop``."""
    first, shape = [0, 0, 0], list(grid.shape)
    first[axis], shape[axis] = start, stop - start
    return grid.crop(first, shape)


def _inscribed(grid: Grid, axis: int) -> NDArray[np.bool_]:
    """Whether a voxel lies in the circle that fits into its slice."""
    plane = [a for a in range(3) if a != axis]
    extent = min(grid.shape[a] * grid.spacing_mm[a] for a in plane)
    squares = [((np.arange(grid.shape[a]) - (grid.shape[a] - 1) / 2) * grid.spacing_mm[a]) ** 2 for a in plane]
    inside = squares[0][:, None] + squares[1][None, :] <= (extent / 2) ** 2
    return np.broadcast_to(np.expand_dims(inside, axis), grid.shape)


def _join(parts: list[NDArray[Any]], axis: int) -> NDArray[Any]:
    """Put slabs together."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
