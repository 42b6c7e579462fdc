"""From attenuation to a reconstructed image: kernel, slice profile, and the noise that both shape.

References
----------
Kijewski M.F., Judy P.F. 1987, noise power spectrum of CT images: https://doi.org/10.1088/0031-9155/32/5/003
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft
from scipy.special import erf

from osteomet.core.grid import Grid
from osteomet.phantom.ct.scanner import CtScanner
from osteomet.phantom.geometry.textures import lattice_value
from osteomet.phantom.geometry.weighing import weigh_along

_ENHANCED_WIDTH = 1.7
"""Width of the blurred copy that edge enhancement subtracts, relative to the point spread."""
_PROFILE_EDGE = 0.2
"""Standard deviation of the slopes of a slice profile, relative to its thickness."""
_COARSEST_MM = 1.6
"""Widest step along the scan axis at which tissue is sampled before slices are averaged."""
_LEAST_FREQUENCY_PER_MM = 0.01
"""Noise power does not vanish at frequency zero, because the ramp is sampled."""


def transfer(frequency_per_mm: NDArray[np.float64], scanner: CtScanner) -> NDArray[np.float64]:
    """Modulation transfer of the kernel: a Gaussian, enhanced at higher frequencies by ``overshoot``; 1 at zero."""
    blur = np.exp(-2 * (np.pi * scanner.blur_mm * frequency_per_mm) ** 2)
    copy = np.exp(-2 * (np.pi * _ENHANCED_WIDTH * scanner.blur_mm * frequency_per_mm) ** 2)
    return np.asarray(blur * (1 + scanner.overshoot * (1 - copy)))


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """How slices are made of finer ones.

    ``axis`` is the axis of the grid along which the patient is scanned, ``factor`` how many fine slices fill one step
    of the grid (odd), ``weights`` the slice profile over fine slices (odd length, sum 1), ``point_spread_mm`` what is
    rendered into the fine slices already, ``plane_blur_mm`` what is left to blur within the plane.
    """

    axis: int
    factor: int
    weights: tuple[float, ...]
    point_spread_mm: float
    plane_blur_mm: float

    @property
    def reach(self) -> int:
        """Fine slices on each side of the middle one that a slice is made of."""
        return len(self.weights) // 2

    def fine_grid(self, grid: Grid, start: int, stop: int) -> Grid:
        """Grid of the fine slices that the slices ``start`` to ``stop`` are made of."""
        affine = grid.affine.copy()
        affine[:, self.axis] /= self.factor
        first = self.factor * start - self.reach
        affine[:3, 3] += affine[:3, self.axis] * first
        shape = list(grid.shape)
        shape[self.axis] = self.factor * (stop - start - 1) + 1 + 2 * self.reach
        return Grid((shape[0], shape[1], shape[2]), affine, grid.frame_of_reference_uid)

    def centres(self, fine: NDArray[Any]) -> NDArray[Any]:
        """Pick the fine slices in the middle of each slice."""
        index = [slice(None)] * 3
        index[self.axis] = slice(self.reach, fine.shape[self.axis] - self.reach, self.factor)
        return fine[tuple(index)]

    def average(self, fine: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weigh fine slices into slices."""
        n = (fine.shape[self.axis] - 1 - 2 * self.reach) // self.factor + 1
        return weigh_along(fine, np.array(self.weights), self.axis, step=self.factor, size=n)


def scan_axis(grid: Grid) -> int:
    """Axis of the grid that lies nearest to the long axis of the patient."""
    return int(np.argmax(np.abs(grid.direction[2])))


def plan_slices(grid: Grid, scanner: CtScanner) -> SlicePlan:
    """Part the point spread into what is rendered, what is blurred in the plane, and the profile across slices."""
    axis = scan_axis(grid)
    spacing = grid.spacing_mm[axis]
    factor = 2 * int(np.ceil((np.ceil(spacing / _COARSEST_MM) - 1) / 2)) + 1
    step = spacing / factor
    edge = _PROFILE_EDGE * scanner.slice_thickness_mm
    rendered = min(scanner.blur_mm, edge)
    rest = float(np.sqrt(edge**2 - rendered**2))
    weights = _profile(scanner.slice_thickness_mm, rest, step)
    steps = [step if a == axis else grid.spacing_mm[a] for a in range(3)]
    voxel = float(np.mean(steps)) / np.sqrt(12)
    plane = float(np.sqrt(scanner.blur_mm**2 - rendered**2))
    return SlicePlan(axis, factor, weights, float(np.hypot(rendered, voxel)), plane)


def _profile(thickness_mm: float, edge_mm: float, step_mm: float) -> tuple[float, ...]:
    """Share of each fine slice in a slice: a box of the thickness with Gaussian slopes; a thin one is one voxel."""
    if thickness_mm <= step_mm:
        return (1.0,)
    reach = int(np.ceil((thickness_mm / 2 + 3 * edge_mm) / step_mm - 0.5))
    # A fine slice is a cell: its share is the integral of the profile over the cell, by five points.
    offsets = (np.arange(-reach, reach + 1)[:, None] + np.linspace(-0.4, 0.4, 5)) * step_mm
    low, high = offsets + thickness_mm / 2, offsets - thickness_mm / 2
    if edge_mm > 0.05 * step_mm:
        share = 0.5 * (erf(low / (edge_mm * np.sqrt(2))) - erf(high / (edge_mm * np.sqrt(2)))).mean(axis=1)
    else:
        cells = np.arange(-reach, reach + 1) * step_mm
        share = np.clip((thickness_mm / 2 + step_mm / 2 - np.abs(cells)) / step_mm, 0, 1)
    return tuple(float(s) for s in share / share.sum())


def blur_in_plane(image: NDArray[np.float32], grid: Grid, plan: SlicePlan, scanner: CtScanner) -> NDArray[np.float32]:
    """Blur within slices by what the plan left, then enhance edges."""
    plane = [a for a in range(3) if a != plan.axis]
    image = _gaussian(image, [plan.plane_blur_mm / grid.spacing_mm[a] for a in plane], plane)
    if scanner.overshoot > 0:
        width = _ENHANCED_WIDTH * scanner.blur_mm
        copy = _gaussian(image, [width / grid.spacing_mm[a] for a in plane], plane)
        image = np.float32(1 + scanner.overshoot) * image - np.float32(scanner.overshoot) * copy
    return image


def _gaussian(image: NDArray[np.float32], sigmas: list[float], axes: list[int]) -> NDArray[np.float32]:
    """Gaussian along some axes; a width far below a voxel changes nothing and is left out."""
    for sigma, axis in zip(sigmas, axes, strict=True):
        if sigma > 0.15:
            reach = int(3 * sigma + 0.5)
            weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
            image = weigh_along(image, weights / weights.sum(), axis, start=-reach)
    return image


def noise_pair(
    grid: Grid, scanner: CtScanner, seed: int, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise of the slices ``start`` to ``stop``, parted by the direction of the rays that it comes from.

    The first part comes from rays from front to back, the second from rays from side to side; their sum has the asked
    standard deviation where the grid is fine enough to hold the spectrum, a ramp times the squared transfer of the
    kernel. A coarser grid holds less of it, as averaging would leave. Slices share noise where their profiles overlap.
    Each slice has a seed of its own, so a slab holds what the whole holds.
    """
    axis = scan_axis(grid)
    plane = [a for a in range(3) if a != axis]
    size = [grid.shape[a] for a in plane]
    weights = _noise_weights(grid.spacing_mm[axis], scanner.slice_thickness_mm)
    spectrum = np.empty((size[0], size[1] // 2 + 1, stop - start), dtype=np.complex64)
    _fill_white(spectrum, size[1], weights.astype(np.float32), start, seed)
    parts = [
        np.moveaxis(fft.irfft2(spectrum * shape[:, :, None], s=size, axes=(0, 1)), 2, axis)
        for shape in _spectra(grid, plane, size, scanner)
    ]
    return np.ascontiguousarray(parts[0], dtype=np.float32), np.ascontiguousarray(parts[1], dtype=np.float32)


@njit(cache=True, error_model="numpy")
def _fill_white(
    spectrum: NDArray[np.complex64], width: int, weights: NDArray[np.float32], first: int, seed: int
) -> None:
    """Fill the half spectrum (i, j, slice) of white noise that slices share by weight; ``width``: the plane's along j.

    Before that each number depends on its slice and its place alone. It is evenly distributed: a voxel sums up many.
    """
    n_i, n_j, n_k = spectrum.shape
    drawn = np.empty((2, n_k + weights.size - 1), dtype=np.float32)
    mixed = np.empty((2, n_k), dtype=np.float32)
    for i in range(n_i):
        for j in range(n_j):
            # In the columns that are their own mirror image half of the numbers have no effect.
            alone = j == 0 or 2 * j == width
            scale = np.float32(np.sqrt((3.0 if alone else 1.5) * n_i * width))
            mixed[:] = 0
            for part in range(2):
                for k in range(drawn.shape[1]):
                    drawn[part, k] = scale * lattice_value(2 * i + part, j, first - weights.size // 2 + k, seed)
                for t in range(weights.size):
                    for k in range(n_k):
                        mixed[part, k] += weights[t] * drawn[part, k + t]
            for k in range(n_k):
                spectrum[i, j, k] = complex(mixed[0, k], mixed[1, k])


def _noise_weights(spacing_mm: float, thickness_mm: float) -> NDArray[np.float64]:
    """How the white noise of neighbouring slices mixes, squares summing to 1, where slices overlap."""
    ratio = thickness_mm / spacing_mm
    reach = max(0, int(np.ceil(ratio / 2 - 0.5)))
    cells = np.abs(np.arange(-reach, reach + 1))
    weights = np.clip(ratio / 2 + 0.5 - cells, 0, 1)
    return np.asarray(weights / np.sqrt((weights**2).sum()))


def _spectra(
    grid: Grid, plane: list[int], size: list[int], scanner: CtScanner
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amplitude at each frequency of a slice, for rays from front to back and from side to side."""
    steps = [grid.spacing_mm[a] for a in plane]
    first, second = fft.fftfreq(size[0], steps[0])[:, None], fft.rfftfreq(size[1], steps[1])[None, :]
    across, along = (grid.direction[row, plane[0]] * first + grid.direction[row, plane[1]] * second for row in range(2))
    frequency = np.hypot(first, second)
    power = np.maximum(frequency, _LEAST_FREQUENCY_PER_MM) * transfer(frequency, scanner) ** 2
    radii = np.linspace(0, 3 / scanner.blur_mm, 4000)
    ring = np.maximum(radii, _LEAST_FREQUENCY_PER_MM) * transfer(radii, scanner) ** 2 * 2 * np.pi * radii
    amplitude = scanner.noise_hu * np.sqrt(power / (np.trapezoid(ring, radii) * steps[0] * steps[1]))
    # A projection along some rays holds the frequencies across them. Both parts are of one noise: shares add up.
    tilt = (along / np.maximum(np.hypot(across, along), 1e-9)) ** 2
    side = tilt**2 * (3 - 2 * tilt)
    return (amplitude * (1 - side)).astype(np.float32), (amplitude * side).astype(np.float32)
