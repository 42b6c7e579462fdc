"""Metal on CT: saturated voxels, and the streaks that a scanner makes of rays that hardly pass.

The streaks are reconstructed, not drawn: axial slices of the metal are projected, each ray loses what beam hardening
and photon starvation take from it, and the loss is filtered and projected back. So bands are dark between two parts
and along long ones, bright beside them, and fade with distance, as in a scan.

References
----------
De Man B. et al. Metal streak artifacts in X-ray computed tomography: a simulation study. IEEE Trans Nucl Sci
1999;46:691-696. https://doi.org/10.1109/23.775600
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from osteomet.core.grid import Grid
from osteomet.phantom.geometry.shapes import Warp, cut, warped_points
from osteomet.phantom.lesions.hardware import Hardware
from osteomet.phantom.scene import MetalInScene, Scene

METAL_HU = 3071.0
_PLANE_MM, _SLICE_MM, _AROUND_MM = 2.0, 3.0, 70.0
_N_ANGLES = 72
_WATER_PER_MM = 0.019
_SATURATION = 5.0
_STARVED = 7.0
_NOISE = 0.012
_LIMIT_HU, _BESIDE_MM = 450.0, 4.0


def add_metal(
    metal: MetalInScene | None,
    hardware: Hardware | None,
    image: NDArray[np.float32],
    scene: Scene,
    rng: np.random.Generator,
) -> None:
    """Add streaks and saturated metal to an image, in place; nothing where there is no metal."""
    if metal is None or hardware is None:
        return
    coarse = _grid_around(hardware, scene.grid, scene.warp)
    if coarse is not None:
        points = warped_points(coarse, scene.warp)
        distance = cut(hardware.shapes, points, coarse, scene.warp, margin_mm=_BESIDE_MM).distance_mm
        occupied = np.clip(0.5 - distance / _PLANE_MM, 0, 1).astype(np.float32)
        streaks = _streaks_hu(occupied, hardware.attenuation_per_mm, rng) * np.clip(distance / _BESIDE_MM, 0, 1)
        to_coarse = np.linalg.inv(coarse.affine) @ scene.grid.affine
        image += affine_transform(
            streaks, to_coarse[:3, :3], to_coarse[:3, 3], image.shape, order=1, mode="constant", output=np.float32
        )
    image += metal.share * (METAL_HU - image)


def _grid_around(hardware: Hardware, grid: Grid, warp: Warp) -> Grid | None:
    """Axial grid about all metal in the slices that ``grid`` crosses, on a lattice that does not depend on it."""
    boxes = hardware.shapes.boxes - warp.shift_mm(hardware.shapes.boxes.mean(axis=1))[:, None]
    low, high = boxes[:, 0].min(axis=0) - 5, boxes[:, 1].max(axis=0) + 5
    low[:2], high[:2] = low[:2] - _AROUND_MM, high[:2] + _AROUND_MM
    corners = grid.to_xyz_mm(np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, 8).T)
    low[2], high[2] = max(low[2], corners[:, 2].min() - _SLICE_MM), min(high[2], corners[:, 2].max() + _SLICE_MM)
    spacing = np.array([_PLANE_MM, _PLANE_MM, _SLICE_MM])
    start, stop = np.floor(low / spacing), np.ceil(high / spacing)
    if (stop <= start).any() or (low[:2] > corners[:, :2].max(axis=0)).any() or (high < corners.min(axis=0)).any():
        return None
    shape = tuple(int(n) for n in stop - start + 1)
    return Grid.from_spacing(shape, tuple(spacing.tolist()), origin_mm=(start * spacing).tolist())


def _streaks_hu(
    occupied: NDArray[np.float32], attenuation_per_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Error of reconstruction, HU, of metal with these shares of each voxel; slices along the last axis."""
    streaks = np.zeros(occupied.shape, dtype=np.float32)
    n_bins = int(np.hypot(*occupied.shape[:2])) + 4
    frequency = np.fft.rfftfreq(2 * n_bins)
    ramp = frequency * (0.5 + 0.5 * np.cos(2 * np.pi * frequency))
    taper = _taper(occupied.shape[0])[:, None] * _taper(occupied.shape[1])
    for k in range(occupied.shape[2]):
        piece = np.ascontiguousarray(occupied[:, :, k])
        if piece.max() < 0.05:
            continue
        rays = _project(piece, _N_ANGLES, n_bins) * (_PLANE_MM * attenuation_per_mm)
        seen = _SATURATION * (1 - np.exp(-rays / _SATURATION))
        noise = rng.standard_normal(rays.shape) * _NOISE * np.exp(np.minimum(rays, _STARVED) / 2) * (rays > 0.1)
        error = np.fft.irfft(np.fft.rfft(seen - rays + noise, 2 * n_bins, axis=1) * ramp, axis=1)
        plane = _project_back(error[:, :n_bins], *piece.shape) * np.pi / _N_ANGLES
        streaks[:, :, k] = np.tanh(plane * (1000 / _PLANE_MM / _WATER_PER_MM / _LIMIT_HU)) * _LIMIT_HU * taper
    return streaks


def _taper(n: int) -> NDArray[np.float64]:
    """Fade to nothing towards both ends of an axis."""
    return np.asarray(np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / 12, 0, 1))


@njit(cache=True)
def _project(piece: NDArray[np.float32], n_angles: int, n_bins: int) -> NDArray[np.float64]:
    """Sum along parallel rays at each angle, in voxels."""
    rays = np.zeros((n_angles, n_bins))
    n_x, n_y = piece.shape
    turn = np.pi * np.arange(n_angles) / n_angles
    cosine, sine = np.cos(turn), np.sin(turn)
    for i in range(n_x):
        for j in range(n_y):
            if piece[i, j] > 0:
                for a in range(n_angles):
                    t = (i - 0.5 * (n_x - 1)) * cosine[a] + (j - 0.5 * (n_y - 1)) * sine[a] + 0.5 * (n_bins - 1)
                    left = int(t)
                    rays[a, left] += piece[i, j] * (left + 1 - t)
                    rays[a, left + 1] += piece[i, j] * (t - left)
    return rays


@njit(cache=True)
def _project_back(rays: NDArray[np.float64], n_x: int, n_y: int) -> NDArray[np.float32]:
    """Sum at each point of the rays through it, over all angles."""
    plane = np.zeros((n_x, n_y), dtype=np.float32)
    n_angles, n_bins = rays.shape
    for a in range(n_angles):
        c, s = np.cos(np.pi * a / n_angles), np.sin(np.pi * a / n_angles)
        for i in range(n_x):
            for j in range(n_y):
                t = (i - 0.5 * (n_x - 1)) * c + (j - 0.5 * (n_y - 1)) * s + 0.5 * (n_bins - 1)
                left = int(t)
                part = t - left
                plane[i, j] += (1 - part) * rays[a, left] + part * rays[a, left + 1]
    return plane
