"""MR of a phantom: from the tissues of each voxel to the images of one acquisition.

The order follows the scanner: signals of water and fat, slices, coil, field, encoding along both axes of the plane,
noise, magnitude, integers. Each encoding step is linear, so it is one matrix an axis (`sampling_matrix`), which also
holds the shift of fat and the displacement between sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom import mr_artefacts as artefacts
from osteomet.phantom import mr_kernels
from osteomet.phantom.mr_artefacts import NO_WAVES, Coil, Image, Waves, random_waves
from osteomet.phantom.mr_geometry import Stack
from osteomet.phantom.sequences import (
    OPPOSED,
    WATER,
    Contrast,
    Method,
    Sequence,
    phase_name,
    reference_signal,
    tissue_signals,
)
from osteomet.phantom.signals import LARMOR_MHZ_PER_T, fit_adc_um2_per_ms, separate_two_points
from osteomet.phantom.tissues import Tissue, TissueTable, tissue_table

_PULSATILE = (Tissue.ARTERY, Tissue.VEIN, Tissue.CSF)
_CHI_PPM = {
    Tissue.AIR: 9.4,
    Tissue.GAS: 9.4,
    Tissue.LUNG: 4.5,
    Tissue.METAL: 190.0,
    Tissue.CORTICAL_BONE: -1.5,
}
_FAT_SATURATION_PPM = 1.6
_ADC_UNIT_PER_UM2_PER_MS = 1000
_ADC_LIMIT = 4095
_FLOOR_OF_ADC = 3.0
_LARGEST = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What fills each voxel of a grid: two tissues at most.

    Parameters
    ----------
    grid
        Where the voxels lie: `Stack.fine` of the acquisition.
    index_a, index_b
        `Tissue` indices.
    share_b
        Share of the second tissue, 0–1.
    marrow_fat
        Fat fraction of the marrow where a tissue is `Tissue.MIXED_MARROW`, 0–1; ignored elsewhere.

    Raises
    ------
    GeometryError
        If an array and the grid differ in shape.
    """

    grid: Grid
    index_a: NDArray[np.uint8]
    index_b: NDArray[np.uint8]
    share_b: NDArray[np.float32]
    marrow_fat: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("index_a", "index_b", "share_b", "marrow_fat"):
            if getattr(self, name).shape != self.grid.shape:
                raise GeometryError(
                    f"{name} and the grid of a composition differ in shape",
                    got=f"{getattr(self, name).shape} against {self.grid.shape}",
                )


@dataclass(frozen=True, slots=True, eq=False)
class MrScanner:
    """A scanner with its patient in place; as constructed without a flaw, as drawn by `sample_mr_scanner` with all.

    Parameters
    ----------
    tissues
        Relaxation and the rest of this patient at the field strength of this scanner.
    level
        Stored value of the reference signal (`reference_signal`), a.u.
    coil, bias
        Intensity over the patient: the array, and the logarithm of everything else.
    field_ppm
        What shimming left of the main field; susceptibility comes on top.
    has_susceptibility
        Whether air, gas, lung and metal disturb the field.
    noise_gain
        Logarithm of the noise amplification over the patient.
    ghost_share
        Share of the signal of vessels and cerebrospinal fluid that ghosts carry.
    motion_px
        Standard deviation of the displacement of the patient during an acquisition, pixels.
    shift_mm
        Standard deviation of the displacement between acquisitions along each patient axis, mm.
    polarity
        Direction of the readout gradient, 1 or -1: to which side fat is displaced.
    """

    tissues: TissueTable
    level: float = 500.0
    coil: Coil = Coil()
    bias: Waves = NO_WAVES
    field_ppm: Waves = NO_WAVES
    has_susceptibility: bool = False
    noise_gain: Waves = NO_WAVES
    ghost_share: float = 0.0
    motion_px: float = 0.0
    shift_mm: float = 0.0
    polarity: int = 1

    @property
    def field_strength_t(self) -> float:
        """Field strength, tesla."""
        return self.tissues.field_strength_t

    @property
    def hz_per_ppm(self) -> float:
        """Larmor frequency in MHz."""
        return LARMOR_MHZ_PER_T * self.field_strength_t


def sample_mr_scanner(rng: np.random.Generator, field_strength_t: float) -> MrScanner:
    """Draw a patient and a scanner of one of three habits of scaling and intensity correction."""
    habit = int(rng.integers(3))
    level = (220.0, 700.0, 420.0)[habit] * float(rng.lognormal(0, 0.35))
    is_high = field_strength_t == 3.0
    return MrScanner(
        tissue_table(field_strength_t, rng),
        level=level,
        coil=Coil(
            plane_y_mm=float(rng.uniform(85, 125)),
            reach_mm=float(rng.uniform(60, 110)),
            anterior_share=float((0.85, 0.35, 0.6)[habit] + rng.uniform(-0.25, 0.1)),
        ),
        bias=random_waves(rng, spread=float(rng.uniform(0.03, 0.16 if is_high else 0.1))),
        field_ppm=random_waves(rng, spread=float(rng.uniform(0.05, 0.35))),
        has_susceptibility=True,
        noise_gain=random_waves(rng, spread=float(rng.uniform(0.0, 0.2)), shortest_mm=80.0),
        ghost_share=float(rng.choice([0.0, rng.uniform(0.02, 0.12)])),
        motion_px=float(rng.exponential(0.7)) if rng.random() < 0.25 else 0.0,
        shift_mm=float(rng.choice([0.2, 0.6, 1.5], p=[0.5, 0.35, 0.15])),
        polarity=int(rng.choice([-1, 1])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class MrImages:
    """Images of one acquisition by name, and by how much the patient lay displaced in it (LPS mm).

    A structure at ``p`` appears at ``p + displacement_mm``.
    """

    images: Mapping[str, Volume]
    displacement_mm: tuple[float, float, float]
    main: str = field(repr=False)


def image_mr(
    composition: Composition,
    sequence: Sequence,
    scanner: MrScanner,
    rng: np.random.Generator,
    stack: Stack | None = None,
) -> Volume:
    """Main image of an acquisition, the one that its role names; of a dynamic series the last phase.

    See `acquire` for the parameters.
    """
    acquired = acquire(composition, sequence, scanner, rng, stack)
    return acquired.images[acquired.main]


def acquire(
    composition: Composition,
    sequence: Sequence,
    scanner: MrScanner,
    rng: np.random.Generator,
    stack: Stack | None = None,
) -> MrImages:
    """Image a composition.

    Parameters
    ----------
    composition
        Tissue on the fine grid of ``stack``.
    sequence, scanner
        Settings.
    rng
        Draws displacement, motion, the place of ghosts, and noise.
    stack
        Voxels of the images; None makes each voxel of the composition one of the image.

    Returns
    -------
    MrImages
        int16 volumes in a.u., named by role; a Dixon acquisition has ``T1-IP``, ``opposed``, ``FO`` and ``water``,
        diffusion one image a b value (``b800``) with ``DWI`` (the highest) and ``ADC`` (in 10⁻⁶ mm²/s), a dynamic
        series ``phase-01`` and so on. The scale is that of the sequence and not of the picture: any crop of a
        phantom has the same values.

    Raises
    ------
    GeometryError
        If composition and stack do not fit each other.
    """
    stack = stack or Stack(composition.grid)
    check_same_grid(composition.grid, stack.fine, names=("the composition", "the layers of the stack"))
    run = _Run.prepare(composition, sequence, scanner, rng, stack)
    echoes = {c.name: run.encode(c) for c in tissue_signals(sequence, scanner.tissues)}
    pictures, main = _reconstruct(echoes, sequence, run)
    scale = scanner.level / run.reference
    images = {
        name: Volume(
            _stored(p, 1.0 if name == SequenceRole.ADC.value else scale), stack.grid, Modality.MR, Unit.ARBITRARY
        )
        for name, p in pictures.items()
    }
    x, y, z = (float(v) for v in run.displacement_mm)
    return MrImages(MappingProxyType(images), (x, y, z), main)


@dataclass(frozen=True, slots=True, eq=False)
class _Echo:
    """One complex picture, noise included."""

    real: Image
    imaginary: Image

    @property
    def magnitude(self) -> Image:
        return artefacts.magnitude(self.real, self.imaginary)


def _reconstruct(echoes: dict[str, _Echo], sequence: Sequence, run: _Run) -> tuple[dict[str, Image], str]:
    """Pictures from echoes, and the name of the main one."""
    role = sequence.role.value
    pictures = {name: echo.magnitude for name, echo in echoes.items()}
    if sequence.method is Method.DIXON:
        in_phase, opposed = echoes[role], echoes[OPPOSED]
        water, fat = (
            artefacts.magnitude(real, imaginary)
            for real, imaginary in zip(
                separate_two_points(in_phase.real, opposed.real),
                separate_two_points(in_phase.imaginary, opposed.imaginary),
                strict=True,
            )
        )
        ip = pictures.pop(role)
        pictures |= {SequenceRole.T1_IP.value: ip, WATER: water, SequenceRole.FO.value: fat}
    if sequence.method is Method.DIFFUSION:
        weighted = list(pictures.values())
        adc = fit_adc_um2_per_ms(weighted, sequence.b_s_per_mm2)
        adc[weighted[0] < _FLOOR_OF_ADC * run.sigma] = 0
        limited = np.minimum(adc * np.float32(_ADC_UNIT_PER_UM2_PER_MS), _ADC_LIMIT)
        pictures |= {SequenceRole.DWI.value: weighted[-1], SequenceRole.ADC.value: limited}
    return pictures, phase_name(len(sequence.times_s)) if len(sequence.times_s) > 1 else role


def _stored(picture: Image, scale: float) -> NDArray[np.int16]:
    """Integers as scanners store them."""
    return np.asarray(np.minimum(picture * np.float32(scale) + np.float32(0.5), _LARGEST).astype(np.int16))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What all images of one acquisition share."""

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

    @classmethod
    def prepare(
        cls, composition: Composition, sequence: Sequence, scanner: MrScanner, rng: np.random.Generator, stack: Stack
    ) -> _Run:
        """Draw what is random for the whole acquisition and compute the fields."""
        reference = reference_signal(sequence, scanner.tissues)
        sigma = reference / sequence.snr
        n_phase = stack.grid.shape[stack.phase_axis]
        single_shot = sequence.method is Method.DIFFUSION
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
            bias=artefacts.bias_field(stack.grid, scanner.coil, scanner.bias),
            noise=artefacts.bias_field(stack.grid, Coil(), scanner.noise_gain) * np.float32(sigma / gain),
            field_hz=_field_hz(composition, scanner, stack) if _feels_field(sequence, composition) else None,
        )

    def encode(self, contrast: Contrast) -> _Echo:
        """Signals of one echo through coil, field and encoding, with noise."""
        water, fat = self._mixed(contrast.water, contrast.fat)
        if self.scanner.ghost_share and self.sequence.method is not Method.DIFFUSION:
            still = np.array([tissue not in _PULSATILE for tissue in Tissue])
            pulse, _ = self._mixed(np.where(still, 0, contrast.water), np.zeros_like(contrast.fat))
            share = self.scanner.ghost_share
            water = artefacts.ghosts(water, pulse, self.stack.phase_axis, self.ghost_offset_px, share)
        water, fat = self._disturbed(water, fat, contrast)
        echo = self._sampled(water, fat, contrast.fat_phase)
        if self.jolts is None:
            return echo
        complex_echo = echo.real + np.complex64(1j) * echo.imaginary
        moved = artefacts.jolted(complex_echo, self.stack.phase_axis, self.stack.readout_axis, self.jolts)
        return _Echo(moved.real, moved.imag)

    def _mixed(self, pure_water: NDArray[np.float64], pure_fat: NDArray[np.float64]) -> tuple[Image, Image]:
        """Water and fat of every voxel of the images: mixed in layers, gathered into slices, seen by the coil."""
        c = self.composition
        water, fat = np.empty(c.grid.shape, dtype=np.float32), np.empty(c.grid.shape, dtype=np.float32)
        marrow = np.array([Tissue.MIXED_MARROW, Tissue.RED_MARROW, Tissue.YELLOW_MARROW])
        mr_kernels.mix(
            *(np.ascontiguousarray(a).ravel() for a in (c.index_a, c.index_b, c.share_b, c.marrow_fat)),
            pure_water.astype(np.float32),
            pure_fat.astype(np.float32),
            self.scanner.tissues.fat_fraction.astype(np.float32),
            marrow,
            water.reshape(-1),
            fat.reshape(-1),
        )
        along_slices = float(self.stack.grid.direction[:, self.stack.slice_axis] @ self.displacement_mm)
        if self.stack.n_layers > 1 or along_slices:
            weights = self.stack.layer_weights(along_slices)
            water, fat = (artefacts.apply_along(weights, part, self.stack.slice_axis) for part in (water, fat))
        water *= self.bias
        fat *= self.bias
        return water, fat

    def _disturbed(self, water: Image, fat: Image, contrast: Contrast) -> tuple[Image, Image]:
        """What an uneven field does: missed fat saturation, dephased gradient echoes, displaced signal."""
        if self.field_hz is None:
            return water, fat
        sequence, stack = self.sequence, self.stack
        if sequence.fat_left < 1:
            fat *= self._unsaturated()
        if sequence.method in (Method.GRADIENT_ECHO, Method.DIXON):
            te_ms = sequence.opposed_te_ms if contrast.name == OPPOSED else sequence.te_ms
            left = np.exp(artefacts.dephasing_rate(self.field_hz) * np.float32(-(te_ms**2)))
            water *= left
            fat *= left
        if np.isfinite(sequence.phase_hz_per_px):
            shift = self.field_hz / np.float32(sequence.phase_hz_per_px)
            return artefacts.distort(water, fat, shift, stack.phase_axis)
        if np.isfinite(sequence.readout_hz_per_px) and _has_metal(self.composition):
            shift = self.field_hz * np.float32(self.scanner.polarity / sequence.readout_hz_per_px)
            return artefacts.distort(water, fat, shift, stack.readout_axis)
        return water, fat

    def _unsaturated(self) -> Image:
        """Amplification of the fat signal where the field has moved it out of the saturation band."""
        assert self.field_hz is not None
        square = (self.field_hz / np.float32(_FAT_SATURATION_PPM * self.scanner.hz_per_ppm)) ** 2
        kept = np.exp(-square * square)
        return np.asarray(kept + (1 - kept) * np.float32(1 / self.sequence.fat_left), dtype=np.float32)

    def _sampled(self, water: Image, fat: Image, fat_phase: complex) -> _Echo:
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
        return _Echo(self._sampled_along(second, real), imaginary)

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
        layers = [slice(None)] * 3
        layers[stack.slice_axis] = slice(stack.n_layers // 2, None, stack.n_layers)
        a, b, share = (x[tuple(layers)] for x in (composition.index_a, composition.index_b, composition.share_b))
        total += artefacts.susceptibility_field_ppm(chi[a] + share * (chi[b] - chi[a]), stack.grid)
    return total * np.float32(scanner.hz_per_ppm)
