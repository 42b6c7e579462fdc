"""What magnetic resonance scanners do to a picture besides contrast.

Pictures are float32 arrays; every function takes array axes, so that slices may lie along any of them. What must not
depend on the crop (coil, field) is a function of world coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from osteomet.core.grid import Grid
from osteomet.phantom.mr import kernels as mr_kernels
from osteomet.phantom.mr.signals import FAT_SHIFT_PPM, LARMOR_MHZ_PER_T

Image = NDArray[np.float32]

_LATTICE = 6
CHI_STEP = 2
"""Voxels between the points at which susceptibility is given."""
_CHI_PAD = 6
_SHIM_POINTS = 2000
_SHIM_REACH_PPM = 1.0
"""Tissue whose field differs by more than this from the median of all tissue lies near metal."""
_QUANTILES = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """Smooth random function of place: a sum of cosines with ``waves`` (n, 3) in rad/mm."""

    amplitudes: NDArray[np.float64]
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]

    def at(self, xyz_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value at points of shape (..., 3)."""
        return np.asarray(np.cos(xyz_mm @ self.waves.T + self.phases) @ self.amplitudes)


NO_WAVES = Waves(np.zeros(1), np.zeros((1, 3)), np.zeros(1))


def random_waves(rng: np.random.Generator, *, spread: float, shortest_mm: float = 150.0) -> Waves:
    """Draw five waves, from ``shortest_mm`` to four times that, whose sum has the standard deviation ``spread``."""
    n = 5
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions * (2 * np.pi / (shortest_mm * np.geomspace(1, 4, n)))[:, None]
    return Waves(np.full(n, spread * np.sqrt(2 / n)), waves, rng.uniform(0, 2 * np.pi, n))


@dataclass(frozen=True, slots=True)
class Coil:
    """Posterior array: its plane (LPS y, mm), the depth over which it fades and what an anterior array sees.

    ``anterior_share`` 1 is an even picture, 0 the posterior array alone; correction by the scanner counts as share.
    """

    plane_y_mm: float = 110.0
    reach_mm: float = 80.0
    anterior_share: float = 1.0

    def at(self, xyz_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sensitivity at points of shape (..., 3), 1 at a depth of one reach."""
        depth = np.maximum(self.plane_y_mm - xyz_mm[..., 1], 0) / self.reach_mm
        posterior = (2 / (1 + depth**2)) ** 1.5
        return np.asarray(self.anterior_share + (1 - self.anterior_share) * posterior)


EVEN_COIL = Coil()


def bias_field(grid: Grid, coil: Coil, waves: Waves) -> Image:
    """Multiplicative intensity field: the coil times the exponential of smooth waves."""
    points, weights = _lattice(grid)
    return _upsampled(coil.at(points) * np.exp(waves.at(points)), weights)


def smooth_field(grid: Grid, waves: Waves) -> Image:
    """The waves on a grid, evaluated on a coarse lattice and interpolated."""
    points, weights = _lattice(grid)
    return _upsampled(waves.at(points), weights)


def susceptibility_field_ppm(chi_ppm: Image, grid: Grid) -> Image:
    """Field of tissue and air in a main field along LPS z, ppm, from their susceptibility, shimmed over the tissue.

    ``chi_ppm`` holds every `CHI_STEP`-th voxel of the grid along each axis. The dipole kernel is applied in k-space on
    this lattice, which is continued at its edges as it is there. As scanners do before they image, a polynomial of
    second order is then subtracted that fits the field where ``chi_ppm`` is 0, which stands for soft tissue. What lies
    near metal is left out of the fit, or the whole field of view would be off for its sake.

    References
    ----------
    Marques J.P., Bowtell R. 2005: https://doi.org/10.1002/cmr.b.20034
    """
    if not chi_ppm.any():
        return np.zeros(grid.shape, dtype=np.float32)
    pads = [(min(_CHI_PAD, n - 1), min(_CHI_PAD, n - 1)) for n in chi_ppm.shape]
    padded = np.pad(chi_ppm, pads, mode="edge")
    kernel = _dipole(padded.shape, tuple(s * CHI_STEP for s in grid.spacing_mm), grid.direction[2].tobytes())
    field = fft.irfftn(fft.rfftn(padded) * kernel, padded.shape)
    inner = tuple(slice(a, a + n) for (a, _), n in zip(pads, chi_ppm.shape, strict=True))
    weights = [_linear_weights(n, CHI_STEP, m) for n, m in zip(grid.shape, chi_ppm.shape, strict=True)]
    field, tissue = field[inner], chi_ppm == 0
    if tissue.any():
        tissue &= np.abs(field - np.median(field[tissue])) < _SHIM_REACH_PPM
    return _upsampled(_shimmed(field, tissue), weights)


def _shimmed(field: Image, tissue: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtract the polynomial of second order that fits the field over the tissue."""
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in field.shape]
    i, j, k = np.meshgrid(*axes, indexing="ij", sparse=True)
    terms = [np.ones(()), i, j, k, i * i, j * j, k * k, i * j, i * k, j * k]
    basis = np.stack([np.broadcast_to(t, field.shape) for t in terms], axis=-1)
    picks = np.flatnonzero(tissue)
    picks = picks[:: max(1, picks.size // _SHIM_POINTS)]
    if picks.size < 2 * len(terms):
        return np.asarray(field - field.mean(), dtype=np.float64)
    flat = basis.reshape(-1, len(terms))
    fit, *_ = np.linalg.lstsq(flat[picks], field.ravel()[picks].astype(np.float64))
    return np.asarray(field - (flat @ fit).reshape(field.shape))


@lru_cache(maxsize=8)
def _dipole(shape: tuple[int, ...], spacing_mm: tuple[float, ...], along_z: bytes) -> Image:
    """Field per susceptibility in k-space, half spectrum; ``along_z`` holds the z components of the array axes."""
    z = np.frombuffer(along_z)
    k = [np.fft.fftfreq(n, d) for n, d in zip(shape[:2], spacing_mm[:2], strict=True)]
    k.append(np.fft.rfftfreq(shape[2], spacing_mm[2]))
    ki, kj, kk = np.meshgrid(*k, indexing="ij", sparse=True)
    square = ki**2 + kj**2 + kk**2
    square[0, 0, 0] = 1
    kernel = 1 / 3 - (ki * z[0] + kj * z[1] + kk * z[2]) ** 2 / square
    kernel[0, 0, 0] = 0
    return np.asarray(kernel, dtype=np.float32)


def fat_shift_px(field_strength_t: float, hz_per_px: float) -> float:
    """Displacement of fat along an encoding axis, pixels, negative towards lower frequency.

    Examples
    --------
    >>> round(fat_shift_px(1.5, 217.1), 2)
    -1.0
    """
    return FAT_SHIFT_PPM * LARMOR_MHZ_PER_T * field_strength_t / hz_per_px


@lru_cache(maxsize=256)
def sampling_matrix(n: int, sampled: float, taper: float, shift_px: float) -> Image:
    """Matrix that truncates the k-space of a line of ``n`` pixels, filters it and moves the line, shape (n, n).

    ``sampled`` is the share of k-space that is measured: the picture rings at edges (Gibbs) and is interpolated by
    zeros. The line is continued by reflection, in cosines instead of exponentials, so that only edges of tissue ring
    and not the border of the crop. Rows sum to 1: constant in, constant out.

    Examples
    --------
    >>> bool(np.allclose(sampling_matrix(8, 1.0, 0.0, 0.0), np.eye(8), atol=1e-6))
    True
    """
    order = np.arange(n)
    limit = sampled * n
    flat = (1 - taper) * limit
    slope = np.clip((order - flat) / max(limit - flat, 1e-9), 0, 1)
    window = np.where(order < limit, np.cos(np.pi / 2 * slope) ** 2, 0.0)
    scale = np.where(order == 0, 1.0, 2.0) / n
    place = np.arange(n) + 0.5
    given = np.cos(np.pi / n * np.outer(place, order))
    wanted = np.cos(np.pi / n * np.outer(place - shift_px, order))
    matrix = ((wanted * (scale * window)) @ given.T).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def noise_gain(n: int, sampled: float, taper: float) -> float:
    """Standard deviation of white noise after `sampling_matrix`, over that before."""
    matrix = sampling_matrix(n, sampled, taper, 0.0)
    return float(np.sqrt(np.mean(np.sum(matrix.astype(np.float64) ** 2, axis=1))))


def apply_along(matrix: Image, image: Image, axis: int) -> Image:
    """Multiply every line of a picture along an axis with a matrix."""
    if axis == 0:
        return np.asarray((matrix @ image.reshape(image.shape[0], -1)).reshape(-1, *image.shape[1:]))
    if axis == 1:
        return np.asarray(np.matmul(matrix, image))
    return np.asarray((image.reshape(-1, image.shape[2]) @ matrix.T).reshape(*image.shape[:2], -1))


def distort(first: Image, second: Image, shift_px: Image, axis: int) -> tuple[Image, Image]:
    """Move the signal of two pictures along an axis by ``shift_px`` and let it pile up; sums are kept."""
    outs = np.empty_like(first), np.empty_like(second)
    mr_kernels.push(*(np.moveaxis(a, axis, -1) for a in (first, second, shift_px, *outs)))
    return outs


def dephasing_rate(field_hz: Image) -> Image:
    """Rate R (per ms²) with which a gradient echo fades in an uneven field, as ``exp(−R TE²)``.

    A field that varies by d hertz across a voxel leaves sinc(d·TE) of the signal; this is the Gaussian of the same
    curvature, of all three axes together.
    """
    out = np.empty_like(field_hz)
    mr_kernels.steepness(np.ascontiguousarray(field_hz), out)
    return np.asarray(out * np.float32(np.pi**2 / 6 * 1e-6))


def magnitude(real: Image, imaginary: Image) -> Image:
    """Length of a complex picture."""
    out = np.empty_like(real)
    mr_kernels.magnitude(np.ascontiguousarray(real).ravel(), np.ascontiguousarray(imaginary).ravel(), out.reshape(-1))
    return out


def white_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Image:
    """Draw standard normal numbers from a table of 65 536 quantiles (none beyond 4.3), thrice as fast as exact ones."""
    return np.asarray(_QUANTILES.take(rng.integers(0, _QUANTILES.size, shape, dtype=np.uint16)))


def ghosts(image: Image, source: Image, axis: int, offset_px: int, share: float) -> Image:
    """Add two copies of a pulsating ``source``, ``offset_px`` before and behind it along the phase axis."""
    return image + np.float32(share / 2) * (np.roll(source, offset_px, axis) + np.roll(source, -offset_px, axis))


def jolted(
    image: NDArray[np.complex64], phase_axis: int, readout_axis: int, jolts: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """Return a complex picture whose patient moved while k-space was filled.

    ``jolts``, shape (n, 3), holds the positions of the patient in the course of the acquisition: the share of phase
    encoding steps done (0–1, ascending from 0) and from there on the displacement along phase and readout in pixels.
    """
    spectrum = fft.fft2(image, axes=(phase_axis, readout_axis))
    n_phase, n_readout = image.shape[phase_axis], image.shape[readout_axis]
    k_phase, k_readout = np.fft.fftfreq(n_phase), np.fft.fftfreq(n_readout)
    done = (k_phase + 0.5)[:, None] >= jolts[:, 0]
    position = jolts[np.maximum(done.sum(axis=1) - 1, 0), 1:]
    ramp = np.exp(-2j * np.pi * (k_phase * position[:, 0])[:, None] - 2j * np.pi * np.outer(position[:, 1], k_readout))
    if phase_axis > readout_axis:
        ramp = ramp.T
    shape = [1, 1, 1]
    shape[phase_axis], shape[readout_axis] = n_phase, n_readout
    spectrum *= ramp.astype(np.complex64).reshape(shape)
    return np.asarray(fft.ifft2(spectrum, axes=(phase_axis, readout_axis)))


def _lattice(grid: Grid) -> tuple[NDArray[np.float64], list[Image]]:
    """World points of every sixth voxel (and beyond the last), and the matrices that interpolate between them."""
    counts = [(n - 1) // _LATTICE + 2 for n in grid.shape]
    index = np.stack(np.meshgrid(*(np.arange(m) * float(_LATTICE) for m in counts), indexing="ij"), axis=-1)
    return grid.to_xyz_mm(index), [_linear_weights(n, _LATTICE, m) for n, m in zip(grid.shape, counts, strict=True)]


@lru_cache(maxsize=64)
def _linear_weights(n: int, step: int, n_nodes: int) -> Image:
    """Interpolation from nodes at every ``step`` voxels to ``n`` voxels, shape (n, n_nodes)."""
    place = np.arange(n) / step
    low = np.minimum(place.astype(int), max(n_nodes - 2, 0))
    share = np.minimum(place - low, 1.0) if n_nodes > 1 else np.zeros(n)
    matrix = np.zeros((n, n_nodes), dtype=np.float32)
    matrix[np.arange(n), low] = 1 - share
    if n_nodes > 1:
        matrix[np.arange(n), low + 1] += share.astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def _upsampled(nodes: NDArray[np.float64], weights: list[Image]) -> Image:
    """Interpolate values at lattice nodes to all voxels."""
    out = nodes.astype(np.float32)
    for axis in (2, 1, 0):
        out = apply_along(weights[axis], np.ascontiguousarray(out), axis)
    return out
