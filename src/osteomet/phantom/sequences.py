"""Sequences as settings: what a scanner is told, presets that vary as protocols do, and the signals they give.

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
from osteomet.phantom import signals
from osteomet.phantom.kinetics import extended_tofts_mm
from osteomet.phantom.tissues import FAT, Tissue, TissueTable

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
        if not (0 < self.tr_ms and 0 <= self.te_ms and 0 <= self.train_ms < self.tr_ms):
            raise UsageError(
                "a sequence needs a repetition time beyond its echo train and no negative echo time",
                got=f"TR {self.tr_ms:g} ms, TE {self.te_ms:g} ms, train {self.train_ms:g} ms",
            )
        if self.method is Method.DIFFUSION and len(self.b_s_per_mm2) < 2:
            raise UsageError("diffusion needs two b values or more", got=str(self.b_s_per_mm2))
        if not all(0 < share <= 1 for share in self.sampled) or not 0 <= self.taper <= 1:
            raise UsageError(
                "shares of k-space lie above 0 and up to 1", got=f"sampled {self.sampled}, taper {self.taper:g}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Signal of the pure water and the pure fat of each tissue (arrays by `Tissue`) in one image.

    ``fat_phase`` is the phase of fat against water with the part that its peaks lose by cancelling each other.
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
    water, fat = first.water[list(_REFERENCE)], first.fat[list(_REFERENCE)]
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

    return Contrast(name, echo(t.t1_ms, t.t2_ms) * (1 - t.flow), echo(t.fat_t1_ms, t.fat_t2_ms) * s.fat_left)


def _inversion_recovery(s: Sequence, t: TissueTable, name: str) -> Contrast:
    def echo(t1: Values | float, t2: Values | float) -> Values:
        return signals.inversion_recovery(
            t.proton_density, t1, t2, tr_ms=s.tr_ms, ti_ms=s.ti_ms, te_ms=s.te_ms, train_ms=s.train_ms
        )

    return Contrast(name, echo(t.t1_ms, t.t2_ms) * (1 - t.flow), echo(t.fat_t1_ms, t.fat_t2_ms) * s.fat_left)


def _gradient_echo(s: Sequence, t: TissueTable, name: str) -> Contrast:
    decay = np.exp(-s.te_ms / t.t2_star_ms)
    density = t.proton_density * decay
    water = signals.spoiled_gradient_echo(density, t.t1_ms, tr_ms=s.tr_ms, flip_degree=s.flip_degree)
    fat = signals.spoiled_gradient_echo(density, t.fat_t1_ms, tr_ms=s.tr_ms, flip_degree=s.flip_degree)
    phase = signals.fat_phasor(s.te_ms, t.field_strength_t)
    return Contrast(name, water * (1 + _INFLOW * t.flow), fat * s.fat_left, phase)


def _diffusion(s: Sequence, t: TissueTable, b_s_per_mm2: float) -> Contrast:
    def echo(t1: Values | float, t2: Values | float, adc: Values | float) -> Values:
        return signals.diffusion_weighted(
            t.proton_density, t1, t2, adc, tr_ms=s.tr_ms, te_ms=s.te_ms, b_s_per_mm2=b_s_per_mm2
        )

    water = echo(t.t1_ms, t.t2_ms, t.adc_um2_per_ms) * (1 - t.flow)
    fat = echo(t.fat_t1_ms, t.fat_t2_ms, _FAT_ADC_UM2_PER_MS) * s.fat_left
    return Contrast(b_name(b_s_per_mm2), water, fat)


_SIGNALS: dict[Method, Callable[[Sequence, TissueTable, str], Contrast]] = {
    Method.FAST_SPIN_ECHO: _fast_spin_echo,
    Method.INVERSION_RECOVERY: _inversion_recovery,
    Method.GRADIENT_ECHO: _gradient_echo,
}


def preset(role: SequenceRole, field_strength_t: float, rng: np.random.Generator | None = None) -> Sequence:
    """Protocol of a role at 1.5 T or 3 T: its middle without ``rng``, else drawn from what scanners of a hospital use.

    `SequenceRole.FO` and `SequenceRole.T1_IP` give the same Dixon acquisition, `SequenceRole.DWI` and
    `SequenceRole.ADC` the same diffusion; the role only says which image is the main one.

    Raises
    ------
    UsageError
        For CT, or a field strength that is not tabulated.
    """
    if role not in _PRESETS or field_strength_t not in FAT:
        raise UsageError(
            "no preset for this sequence",
            expected=f"one of {', '.join(r.value for r in _PRESETS)} at 1.5 or 3 T",
            got=f"{role.value} at {field_strength_t:g} T",
        )
    draw = _Draw(rng)
    is_high = field_strength_t == 3.0
    sequence = _PRESETS[role](role, draw, is_high)
    zero_filled = draw.chance(0.35)
    return replace(
        sequence,
        sampled=(draw(0.7, 1.0) * (0.6 if zero_filled else 1.0), draw(0.6, 0.95) * (0.6 if zero_filled else 1.0)),
        taper=draw(0.1, 0.7),
        snr=sequence.snr * draw(0.6, 1.6),
    )


@dataclass(frozen=True, slots=True)
class _Draw:
    """Uniform numbers between two limits, their middle without a generator."""

    rng: np.random.Generator | None

    def __call__(self, low: float, high: float) -> float:
        return (low + high) / 2 if self.rng is None else float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Whether something happens; never for the middle protocol."""
        return self.rng is not None and float(self.rng.random()) < probability


def _t1(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    tr = draw(520, 800) if is_high else draw(430, 650)
    te, train, band = draw(7, 14), draw(25, 50), draw(150, 300)
    return Sequence(role, Method.FAST_SPIN_ECHO, tr, te, train_ms=train, readout_hz_per_px=band, snr=26)


def _t2(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    tr, te, train = draw(2800, 5200), draw(82, 122), draw(140, 260)
    band = draw(180, 300) if is_high else draw(120, 240)
    return Sequence(role, Method.FAST_SPIN_ECHO, tr, te, train_ms=train, readout_hz_per_px=band, snr=22)


def _stir(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    tr, train = draw(3200, 5500), draw(80, 160)
    null = signals.null_inversion_time_ms(FAT[3.0 if is_high else 1.5].t1_ms, tr_ms=tr, train_ms=train)
    return Sequence(
        role,
        Method.INVERSION_RECOVERY,
        tr,
        draw(38, 72),
        train_ms=train,
        ti_ms=null * draw(0.96, 1.04),
        readout_hz_per_px=draw(150, 280),
        snr=16,
    )


def _dixon(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    opposed, in_phase = signals.echo_times_ms(3.0 if is_high else 1.5)
    slab = not draw.chance(0.5)
    return Sequence(
        role,
        Method.DIXON,
        draw(4.0, 7.5) if slab else draw(120, 220),
        in_phase,
        opposed_te_ms=opposed,
        flip_degree=draw(9, 13) if slab else draw(55, 75),
        readout_hz_per_px=draw(450, 900),
        snr=24,
    )


def _enhanced_t1(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    late, left = (draw(120, 300),), draw(0.03, 0.13)
    if not draw.chance(0.35):
        return replace(_t1(role, draw, is_high), times_s=late, fat_left=left, snr=20)
    sequence = Sequence(role, Method.GRADIENT_ECHO, draw(3.8, 5.5), draw(1.3, 2.3), flip_degree=draw(9, 13), snr=22)
    return replace(sequence, times_s=late, fat_left=left, readout_hz_per_px=draw(400, 800))


def _diffusion_preset(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    low = 50.0 if draw.chance(0.6) else 0.0
    high = 1000.0 if draw.chance(0.4) else 800.0
    return Sequence(
        role,
        Method.DIFFUSION,
        draw(3800, 7500),
        draw(55, 80),
        b_s_per_mm2=(low, high),
        fat_left=draw(0.01, 0.06),
        readout_hz_per_px=draw(1200, 2000),
        phase_hz_per_px=draw(18, 34) if is_high else draw(12, 24),
        snr=52 if is_high else 42,
    )


def _dynamic(role: SequenceRole, draw: _Draw, is_high: bool) -> Sequence:
    step, delay = draw(10, 14), draw(12, 26)
    return Sequence(
        role,
        Method.GRADIENT_ECHO,
        draw(3.6, 5.2),
        draw(1.2, 2.2) if is_high else draw(1.4, 2.4),
        flip_degree=draw(11, 20),
        times_s=tuple(n * step - delay for n in range(12)),
        fat_left=1.0 if draw.chance(0.3) else draw(0.04, 0.12),
        readout_hz_per_px=draw(400, 800),
        snr=18,
    )


_PRESETS: dict[SequenceRole, Callable[[SequenceRole, _Draw, bool], Sequence]] = {
    SequenceRole.T1: _t1,
    SequenceRole.T1_IP: _dixon,
    SequenceRole.FO: _dixon,
    SequenceRole.CE: _enhanced_t1,
    SequenceRole.T2: _t2,
    SequenceRole.STIR: _stir,
    SequenceRole.DWI: _diffusion_preset,
    SequenceRole.ADC: _diffusion_preset,
    SequenceRole.DYNAMIC: _dynamic,
}
