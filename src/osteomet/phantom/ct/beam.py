"""What rays meet on their way: dark bands and cupping by beam hardening, more noise where they are weakened most.

Both depend on the whole slice of the patient, not on the crop that is asked for, and both vary slowly. So the body is
rendered coarsely, rays are summed through it, and the results are interpolated wherever a grid needs them.

References
----------
Joseph P.M., Spital R.D. 1978, hardening by bone: https://doi.org/10.1097/00004728-197801000-00017
Kak A.C., Slaney M. 1988, Principles of Computerized Tomographic Imaging: https://doi.org/10.1137/1.9780898719277
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from osteomet.core.grid import Grid
from osteomet.phantom.ct.scanner import CtScanner

WATER_PER_MM = 0.0195
"""Attenuation of water at the mean energy of 120 kV."""
_PIXEL_MM, _STEP_MM = 8.0, 14.0
_HALF_WIDTH_MM, _FRONT_MM, _BACK_MM = 272.0, 224.0, 176.0
_N_ANGLES = 48
_REFERENCE_MM = 300.0
_MODULATION = 0.5
"""Share of the weakening of a ray that tube current modulation leaves uncorrected in the noise power."""
_BONE_BY_BONE_PER_MM, _BONE_BY_WATER_PER_MM, _WATER_PER_MM = 2.4e-3, 4.8e-4, 2.7e-5
"""Relative loss of measured path per mm of water-equivalent path, of bone in bone, bone in water, water in water."""
_BONE_FROM_HU = 180.0
_NODE = 4
"""Voxels from one place to the next at which the coarse fields are looked up along a line of a finer grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """Fields on a coarse grid along the patient axes.

    ``shift_hu`` is the error of beam hardening; ``gain`` has the noise, relative to that behind 30 cm of water, of rays
    from front to back and from side to side, shape (2, i, j, k).
    """

    grid: Grid
    shift_hu: NDArray[np.float32]
    gain: NDArray[np.float32]

    def add_to(
        self,
        image: NDArray[np.float32],
        grid: Grid,
        noise: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> None:
        """Add the error and the noise, weighed by its gain, to an image on ``grid``, in place."""
        to_coarse = np.linalg.inv(self.grid.affine) @ grid.affine
        _add(image, to_coarse, self.shift_hu, self.gain, noise[0], noise[1])


def trace_beam(render_hu: Callable[[Grid], NDArray[np.float32]], grid: Grid, scanner: CtScanner) -> Beam:
    """Sum rays through the slices that ``grid`` meets; ``render_hu`` images the body on a coarse grid."""
    corners = grid.corners_xyz_mm()
    low, high = float(corners[:, 2].min()) - _STEP_MM, float(corners[:, 2].max()) + _STEP_MM
    first = np.floor(low / _STEP_MM)
    shape = (
        int(2 * _HALF_WIDTH_MM / _PIXEL_MM) + 1,
        int((_FRONT_MM + _BACK_MM) / _PIXEL_MM) + 1,
        int(np.ceil(high / _STEP_MM) - first) + 1,
    )
    coarse = Grid.from_spacing(
        shape, (_PIXEL_MM, _PIXEL_MM, _STEP_MM), origin_mm=(-_HALF_WIDTH_MM, -_FRONT_MM, first * _STEP_MM)
    )
    hu = render_hu(coarse)
    # Per mm of path: all matter as water, and of that what is bone.
    matter = np.maximum(hu / 1000 + 1, 0).astype(np.float32)
    bone = (np.maximum(hu - _BONE_FROM_HU, 0) / 1000).astype(np.float32)
    angles = np.pi * np.arange(_N_ANGLES) / _N_ANGLES
    paths = _project(np.stack([matter, bone]), np.cos(angles), np.sin(angles), _PIXEL_MM)
    lost = _filter(_lost_path_mm(paths, scanner.beam_hardening), _PIXEL_MM)
    power = np.exp(_MODULATION * WATER_PER_MM * (paths[0] - _REFERENCE_MM))
    tilt = np.cos(angles) ** 2
    # The rays of a view run across the direction of its detector.
    side = 1 - tilt**2 * (3 - 2 * tilt)
    weights = np.stack([1 - side, side]) / np.stack([1 - side, side]).sum(axis=1, keepdims=True)
    shift, front_power, side_power = _back_project(
        np.stack([lost * (np.pi / _N_ANGLES * 1000), power, power]),
        np.stack([np.ones(_N_ANGLES), *weights]), np.cos(angles), np.sin(angles), hu.shape,
    )  # fmt: skip
    return Beam(coarse, shift, np.sqrt(np.stack([front_power, side_power])))


def _lost_path_mm(paths: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Error of the measured path, mm of water: what passes bone is measured short, and what passes much water too.

    Water is corrected by all vendors; what is left is zero at 30 cm and bends upwards on shorter paths.
    """
    matter, bone = paths
    error = -bone * (_BONE_BY_BONE_PER_MM * bone + _BONE_BY_WATER_PER_MM * (matter - bone))
    error += _WATER_PER_MM * matter * (_REFERENCE_MM - matter)
    return np.asarray(strength * error, dtype=np.float32)


def _filter(paths: NDArray[np.float32], pixel_mm: float) -> NDArray[np.float32]:
    """Ramp filter along the detector, shape (angle, bin, slice), padded against wrapping; per mm."""
    n = 2 * paths.shape[1]
    kernel = np.zeros(n)
    kernel[0] = 0.25
    odd = np.arange(1, n // 2, 2)
    kernel[odd] = kernel[-odd] = -1 / (np.pi * odd) ** 2
    ramp = np.abs(fft.rfft(kernel))[None, :, None] / pixel_mm
    return np.asarray(fft.irfft(fft.rfft(paths, n, axis=1) * ramp, n, axis=1)[:, : paths.shape[1]], dtype=np.float32)


@njit(cache=True, error_model="numpy")
def _bins(shape: tuple[int, int]) -> int:
    """Detector bins that hold a slice at any angle."""
    return int(np.ceil(np.sqrt(shape[0] ** 2 + shape[1] ** 2))) + 3


@njit(cache=True, error_model="numpy")
def _project(
    maps: NDArray[np.float32], cosines: NDArray[np.float64], sines: NDArray[np.float64], pixel_mm: float
) -> NDArray[np.float32]:
    """Path through each map (m, i, j, k) by angle, bin and slice, mm: every pixel is shared between two bins."""
    n_maps, ni, nj, nk = maps.shape
    n_bins = _bins((ni, nj))
    paths = np.zeros((n_maps, cosines.size, n_bins, nk), dtype=np.float32)
    for a in range(cosines.size):
        for i in range(ni):
            for j in range(nj):
                t = (i - (ni - 1) / 2) * cosines[a] + (j - (nj - 1) / 2) * sines[a] + n_bins / 2
                b = int(t)
                share = np.float32(t - b)
                for m in range(n_maps):
                    for k in range(nk):
                        value = maps[m, i, j, k] * np.float32(pixel_mm)
                        paths[m, a, b, k] += (np.float32(1.0) - share) * value
                        paths[m, a, b + 1, k] += share * value
    return paths


@njit(cache=True, error_model="numpy")
def _back_project(
    sinograms: NDArray[np.float32],
    weights: NDArray[np.float64],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Sum of each sinogram (m, angle, bin, slice) over angles by weight (m, angle), at every pixel, (m, i, j, k)."""
    ni, nj, nk = shape
    n_maps, n_bins = sinograms.shape[0], sinograms.shape[2]
    maps = np.zeros((n_maps, ni, nj, nk), dtype=np.float32)
    for a in range(cosines.size):
        for i in range(ni):
            for j in range(nj):
                t = (i - (ni - 1) / 2) * cosines[a] + (j - (nj - 1) / 2) * sines[a] + n_bins / 2
                b = int(t)
                share = np.float32(t - b)
                for m in range(n_maps):
                    weight = np.float32(weights[m, a])
                    for k in range(nk):
                        value = (np.float32(1.0) - share) * sinograms[m, a, b, k] + share * sinograms[m, a, b + 1, k]
                        maps[m, i, j, k] += weight * value
    return maps


@njit(cache=True, error_model="numpy")
def _add(
    image: NDArray[np.float32],
    to_coarse: NDArray[np.float64],
    shift: NDArray[np.float32],
    gain: NDArray[np.float32],
    front: NDArray[np.float32],
    side: NDArray[np.float32],
) -> None:
    """Interpolate the coarse fields at every voxel of the image; beyond their edge the nearest value holds.

    Along the last axis they are interpolated at every few voxels, and between those along the line.
    """
    n_nodes = (image.shape[2] - 2 + _NODE) // _NODE + 1
    nodes = np.empty((3, n_nodes), dtype=np.float32)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for node in range(n_nodes):
                _interpolate((i, j, node * _NODE), to_coarse, shift, gain, nodes[:, node])
            for k in range(image.shape[2]):
                node = min(k // _NODE, n_nodes - 2) if n_nodes > 1 else 0
                after, t = min(node + 1, n_nodes - 1), np.float32(k - node * _NODE) / np.float32(_NODE)
                value = nodes[0, node] + t * (nodes[0, after] - nodes[0, node])
                value += (nodes[1, node] + t * (nodes[1, after] - nodes[1, node])) * front[i, j, k]
                value += (nodes[2, node] + t * (nodes[2, after] - nodes[2, node])) * side[i, j, k]
                image[i, j, k] += value


@njit(cache=True, error_model="numpy")
def _interpolate(
    index: tuple[int, int, int],
    to_coarse: NDArray[np.float64],
    shift: NDArray[np.float32],
    gain: NDArray[np.float32],
    found: NDArray[np.float32],
) -> None:
    """Error and both gains at one voxel."""
    (i, j, k), (ni, nj, nk), m = index, shift.shape, to_coarse
    x = min(max(m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3], 0.0), ni - 1.001)
    y = min(max(m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3], 0.0), nj - 1.001)
    z = min(max(m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3], 0.0), nk - 1.001)
    a, b, c = int(x), int(y), int(z)
    u, v, w = np.float32(x - a), np.float32(y - b), np.float32(z - c)
    found[:] = 0
    for da in range(2):
        for db in range(2):
            for dc in range(2):
                share = (u if da else 1 - u) * (v if db else 1 - v) * (w if dc else 1 - w)
                found[0] += share * shift[a + da, b + db, c + dc]
                found[1] += share * gain[0, a + da, b + db, c + dc]
                found[2] += share * gain[1, a + da, b + db, c + dc]
