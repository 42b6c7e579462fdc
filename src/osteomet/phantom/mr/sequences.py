"""Sequences as settings: what a scanner is told, and the signals it gives.

A `Sequence` names one acquisition. Some acquisitions make several images: Dixon echoes, b values, dynamic phases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole
from osteomet.image.kinetics import extended_tofts_mm
from osteomet.phantom.mr import signals
from osteomet.phantom.mr.tissues import Tissue, TissueTable

Values = NDArray[np.float64]

OPPOSED, WATER = "opposed", "water"
"""Names of the two Dixon images that have no role of their own."""

_INFLOW = 0.5
_FAT_ADC_UM2_PER_MS = 0.02
_REFERENCE = (Tissue.MUSCLE, Tissue.MIXED_MARROW, Tissue.METASTASIS)


class Method(StrEnum):
    """How the signal is made."""

    FAST_SPIN_ECHO = "fast spin echo"
    INVERSION_RECOVERY = "inversion recovery"
    GRADIENT_ECHO = "spoiled gradient echo"
    DIXON = "two-point Dixon gradient echo"
    DIFFUSION = "diffusion-weighted echo-planar imaging"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Settings of one acquisition.

    Parameters
    ----------
    role
        What its main image is for.
    method
        How the signal is made.
    tr_ms, te_ms, opposed_te_ms, train_ms, ti_ms, flip_degree
        Timing; ``te_ms`` is the effective echo time, and the in-phase one of a Dixon acquisition, ``train_ms`` the
        length of the echo train.
    b_s_per_mm2
        Diffusion weightings, ascending.
    times_s
        Time of each image after contrast medium arrives; negative before. Empty without contrast medium.
    fat_left
        Share of the fat signal that fat suppression leaves at the centre frequency; 1 without suppression.
    readout_hz_per_px, phase_hz_per_px
        Bandwidth per pixel. The second is finite for echo-planar imaging alone.
    sampled
        Share of k-space that is measured along readout and phase; the rest is filled with zeros.
    taper
        Share of the measured half-axis over which the filter rolls off; 0 rings most.
    snr
        Reference signal (mean of muscle, marrow and metastasis in the first image) over the standard deviation of the
        noise; infinite for none.
    """

    role: SequenceRole
    method: Method
    tr_ms: float
    te_ms: float
    opposed_te_ms: float = 0.0
    train_ms: float = 0.0
    ti_ms: float = 0.0
    flip_degree: float = 90.0
    b_s_per_mm2: tuple[float, ...] = ()
    times_s: tuple[float, ...] = ()
    fat_left: float = 1.0
    readout_hz_per_px: float = float("inf")
    phase_hz_per_px: float = float("inf")
    sampled: tuple[float, float] = (1.0, 1.0)
    taper: float = 0.0
    snr: float = float("inf")

    def __post_init__(self) -> None:
        if not (self.te_ms >= 0 and 0 <= self.train_ms < self.tr_ms):
            raise UsageError(
                "a sequence needs a repetition time beyond its echo train and no negative echo time",
                expected="TR above the train, TE and train 0 ms or more",
                got=f"TR {self.tr_ms:g} ms, TE {self.te_ms:g} ms, train {self.train_ms:g} ms",
                remedy="state times in ms, or start from `protocols.preset`",
            )
        if self.method is Method.DIFFUSION and (len(b := self.b_s_per_mm2) < 2 or list(b) != sorted(set(b))):
            raise UsageError(
                "diffusion needs two b values or more in ascending order",
                expected="such as (0, 800), in s/mm²",
                got=str(b),
                remedy="add a low b value, and sort them",
            )
        if not all(0 < share <= 1 for share in self.sampled) or not 0 <= self.taper <= 1:
            raise UsageError(
                "shares of k-space lie above 0 and up to 1",
                expected="sampled above 0 and up to 1, taper 0 to 1",
                got=f"sampled {self.sampled}, taper {self.taper:g}",
                remedy="state shares, not percent; 1 samples all, taper 0 filters nothing",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Signal of the pure water and the pure fat of each tissue (arrays by `Tissue`) in one image.

    ``fat`` is what would be without fat suppression, which depends on place; ``fat_phase`` is the phase of fat against
    water with the part that its peaks lose by cancelling each other.
    """

    name: str
    water: Values
    fat: Values
    fat_phase: complex = 1.0


def tissue_signals(sequence: Sequence, tissues: TissueTable) -> tuple[Contrast, ...]:
    """Compute the measured signals of every tissue, one `Contrast` for each echo, b value or dynamic phase."""
    if sequence.method is Method.DIXON:
        in_phase = _gradient_echo(sequence, tissues, sequence.role.value)
        opposed = _gradient_echo(replace(sequence, te_ms=sequence.opposed_te_ms), tissues, OPPOSED)
        return in_phase, opposed
    if sequence.method is Method.DIFFUSION:
        return tuple(_diffusion(sequence, tissues, b) for b in sequence.b_s_per_mm2)
    if not sequence.times_s:
        return (_SIGNALS[sequence.method](sequence, tissues, sequence.role.value),)
    if len(sequence.times_s) == 1:
        names = [sequence.role.value]
    else:
        names = [phase_name(n) for n in range(1, len(sequence.times_s) + 1)]
    enhanced = _enhanced(sequence, tissues)
    return tuple(_SIGNALS[sequence.method](sequence, t, name) for t, name in zip(enhanced, names, strict=True))


def phase_name(number: int) -> str:
    """Name of a dynamic phase, counted from 1: ``phase-01``."""
    return f"phase-{number:02d}"


def b_name(b_s_per_mm2: float) -> str:
    """Name of a diffusion-weighted image: ``b800``."""
    return f"b{b_s_per_mm2:g}"


def reference_signal(sequence: Sequence, tissues: TissueTable) -> float:
    """Mean absolute signal of muscle, marrow and metastasis in the first image: the unit of noise and of scaling."""
    first = tissue_signals(sequence, tissues)[0]
    share = tissues.fat_fraction[list(_REFERENCE)]
    water, fat = first.water[list(_REFERENCE)], first.fat[list(_REFERENCE)] * sequence.fat_left
    return float(np.mean(np.abs((1 - share) * water + share * fat * first.fat_phase)))


def _enhanced(sequence: Sequence, tissues: TissueTable) -> list[TissueTable]:
    """Tissues at each time after contrast medium; fat takes up none."""
    r1, r2 = signals.RELAXIVITY_PER_MM_S[tissues.field_strength_t]
    concentration = extended_tofts_mm(sequence.times_s, tissues.ktrans_per_min, tissues.ve, tissues.vp)
    return [
        replace(
            tissues,
            t1_ms=signals.shortened_ms(tissues.t1_ms, r1, c),
            t2_ms=signals.shortened_ms(tissues.t2_ms, r2, c),
            t2_star_ms=signals.shortened_ms(tissues.t2_star_ms, r2, c),
        )
        for c in concentration.T
    ]


def _fast_spin_echo(s: Sequence, t: TissueTable, name: str) -> Contrast:
    def echo(t1: Values | float, t2: Values | float) -> Values:
        return signals.fast_spin_echo(t.proton_density, t1, t2, tr_ms=s.tr_ms, te_ms=s.te_ms, train_ms=s.train_ms)

    return Contrast(name, echo(t.t1_ms, t.t2_ms) * (1 - t.flow), echo(t.fat_t1_ms, t.fat_t2_ms))


def _inversion_recovery(s: Sequence, t: TissueTable, name: str) -> Contrast:
    def echo(t1: Values | float, t2: Values | float) -> Values:
        return signals.inversion_recovery(
            t.proton_density, t1, t2, tr_ms=s.tr_ms, ti_ms=s.ti_ms, te_ms=s.te_ms, train_ms=s.train_ms
        )

    return Contrast(name, echo(t.t1_ms, t.t2_ms) * (1 - t.flow), echo(t.fat_t1_ms, t.fat_t2_ms))


def _gradient_echo(s: Sequence, t: TissueTable, name: str) -> Contrast:
    decay = np.exp(-s.te_ms / t.t2_star_ms)
    density = t.proton_density * decay
    water = signals.spoiled_gradient_echo(density, t.t1_ms, tr_ms=s.tr_ms, flip_degree=s.flip_degree)
    fat = signals.spoiled_gradient_echo(density, t.fat_t1_ms, tr_ms=s.tr_ms, flip_degree=s.flip_degree)
    phase = signals.fat_phasor(s.te_ms, t.field_strength_t)
    return Contrast(name, water * (1 + _INFLOW * t.flow), fat, phase)


def _diffusion(s: Sequence, t: TissueTable, b_s_per_mm2: float) -> Contrast:
    def echo(t1: Values | float, t2: Values | float, adc: Values | float) -> Values:
        return signals.diffusion_weighted(
            t.proton_density, t1, t2, adc, tr_ms=s.tr_ms, te_ms=s.te_ms, b_s_per_mm2=b_s_per_mm2
        )

    water = echo(t.t1_ms, t.t2_ms, t.adc_um2_per_ms) * (1 - t.flow)
    fat = echo(t.fat_t1_ms, t.fat_t2_ms, _FAT_ADC_UM2_PER_MS)
    return Contrast(b_name(b_s_per_mm2), water, fat)


_SIGNALS: dict[Method, Callable[[Sequence, TissueTable, str], Contrast]] = {
    Method.FAST_SPIN_ECHO: _fast_spin_echo,
    Method.INVERSION_RECOVERY: _inversion_recovery,
    Method.GRADIENT_ECHO: _gradient_echo,
}
