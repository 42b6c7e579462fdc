"""Protocols: the settings that hospitals choose for each role, as a middle or drawn from their spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.mr import signals
from osteomet.phantom.mr.sequences import Method, Sequence
from osteomet.phantom.mr.tissues import FAT


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
            remedy="simulate the nearer field strength, or build a `Sequence` of your own",
        )
    draw = _Draw(rng)
    is_high = field_strength_t == 3.0
    sequence = _PRESETS[role](role, draw, is_high)
    zero_filled = draw.chance(0.35)
    return replace(
        sequence,
        sampled=(draw(0.7, 1.0) * (0.6 if zero_filled else 1.0), draw(0.6, 0.95) * (0.6 if zero_filled else 1.0)),
        taper=draw(0.2, 0.8),
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
        fat_left=draw(0.005, 0.04),
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
