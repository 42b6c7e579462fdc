"""Signal equations of magnetic resonance: pure functions of tissue and timing, elementwise over arrays.

Times are in ms, angles in degrees, signals in units of the proton density. Radio-frequency pulses are perfect,
magnetisation transfer and diffusion during imaging gradients are left out.

References
----------
Bernstein M.A., King K.F., Zhou X.J. Handbook of MRI Pulse Sequences, Academic Press 2004: spin echo, inversion
recovery (ch. 14), spoiled gradient echo (ch. 14), diffusion (ch. 17), Dixon (ch. 17).
Hamilton G. et al. 2011, spectrum of the fat of human livers: https://doi.org/10.1002/nbm.1622
Rohrer M. et al. 2005, relaxivities in plasma at 37 °C: https://doi.org/10.1097/01.rli.0000184756.66360.d3
"""

from __future__ import annotations

from collections.abc import Sequence as Several

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Scalars = Values | float
Picture = NDArray[np.float32]

LARMOR_MHZ_PER_T = 42.577
FAT_PEAKS_PPM = (-3.80, -3.40, -2.60, -1.94, -0.39, 0.60)
"""Six peaks of triglycerides relative to water (Hamilton 2011)."""
FAT_PEAK_SHARES = (0.087, 0.694, 0.128, 0.004, 0.039, 0.048)
"""Share of the fat signal in each peak; they sum to 1."""
FAT_SHIFT_PPM = -3.4
"""The tallest peak, which shifts fat along the readout and is met by fat saturation."""

RELAXIVITY_PER_MM_S = {1.5: (5.2, 6.1), 3.0: (5.0, 7.1)}
"""r1 and r2 of gadobutrol in plasma, per mmol/l and second, by field strength in tesla (Rohrer 2005)."""


def spin_echo(density: Scalars, t1_ms: Scalars, t2_ms: Scalars, *, tr_ms: float, te_ms: float) -> Values:
    """Signal of a 90°–180° spin echo; the refocusing pulse at TE/2 inverts what has recovered by then."""
    recovered = 1 - 2 * np.exp(-(tr_ms - te_ms / 2) / t1_ms) + np.exp(-tr_ms / t1_ms)
    return np.asarray(density * recovered * np.exp(-te_ms / t2_ms))


def fast_spin_echo(
    density: Scalars, t1_ms: Scalars, t2_ms: Scalars, *, tr_ms: float, te_ms: float, train_ms: float
) -> Values:
    """Signal of an echo train of length ``train_ms`` whose centre of k-space is read at the effective echo time.

    Recovery starts after the last echo: the refocusing pulses keep the longitudinal magnetisation near zero.
    """
    recovered = 1 - np.exp(-(tr_ms - train_ms) / t1_ms)
    return np.asarray(density * recovered * np.exp(-te_ms / t2_ms))


def inversion_recovery(
    density: Scalars, t1_ms: Scalars, t2_ms: Scalars, *, tr_ms: float, ti_ms: float, te_ms: float, train_ms: float
) -> Values:
    """Signed signal of an inversion-prepared echo train: negative before the null."""
    recovered = 1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-(tr_ms - train_ms) / t1_ms)
    return np.asarray(density * recovered * np.exp(-te_ms / t2_ms))


def null_inversion_time_ms(t1_ms: float, *, tr_ms: float, train_ms: float) -> float:
    """Inversion time at which `inversion_recovery` of a tissue with this T1 is zero.

    Examples
    --------
    >>> round(null_inversion_time_ms(288, tr_ms=1e6, train_ms=0), 1)
    199.6
    """
    return float(t1_ms * np.log(2 / (1 + np.exp(-(tr_ms - train_ms) / t1_ms))))


def spoiled_gradient_echo(density: Scalars, t1_ms: Scalars, *, tr_ms: float, flip_degree: float) -> Values:
    """Signal of a spoiled gradient echo at echo time 0; multiply with the decay and phase of the echo."""
    angle = np.deg2rad(flip_degree)
    decay = np.exp(-tr_ms / t1_ms)
    return np.asarray(density * np.sin(angle) * (1 - decay) / (1 - np.cos(angle) * decay))


def fat_phasor(te_ms: float, field_strength_t: float) -> complex:
    """Sum of the six fat peaks at an echo time, relative to water on resonance; 1 at echo time 0."""
    hz = np.array(FAT_PEAKS_PPM) * LARMOR_MHZ_PER_T * field_strength_t
    return complex(np.sum(np.array(FAT_PEAK_SHARES) * np.exp(2j * np.pi * hz * te_ms * 1e-3)))


def echo_times_ms(field_strength_t: float) -> tuple[float, float]:
    """First opposed and first in-phase echo time of water and the tallest fat peak.

    Examples
    --------
    >>> [round(t, 2) for t in echo_times_ms(1.5)]
    [2.3, 4.61]
    """
    turn_ms = 1e3 / (abs(FAT_SHIFT_PPM) * LARMOR_MHZ_PER_T * field_strength_t)
    return turn_ms / 2, turn_ms


def separate_two_points(in_phase: Picture, opposed: Picture) -> tuple[Picture, Picture]:
    """Water and fat of a two-point Dixon acquisition from phase-corrected (complex) echoes.

    Half the sum and half the difference, so that water plus fat is the in-phase echo again. Decay between the echoes
    and the fat peaks off the main one are not modelled by this reconstruction: as on scanners, they leak.
    """
    half = np.float32(0.5)
    return half * (in_phase + opposed), half * (in_phase - opposed)


def diffusion_weighted(
    density: Scalars,
    t1_ms: Scalars,
    t2_ms: Scalars,
    adc_um2_per_ms: Scalars,
    *,
    tr_ms: float,
    te_ms: float,
    b_s_per_mm2: float,
) -> Values:
    """Signal of a diffusion-weighted spin echo, trace-averaged and monoexponential."""
    weight = np.exp(-b_s_per_mm2 * 1e-3 * adc_um2_per_ms)
    return spin_echo(density, t1_ms, t2_ms, tr_ms=tr_ms, te_ms=te_ms) * weight


def fit_adc_um2_per_ms(signals: Several[Picture], b_s_per_mm2: Several[float]) -> Picture:
    """Fit ln S = ln S0 − b·ADC by least squares over the b values, per voxel; 0 where a signal is not positive.

    Negative coefficients, which only noise makes, are set to 0 as scanners do.
    """
    b = np.asarray(b_s_per_mm2, dtype=np.float64) * 1e-3
    weight = (b - b.mean()) / np.sum((b - b.mean()) ** 2)
    adc = np.zeros(signals[0].shape, dtype=np.float32)
    for signal, w in zip(signals, weight, strict=True):
        adc -= np.float32(w) * np.log(np.maximum(signal, np.float32(1e-6)))
    positive = np.minimum.reduce([np.asarray(s) for s in signals]) > 0
    return np.where(positive, np.maximum(adc, 0), 0).astype(np.float32)


def shortened_ms(time_ms: Scalars, relaxivity_per_mm_s: float, concentration_mm: Scalars) -> Values:
    """Relaxation time in the presence of contrast medium: rates add."""
    return np.asarray(1 / (1 / np.asarray(time_ms) + 1e-3 * relaxivity_per_mm_s * concentration_mm))
