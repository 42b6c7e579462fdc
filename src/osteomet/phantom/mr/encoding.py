"""From signals of tissue to complex echoes: slices, coil, field, encoding, noise, motion.

Each encoding step is linear, so it is one matrix an axis (`sampling_matrix`), which also holds the shift of fat and the
displacement between sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.mr import artefacts
from osteomet.phantom.mr import kernels as mr_kernels
from osteomet.phantom.mr.artefacts import EVEN_COIL, Image
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.scanner import Composition, MrScanner
from osteomet.phantom.mr.sequences import OPPOSED, Contrast, Method, Sequence, reference_signal
from osteomet.phantom.mr.tissues import Tissue

_PULSATILE = (Tissue.ARTERY, Tissue.VEIN, Tissue.CSF, Tissue.CSF_STREAM)
_CHI_PPM = {
    Tissue.AIR: 9.4,
    Tissue.GAS: 9.4,
    Tissue.LUNG: 4.5,
    Tissue.METAL: 190.0,
    Tissue.CORTICAL_BONE: -1.5,
}
_FAT_SATURATION_PPM = 1.6
_WATER_BAND_PPM, _SLICE_BAND_HZ = 1.6, 1200.0
"""Half the band that pulses excite: of the water alone in echo-planar imaging, of the whole slice elsewhere."""
_MARROW = np.array([Tissue.MIXED_MARROW, Tissue.RED_MARROW, Tissue.YELLOW_MARROW], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Echo:
    """One complex picture, noise included."""

    real: Image
    imaginary: Image

    @property
    def magnitude(self) -> Image:
        """What the scanner shows."""
        return artefacts.magnitude(self.real, self.imaginary)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What all images of one acquisition share.

    ``fat_left`` is the share of fat that suppression leaves, ``fading`` the rate with which gradient echoes dephase,
    ``excited`` the share of the signal that pulses reach, None where no metal keeps them from any.
    """

    composition: Composition
    sequence: Sequence
    scanner: MrScanner
    stack: Stack
    rng: np.random.Generator
    displacement_mm: NDArray[np.float64]
    jolts: NDArray[np.float64] | None
    ghost_offset_px: int
    reference: float
    sigma: float
    bias: Image
    noise: Image
    field_hz: Image | None
    fat_left: Image | np.float32
    fading: Image | None
    excited: Image | None

    @classmethod
    def prepare(
        cls, composition: Composition, sequence: Sequence, scanner: MrScanner, rng: np.random.Generator, stack: Stack
    ) -> Run:
        """Draw what is random for the whole acquisition and compute the fields."""
        reference = reference_signal(sequence, scanner.tissues)
        sigma = reference / sequence.snr
        n_phase = stack.grid.shape[stack.phase_axis]
        single_shot = sequence.method is Method.DIFFUSION
        field_hz = _field_hz(composition, scanner, stack) if _feels_field(sequence, composition) else None
        fades = sequence.method in (Method.GRADIENT_ECHO, Method.DIXON)
        gain = float(
            np.prod(
                [
                    artefacts.noise_gain(stack.grid.shape[axis], sampled, sequence.taper)
                    for axis, sampled in zip((stack.readout_axis, stack.phase_axis), sequence.sampled, strict=True)
                ]
            )
        )
        return cls(
            composition,
            sequence,
            scanner,
            stack,
            rng,
            displacement_mm=rng.normal(0, 1, 3) * scanner.shift_mm,
            jolts=_draw_jolts(rng, scanner.motion_px) if scanner.motion_px and not single_shot else None,
            ghost_offset_px=int(rng.integers(max(n_phase // 6, 1), max(n_phase // 2, 2))),
            reference=reference,
            sigma=sigma,
            bias=_intensity(sequence, scanner, stack),
            noise=artefacts.bias_field(stack.grid, EVEN_COIL, scanner.noise_gain) * np.float32(sigma / gain),
            field_hz=field_hz,
            fat_left=_fat_left(sequence, scanner, field_hz),
            fading=artefacts.dephasing_rate(field_hz) if field_hz is not None and fades else None,
            excited=_excited(sequence, scanner, field_hz) if field_hz is not None and _has_metal(composition) else None,
        )

    def encode(self, contrast: Contrast) -> Echo:
        """Signals of one echo through coil, field and encoding, with noise."""
        water, fat = (self._in_slices(part) for part in self._mixed(contrast.water, contrast.fat))
        if self.scanner.ghost_share and self.sequence.method is not Method.DIFFUSION:
            still = np.array([tissue not in _PULSATILE for tissue in Tissue])
            pulse, _ = self._mixed(np.where(still, 0, contrast.water), np.zeros_like(contrast.fat))
            share, phase_axis = self.scanner.ghost_share, self.stack.phase_axis
            water = artefacts.ghosts(water, self._in_slices(pulse), phase_axis, self.ghost_offset_px, share)
        water, fat = self._disturbed(water, fat, contrast)
        echo = self._sampled(water, fat, contrast.fat_phase)
        if self.jolts is None:
            return echo
        complex_echo = echo.real + np.complex64(1j) * echo.imaginary
        moved = artefacts.jolted(complex_echo, self.stack.phase_axis, self.stack.readout_axis, self.jolts)
        return Echo(moved.real, moved.imag)

    def _mixed(self, pure_water: NDArray[np.float64], pure_fat: NDArray[np.float64]) -> tuple[Image, Image]:
        """Water and fat of every voxel of the composition."""
        c = self.composition
        water, fat = np.empty(c.grid.shape, dtype=np.float32), np.empty(c.grid.shape, dtype=np.float32)
        mr_kernels.mix(
            np.ascontiguousarray(c.index_a).ravel(),
            np.ascontiguousarray(c.index_b).ravel(),
            np.ascontiguousarray(c.share_b).ravel(),
            np.ascontiguousarray(c.marrow_fat).ravel(),
            pure_water.astype(np.float32),
            pure_fat.astype(np.float32),
            self.scanner.tissues.fat_fraction.astype(np.float32),
            _MARROW,
            water.reshape(-1),
            fat.reshape(-1),
        )
        return water, fat

    def _in_slices(self, part: Image) -> Image:
        """Gather layers into displaced slices, as the coil sees them."""
        stack = self.stack
        along_slices = float(stack.grid.direction[:, stack.slice_axis] @ self.displacement_mm)
        if stack.n_layers > 1 or along_slices:
            part = artefacts.apply_along(stack.layer_weights(along_slices), part, stack.slice_axis)
        part *= self.bias
        return part

    def _disturbed(self, water: Image, fat: Image, contrast: Contrast) -> tuple[Image, Image]:
        """What an uneven field does: missed fat saturation, signal that no pulse reaches, dephasing, displacement."""
        sequence, stack = self.sequence, self.stack
        fat *= self.fat_left
        if self.field_hz is None:
            return water, fat
        if self.excited is not None:
            water *= self.excited
            fat *= self.excited
        if self.fading is not None:
            te_ms = sequence.opposed_te_ms if contrast.name == OPPOSED else sequence.te_ms
            left = np.exp(self.fading * np.float32(-(te_ms**2)))
            water *= left
            fat *= left
        if np.isfinite(sequence.phase_hz_per_px):
            shift = self.field_hz / np.float32(sequence.phase_hz_per_px)
            return artefacts.distort(water, fat, shift, stack.phase_axis)
        if np.isfinite(sequence.readout_hz_per_px) and self.excited is not None:
            shift = self.field_hz * np.float32(self.scanner.polarity / sequence.readout_hz_per_px)
            return artefacts.distort(water, fat, shift, stack.readout_axis)
        return water, fat

    def _sampled(self, water: Image, fat: Image, fat_phase: complex) -> Echo:
        """Encode both axes of the plane: truncate, filter, displace, and give the noise the same grain.

        Fat is displaced along the axis of the lower bandwidth, which comes first; from there on water, fat and noise
        share a path.
        """
        is_planar = np.isfinite(self.sequence.phase_hz_per_px)
        axes = [self.stack.readout_axis, self.stack.phase_axis]
        hz_per_px = self.sequence.phase_hz_per_px if is_planar else self.sequence.readout_hz_per_px
        fat_px = artefacts.fat_shift_px(self.scanner.field_strength_t, hz_per_px * self.scanner.polarity)
        first, second = reversed(axes) if is_planar else axes
        imaginary = np.zeros_like(water)
        if self.sigma:
            water += artefacts.white_noise(self.rng, water.shape) * self.noise
            imaginary = artefacts.white_noise(self.rng, water.shape) * self.noise
        real = self._sampled_along(first, water)
        fat = self._sampled_along(first, fat, fat_px)
        real += np.float32(fat_phase.real) * fat
        if self.sigma or fat_phase.imag:
            imaginary = self._sampled_along(first, imaginary)
            imaginary += np.float32(fat_phase.imag) * fat
            imaginary = self._sampled_along(second, imaginary)
        return Echo(self._sampled_along(second, real), imaginary)

    def _sampled_along(self, axis: int, part: Image, extra_px: float = 0.0) -> Image:
        """Encode one axis."""
        shift = float(self.stack.grid.direction[:, axis] @ self.displacement_mm) / self.stack.grid.spacing_mm[axis]
        shift += extra_px
        sampled = self.sequence.sampled[int(axis == self.stack.phase_axis)]
        if sampled == 1 and not self.sequence.taper and not shift:
            return part.copy()
        matrix = artefacts.sampling_matrix(part.shape[axis], sampled, self.sequence.taper, shift)
        return artefacts.apply_along(matrix, part, axis)


def _draw_jolts(rng: np.random.Generator, motion_px: float) -> NDArray[np.float64]:
    """One to four changes of position during the acquisition, see `artefacts.jolted`."""
    n = int(rng.integers(1, 5))
    done = np.concatenate([[0.0], np.sort(rng.uniform(0.05, 0.95, n))])
    return np.column_stack([done, np.vstack([np.zeros(2), rng.normal(0, motion_px, (n, 2))])])


def _intensity(sequence: Sequence, scanner: MrScanner, stack: Stack) -> Image:
    """What coil and, in spin echoes, saturation leave of the signal."""
    bias = artefacts.bias_field(stack.grid, scanner.coil, scanner.bias)
    if scanner.band is not None and sequence.method in (Method.FAST_SPIN_ECHO, Method.INVERSION_RECOVERY):
        bias *= scanner.band.share(stack.grid)
    return bias


def _fat_left(sequence: Sequence, scanner: MrScanner, field_hz: Image | None) -> Image | np.float32:
    """Share of fat that suppression leaves: more where the field has moved fat out of the saturation band."""
    left = np.float32(sequence.fat_left)
    if left == 1 or field_hz is None:
        return left
    square = (field_hz / np.float32(_FAT_SATURATION_PPM * scanner.hz_per_ppm)) ** 2
    return np.asarray(1 - (1 - left) * np.exp(-square * square))


def _excited(sequence: Sequence, scanner: MrScanner, field_hz: Image) -> Image:
    """Share of the signal whose frequency lies in the band of the pulses."""
    is_planar = np.isfinite(sequence.phase_hz_per_px)
    band_hz = _WATER_BAND_PPM * scanner.hz_per_ppm if is_planar else _SLICE_BAND_HZ
    square = (field_hz / np.float32(band_hz)) ** 2
    return np.asarray(np.exp(-square * square))


def _has_metal(composition: Composition) -> bool:
    return bool((composition.index_a == Tissue.METAL).any())


def _feels_field(sequence: Sequence, composition: Composition) -> bool:
    """Whether an uneven field changes the picture: echo planar, gradient echo, saturated fat, or anything at metal."""
    suppressed = sequence.fat_left < 1
    return (
        suppressed
        or sequence.method not in (Method.FAST_SPIN_ECHO, Method.INVERSION_RECOVERY)
        or _has_metal(composition)
    )


def _field_hz(composition: Composition, scanner: MrScanner, stack: Stack) -> Image:
    """Deviation of the main field on the grid of the images, from shimming and susceptibility, Hz."""
    total = artefacts.smooth_field(stack.grid, scanner.field_ppm)
    if scanner.has_susceptibility:
        chi = np.zeros(len(Tissue), dtype=np.float32)
        for tissue, ppm in _CHI_PPM.items():
            chi[tissue] = ppm
        layers = [slice(None, None, artefacts.CHI_STEP)] * 3
        layers[stack.slice_axis] = slice(stack.n_layers // 2, None, artefacts.CHI_STEP * stack.n_layers)
        a, b, share = (x[tuple(layers)] for x in (composition.index_a, composition.index_b, composition.share_b))
        total += artefacts.susceptibility_field_ppm(chi[a] + share * (chi[b] - chi[a]), stack.grid)
    return total * np.float32(scanner.hz_per_ppm)
