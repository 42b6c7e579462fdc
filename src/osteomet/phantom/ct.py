"""CT of a phantom: density by tissue with partial volume, blur of the kernel and noise of the dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erfc

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom.body import Body
from osteomet.phantom.bones import BODY, spongiosa_hu
from osteomet.phantom.ct_deposits import change_density, place_substances
from osteomet.phantom.metal import METAL_HU, add_metal, metal_in
from osteomet.phantom.parts import is_posterior
from osteomet.phantom.scene import Scene, Truth, label_scene, lobes_in, view_body
from osteomet.phantom.shapes import paint
from osteomet.phantom.soft_tissue import SoftTissue

_GROUP_OF_OWNER = {s.id: s.group for s in STRUCTURES.values()}
_HIDDEN_HU = -1000.0


@dataclass(frozen=True, slots=True)
class CtScanner:
    """Blur (standard deviation of the point spread, mm), noise (standard deviation, HU) and its grain (length, mm)."""

    blur_mm: float
    noise_hu: float
    grain_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class CtPhantom:
    """A rendered phantom with its truth, all on one grid; ``depth_mm`` is the distance below the bone surface."""

    volume: Volume
    truth: Truth
    depth_mm: NDArray[np.float32]


def sample_scanner(rng: np.random.Generator) -> CtScanner:
    """Draw a kernel from soft to sharp and a dose from ample to low."""
    return CtScanner(float(rng.uniform(0.35, 1.3)), float(rng.lognormal(np.log(16), 0.6)), float(rng.uniform(0.4, 1.3)))


def render_ct(body: Body, grid: Grid, scanner: CtScanner, rng: np.random.Generator) -> CtPhantom:
    """Image a body on any grid: only what the grid sees is computed."""
    spread_mm = float(np.hypot(scanner.blur_mm, 0.3 * np.mean(grid.spacing_mm)))
    scene = view_body(body, grid, margin_mm=3 * spread_mm)
    image = _paint_soft_tissue(body.soft_tissue, scene, rng)
    density, cortex_mm = _bone_density(body, scene, rng)
    cortex_hu = np.full(grid.shape, body.cortex_hu, dtype=np.float32)
    lobes = list(lobes_in(scene, body.deposits))
    change_density(lobes, density, cortex_hu, image)
    solid, core = _share(scene.depth_mm, spread_mm), _share(scene.depth_mm - cortex_mm, spread_mm)
    image += solid * ((cortex_hu * (solid - core) + density * core) / np.maximum(solid, 1e-3) - image)
    place_substances(lobes, image)
    metal = metal_in(scene, body.hardware, softness_mm=max(1.0, spread_mm))
    add_metal(metal, body.hardware, image, scene, rng)
    image += _noise(grid, scanner, rng)
    values = np.clip(np.rint(image), -1024, METAL_HU).astype(np.int16)
    return CtPhantom(Volume(values, grid, Modality.CT, Unit.HU), label_scene(scene, lobes, metal), scene.depth_mm)


def _share(depth_mm: NDArray[np.float32], spread_mm: float) -> NDArray[np.float32]:
    """Share of a voxel below a surface, for a Gaussian point spread."""
    return np.asarray(0.5 * erfc(-depth_mm / np.float32(spread_mm * np.sqrt(2))), dtype=np.float32)


def _paint_soft_tissue(tissue: SoftTissue, scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    """Air, table, fat, muscle with fatty streaks, then every organ in order."""
    grid, points = scene.grid, scene.points_mm
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
    paint(image, tissue.shapes, tissue.values_hu, points, grid, scene.warp, softness_mm=soft_mm)
    return image


def _bone_density(
    body: Body, scene: Scene, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """HU of the spongiosa and thickness of the cortex (mm) at every voxel near bone."""
    grid, points, owner, part = scene.grid, scene.points_mm, scene.owner, scene.part
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
    density = density + 45 * np.exp(-np.maximum(scene.depth_mm - cortex, 0) / 2.0) * is_body
    density += body.texture_hu * (_texture(grid, 1.2, rng) + 0.6 * _texture(grid, 5.0, rng))
    return density.astype(np.float32), cortex.astype(np.float32)


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
