"""CT of a phantom: density by tissue with partial volume, blur of the kernel and noise of the dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erfc

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom.anatomy import Column, sample_column
from osteomet.phantom.bones import BODY, add_hips_and_femora, add_ribs, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.metastases import Deposit, sample_metastases, sample_mimics
from osteomet.phantom.parts import is_posterior
from osteomet.phantom.shapes import Shapes, ShapeTable, Warp, cut, paint, random_warp, warped_points
from osteomet.phantom.soft_tissue import SoftTissue, sample_soft_tissue

_GROUP_OF_OWNER = {s.id: s.group for s in STRUCTURES.values()}
_HIDDEN_HU, _METAL_HU = -1000.0, 3071.0


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One phantom patient: everything that does not depend on the scanner."""

    column: Column
    bones: Shapes
    soft_tissue: SoftTissue
    deposits: tuple[Deposit, ...]
    warp: Warp
    density: float
    cortex_hu: float
    cortex_factor: float
    texture_hu: float
    implant_side: str | None

    @property
    def top_mm(self) -> float:
        """Height of the uppermost modelled vertebra, LPS z in mm."""
        return float(self.column.vertebrae[-1].centre_mm[2])


@dataclass(frozen=True, slots=True)
class CtScanner:
    """Blur (standard deviation of the point spread, mm), noise (standard deviation, HU) and its grain (length, mm)."""

    blur_mm: float
    noise_hu: float
    grain_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class CtPhantom:
    """A rendered phantom with its truth, all on one grid.

    ``bones`` holds vocabulary ids, ``parts`` the codes of `parts.PARTS`, ``depth_mm`` the distance
    below the bone surface (negative outside), ``lesions`` the instance number of metastases (1 is the first of
    ``body.deposits`` that is one), ``lesion_kinds`` 1 for lytic and 2 for sclerotic voxels.
    """

    volume: Volume
    bones: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]
    lesions: NDArray[np.uint8]
    lesion_kinds: NDArray[np.uint8]


def sample_body(rng: np.random.Generator, *, n_metastases: int) -> Body:
    """Draw a patient with ``n_metastases`` metastases and a natural number of mimics."""
    column = sample_column(rng)
    table = ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_ribs(table, column, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng)
    bones = table.freeze()
    mimics = sample_mimics(rng, column.vertebrae, bones)
    density = float(rng.uniform(60, 300))
    return Body(
        column=column,
        bones=bones,
        soft_tissue=sample_soft_tissue(rng, column),
        deposits=tuple(mimics + sample_metastases(rng, bones, spongiosa_hu(density), n=n_metastases)),
        warp=random_warp(rng, amplitude_mm=5.0),
        density=density,
        cortex_hu=float(rng.uniform(550, 1400)),
        cortex_factor=float(rng.uniform(0.5, 1.3)),
        texture_hu=float(rng.uniform(10, 55)),
        implant_side=str(rng.choice(["left", "right"])) if rng.random() < 0.06 else None,
    )


def sample_scanner(rng: np.random.Generator) -> CtScanner:
    """Draw a kernel from soft to sharp and a dose from ample to low."""
    return CtScanner(float(rng.uniform(0.35, 1.3)), float(rng.lognormal(np.log(16), 0.6)), float(rng.uniform(0.4, 1.3)))


def render_ct(body: Body, grid: Grid, scanner: CtScanner, rng: np.random.Generator) -> CtPhantom:
    """Image a body on any grid: only what the grid sees is computed."""
    points = warped_points(grid, body.warp)
    spread_mm = float(np.hypot(scanner.blur_mm, 0.3 * np.mean(grid.spacing_mm)))
    found = cut(body.bones, points, grid, body.warp, margin_mm=3 * spread_mm)
    image = _paint_soft_tissue(body.soft_tissue, points, grid, body.warp, rng)
    depth = -found.distance_mm
    density, cortex_mm = _bone_density(body, found.owner, found.part, depth, points, grid, rng)
    lesions = np.zeros(grid.shape, dtype=np.uint8)
    kinds = np.zeros(grid.shape, dtype=np.uint8)
    cortex_hu = np.full(grid.shape, body.cortex_hu, dtype=np.float32)
    number = 0
    for deposit in body.deposits:
        number += deposit.is_metastasis
        fields = _Fields(density, cortex_hu, image, lesions, kinds)
        _apply_deposit(deposit, number, fields, points, depth, found.owner, grid, body.warp)
    solid, core = _share(depth, spread_mm), _share(depth - cortex_mm, spread_mm)
    image += solid * ((cortex_hu * (solid - core) + density * core) / np.maximum(solid, 1e-3) - image)
    _add_implant(body, image, points, spread_mm, grid, rng)
    image += _noise(grid, scanner, rng)
    inside = depth > 0
    values = np.clip(np.rint(image), -1024, _METAL_HU).astype(np.int16)
    return CtPhantom(
        volume=Volume(values, grid, Modality.CT, Unit.HU),
        bones=np.where(inside, found.owner, 0).astype(np.uint8),
        parts=np.where(inside, found.part, 0).astype(np.uint8),
        depth_mm=depth,
        lesions=lesions,
        lesion_kinds=kinds,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fields:
    """The arrays that a deposit changes in place."""

    density: NDArray[np.float32]
    cortex_hu: NDArray[np.float32]
    soft: NDArray[np.float32]
    lesions: NDArray[np.uint8]
    kinds: NDArray[np.uint8]


def _share(depth_mm: NDArray[np.float32], spread_mm: float) -> NDArray[np.float32]:
    """Share of a voxel below a surface, for a Gaussian point spread."""
    return np.asarray(0.5 * erfc(-depth_mm / np.float32(spread_mm * np.sqrt(2))), dtype=np.float32)


def _paint_soft_tissue(
    tissue: SoftTissue, points: NDArray[np.float32], grid: Grid, warp: Warp, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Air, table, fat, muscle with fatty streaks, then every organ in order."""
    skin = tissue.trunk.distance_mm(points)
    image = np.full(grid.shape, _HIDDEN_HU, dtype=np.float32)
    below = np.abs(points[..., 1] - tissue.trunk.table_y_mm)
    image[(below < 12) & (np.abs(points[..., 0]) < 210)] = -850
    image[(np.abs(below - 12) < 1.5) & (np.abs(points[..., 0]) < 210)] = -200
    soft_mm = max(1.0, float(np.mean(grid.spacing_mm)))
    streaks = _texture(grid, 6.0, rng)
    marbled = np.where(streaks > 2.2 - 1.4 * tissue.streak_of_fat, tissue.fat_hu, tissue.muscle_hu).astype(np.float32)
    for surface_mm, value in ((0.0, np.float32(tissue.fat_hu)), (tissue.trunk.fat_mm, marbled)):
        share = np.clip(0.5 - (skin + surface_mm) / (2 * soft_mm), 0, 1)
        image += share * (value - image)
    paint(image, tissue.shapes, tissue.values_hu, points, grid, warp, softness_mm=soft_mm)
    return image


def _bone_density(
    body: Body,
    owner: NDArray[np.uint8],
    part: NDArray[np.uint8],
    depth_mm: NDArray[np.float32],
    points: NDArray[np.float32],
    grid: Grid,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """HU of the spongiosa and thickness of the cortex (mm) at every voxel near bone."""
    spongiosa, thickness = spongiosa_hu(body.density), np.full(256, 1.0, dtype=np.float32)
    for id_, group in _GROUP_OF_OWNER.items():
        spongiosa[id_] *= rng.normal(1, 0.05)
        thickness[id_] = {Group.PELVIS: 1.3, Group.FEMUR: 1.8}.get(group, 0.8) * body.cortex_factor * rng.normal(1, 0.1)
    density = spongiosa[owner]
    cortex = thickness[owner]
    is_body = part == BODY
    cortex = np.where(is_body, cortex * 0.75, np.where(is_posterior(part), cortex * 1.6, cortex))
    femur = np.isin(owner, [STRUCTURES[f"femur_{side}"].id for side in ("left", "right")])
    shaft = np.clip((-points[..., 2] - 35) / 60, 0, 1)
    cortex = np.where(femur, cortex + 4.0 * shaft, cortex)
    density = np.where(femur, density - shaft * (density + 60), density)
    density = density + 45 * np.exp(-np.maximum(depth_mm - cortex, 0) / 2.0) * is_body
    density += body.texture_hu * (_texture(grid, 1.2, rng) + 0.6 * _texture(grid, 5.0, rng))
    return density.astype(np.float32), cortex.astype(np.float32)


def _apply_deposit(
    deposit: Deposit,
    number: int,
    fields: _Fields,
    points: NDArray[np.float32],
    depth_mm: NDArray[np.float32],
    owner: NDArray[np.uint8],
    grid: Grid,
    warp: Warp,
) -> None:
    """Change density, cortex and labels inside each lobe of one deposit, within its own bone."""
    for lobe, kind in enumerate(deposit.types):
        centre, radius = deposit.lobes_mm[lobe, :3], float(deposit.lobes_mm[lobe, 3])
        reach = radius + deposit.ripple_mm + 3 * deposit.edge_mm
        box = _box(centre, reach, grid, warp)
        if box is None:
            continue
        distance = deposit.distance_mm(points[box], lobe)
        share = np.clip(0.5 - distance / (2 * deposit.edge_mm), 0, 1).astype(np.float32)
        own = owner[box] == deposit.owner
        share *= own
        density, cortex = fields.density[box], fields.cortex_hu[box]
        if kind is LesionType.LYTIC:
            density += share * (deposit.fill_hu - density)
            if deposit.rim_hu:
                density += own * deposit.rim_hu * np.exp(-((distance / 1.2) ** 2)).astype(np.float32)
            if deposit.breach:
                cortex += share * (deposit.fill_hu + 40 - cortex)
                fields.soft[box] += share * (np.maximum(deposit.fill_hu, 35) - fields.soft[box])
        else:
            density += share * deposit.shift_hu
            cortex += share * (0.3 * deposit.shift_hu)
        if deposit.is_metastasis:
            grown = 2.0 if deposit.breach and kind is LesionType.LYTIC else 0.0
            inside = (distance < 0) & own & (depth_mm[box] > -grown)
            fields.lesions[box][inside] = number
            fields.kinds[box][inside] = 1 if kind is LesionType.LYTIC else 2


def _box(centre: NDArray[np.float64], reach_mm: float, grid: Grid, warp: Warp) -> tuple[slice, slice, slice] | None:
    """Block of voxels that a ball in the unwarped frame can touch, None when it lies outside of the grid."""
    place = centre - warp.shift_mm(centre[None])[0]
    reach = reach_mm + warp.steepest * (reach_mm + float(np.linalg.norm(place - centre)))
    step = reach * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    index = grid.to_ijk(place)
    start = np.maximum(np.floor(index - step), 0).astype(int)
    stop = np.minimum(np.ceil(index + step) + 1, grid.shape).astype(int)
    if (start >= stop).any():
        return None
    i, j, k = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return i, j, k


def _add_implant(
    body: Body,
    image: NDArray[np.float32],
    points: NDArray[np.float32],
    spread_mm: float,
    grid: Grid,
    rng: np.random.Generator,
) -> None:
    """A hip prosthesis with dark and bright streaks in its slices."""
    if body.implant_side is None:
        return
    sign = 1.0 if body.implant_side == "left" else -1.0
    head = np.array([sign * 88, 0, 0]) * body.column.scale
    table = ShapeTable()
    table.capsule(head, head, (24.0, 24.0), owner=0)
    table.capsule(head, head + np.array([sign * 40, 8, -35]), (9.0, 10.0), owner=0)
    table.capsule(head + np.array([sign * 42, 8, -40]), head + np.array([sign * 32, 4, -170]), (9.0, 6.0), owner=0)
    shapes = table.freeze()
    metal = np.zeros(grid.shape, dtype=np.float32)
    paint(metal, shapes, np.ones(len(shapes)), points, grid, body.warp, softness_mm=max(1.0, spread_mm))
    if not (metal > 0.5).any():
        return
    offset = points - head.astype(np.float32)
    angle = np.arctan2(offset[..., 1], offset[..., 0])
    fade = np.exp(-np.linalg.norm(offset[..., :2], axis=-1) / 70) * (metal.max(axis=(0, 1)) > 0.3)
    n_rays = int(rng.integers(5, 14))
    image += (500 * np.sin(n_rays * angle + rng.uniform(0, 6)) * fade).astype(np.float32)
    image += metal * (_METAL_HU - image)


def _texture(grid: Grid, length_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian random field of unit variance with the given correlation length."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = [length_mm / s for s in grid.spacing_mm]
    if max(sigma) < 0.3:
        return white
    smooth = gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    return np.asarray(smooth / max(float(smooth.std()), 1e-6), dtype=np.float32)


def _noise(grid: Grid, scanner: CtScanner, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of the dose; resampling to coarse voxels averages it, at most to a third."""
    fine = max(1 / 3, min(1.0, (1.5 / float(np.mean(grid.spacing_mm))) ** 0.75))
    return np.asarray(scanner.noise_hu * fine * _texture(grid, scanner.grain_mm, rng), dtype=np.float32)
