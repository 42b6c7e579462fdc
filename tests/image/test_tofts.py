"""The fit gives back the parameters that curves are made from, those of the phantom's dynamic series among them."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.core.vocabulary import SequenceRole
from osteomet.image.kinetics import extended_tofts_mm
from osteomet.image.tofts import concentration_mm, fit_extended_tofts
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.sequences import tissue_signals
from osteomet.phantom.mr.signals import RELAXIVITY_PER_MM_S
from osteomet.phantom.mr.tissues import Tissue, tissue_table

TIMES_S = tuple(float(t) for t in np.arange(-12, 300, 6.0))


def test_parameters_come_back() -> None:
    ktrans, ve, vp = np.array([0.1, 0.25, 0.6, 0.05]), np.array([0.2, 0.4, 0.3, 0.5]), np.array([0.02, 0.1, 0.0, 0.05])
    fit = fit_extended_tofts(extended_tofts_mm(TIMES_S, ktrans, ve, vp), TIMES_S)
    np.testing.assert_allclose(fit.ktrans_per_min, ktrans, rtol=0.01)
    np.testing.assert_allclose(fit.ve, ve, rtol=0.02)
    np.testing.assert_allclose(fit.vp, vp, atol=0.003)
    assert fit.residual_mm.max() < 0.005


def test_noise_does_not_carry_it_away() -> None:
    truth = extended_tofts_mm(TIMES_S, 0.25, 0.35, 0.06)
    noisy = truth + np.random.default_rng(0).normal(0, 0.05, (400, len(TIMES_S)))
    fit = fit_extended_tofts(noisy.reshape(20, 20, -1), TIMES_S)
    assert fit.ktrans_per_min.shape == (20, 20)
    assert np.median(fit.ktrans_per_min) == pytest.approx(0.25, rel=0.03)
    assert np.median(fit.ve) == pytest.approx(0.35, rel=0.03)
    assert fit.residual_mm.mean() == pytest.approx(0.05, rel=0.1)


def test_nothing_enhances_and_nothing_known() -> None:
    fit = fit_extended_tofts(np.stack([np.zeros(len(TIMES_S)), np.full(len(TIMES_S), np.nan)]), TIMES_S)
    assert (fit.ktrans_per_min[0], fit.ve[0], fit.vp[0], fit.residual_mm[0]) == (0, 0, 0, 0)
    assert np.isnan([fit.ktrans_per_min[1], fit.ve[1], fit.vp[1], fit.residual_mm[1]]).all()


def test_shares_stay_shares() -> None:
    rising = np.clip(np.array(TIMES_S), 0, None) / 100  # no such curve exists
    fit = fit_extended_tofts(np.stack([rising, -rising]), TIMES_S)
    assert (fit.ktrans_per_min >= 0).all()
    assert ((fit.ve >= 0) & (fit.ve <= 1) & (fit.vp >= 0) & (fit.vp <= 1)).all()
    assert fit.residual_mm.min() > 0.1


def test_concentration_undoes_the_signal_of_a_gradient_echo() -> None:
    # Relaxation rates of 1 and of 1 + 4.5 · 0.5 = 3.25 a second.
    tr, angle = 4.5, np.deg2rad(14)

    def signal(t1_ms: float) -> float:
        decay = np.exp(-tr / t1_ms)
        return float((1 - decay) / (1 - np.cos(angle) * decay))

    enhancement = signal(1000 / 3.25) / signal(1000) - 1
    got = concentration_mm(enhancement, t1_ms=1000, tr_ms=tr, flip_degree=14, relaxivity_per_mm_s=4.5)
    assert got == pytest.approx(0.5)
    assert np.isnan(concentration_mm(500.0, t1_ms=1000, tr_ms=tr, flip_degree=14, relaxivity_per_mm_s=4.5))


@pytest.mark.parametrize("tissue", [Tissue.METASTASIS, Tissue.PRIMARY_TUMOUR, Tissue.MUSCLE])
def test_the_kinetics_of_the_phantom(tissue: Tissue) -> None:
    table, sequence = tissue_table(1.5), preset(SequenceRole.DYNAMIC, 1.5)
    signals = np.array([c.water for c in tissue_signals(sequence, table)])[:, tissue]
    concentration = concentration_mm(
        signals / signals[0] - 1,
        t1_ms=table.t1_ms[tissue],
        tr_ms=sequence.tr_ms,
        flip_degree=sequence.flip_degree,
        relaxivity_per_mm_s=RELAXIVITY_PER_MM_S[1.5][0],
    )
    fit = fit_extended_tofts(concentration, sequence.times_s)
    # Twelve phases; what is missed is the shortening of T2* by the medium.
    assert fit.ktrans_per_min == pytest.approx(table.ktrans_per_min[tissue], rel=0.05)
    assert fit.ve == pytest.approx(table.ve[tissue], rel=0.1)
    assert fit.vp == pytest.approx(table.vp[tissue], abs=0.01)


def test_too_few_times() -> None:
    with pytest.raises(InputError, match="four of them after arrival; got 4 values, 4 times, 3 after arrival"):
        fit_extended_tofts(np.zeros(4), (-5.0, 5.0, 10.0, 20.0))
    with pytest.raises(InputError, match="got 5 values, 4 times"):
        fit_extended_tofts(np.zeros(5), (5.0, 10.0, 20.0, 30.0))
