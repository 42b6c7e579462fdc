import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole
from osteomet.image.kinetics import HAEMATOCRIT, arterial_blood_mm, extended_tofts_mm
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.sequences import tissue_signals
from osteomet.phantom.mr.tissues import Tissue, tissue_table

TIMES_S = np.array([-20.0, 0.0, 10.0, 33.3, 90.0, 240.0])


def test_arterial_input_of_the_population() -> None:
    assert arterial_blood_mm(-1.0) == 0
    # First pass at 0.17046 min: area over width √(2π) = 0.809 / 0.141122 = 5.7326, with a little of the second pass
    # (2.3392 · 1/(…): e^(−(0.19454)²/(2·0.132²)) = 0.3376 of 0.9974 = 0.3367) and of the tail (e^(−11.9) ≈ 0).
    np.testing.assert_allclose(arterial_blood_mm(0.17046 * 60), 5.7326 + 0.3367, rtol=1e-3)
    # After ten minutes the exponential alone: 1.05 e^(−1.685).
    np.testing.assert_allclose(arterial_blood_mm(600.0), 1.05 * np.exp(-1.685), rtol=1e-6)


def test_extended_tofts_equals_a_fine_numerical_convolution() -> None:
    step = 0.01
    fine = np.arange(0, 241, step)
    plasma = arterial_blood_mm(fine) / (1 - HAEMATOCRIT)
    for ktrans, ve, vp in ((0.26, 0.32, 0.06), (0.09, 0.5, 0.025), (1.2, 0.1, 0.0)):
        response = np.exp(-ktrans / ve / 60 * fine)
        leaked = ktrans / 60 * np.convolve(plasma, response)[: fine.size] * step
        expected = np.interp(TIMES_S, fine, vp * plasma + leaked, left=0.0)
        np.testing.assert_allclose(extended_tofts_mm(TIMES_S, ktrans, ve, vp)[0], expected, rtol=5e-3, atol=5e-3)


def test_without_plasma_it_is_the_tofts_model() -> None:
    ktrans, ve = 0.2, 0.3
    whole = extended_tofts_mm(TIMES_S, ktrans, ve, 0.05)
    leaked = extended_tofts_mm(TIMES_S, ktrans, ve, 0.0)
    plasma = extended_tofts_mm(TIMES_S, 0.0, ve, 1.0)
    np.testing.assert_allclose(whole, leaked + 0.05 * plasma, rtol=1e-12)
    # The rate of change of the Tofts model is Ktrans Cp − kep C.
    times = np.arange(30, 200, 0.5)
    curve = extended_tofts_mm(times, ktrans, ve, 0.0)[0]
    slope = np.gradient(curve, times)[1:-1] * 60
    expected = ktrans * arterial_blood_mm(times) / (1 - HAEMATOCRIT) - ktrans / ve * curve
    np.testing.assert_allclose(slope, expected[1:-1], atol=0.02)


def test_blood_follows_its_input_and_impermeable_tissue_stays_empty() -> None:
    blood = extended_tofts_mm([100.0], 0.0, 0.1, 1 - HAEMATOCRIT)[0, 0]
    np.testing.assert_allclose(blood, arterial_blood_mm(100.0), rtol=1e-3)
    assert not extended_tofts_mm(TIMES_S, 0.0, 0.1, 0.0).any()


def test_a_metastasis_fills_early_and_stays_while_a_primary_tumour_climbs() -> None:
    table, sequence = tissue_table(1.5), preset(SequenceRole.DYNAMIC, 1.5)
    curves = np.array([c.water for c in tissue_signals(sequence, table)])
    assert len(curves) == 12
    metastasis, primary = curves[:, Tissue.METASTASIS], curves[:, Tissue.PRIMARY_TUMOUR]
    # Both images before the medium arrives are the same; afterwards the lesions gain more than muscle does.
    assert sequence.times_s[0] < sequence.times_s[1] < 0 < sequence.times_s[2]
    np.testing.assert_array_equal(curves[0], curves[1])
    gain = {t: curves[-1, t] / curves[0, t] for t in (Tissue.METASTASIS, Tissue.PRIMARY_TUMOUR, Tissue.MUSCLE)}
    assert gain[Tissue.METASTASIS] > gain[Tissue.PRIMARY_TUMOUR] > 1.3 * gain[Tissue.MUSCLE]
    full = [int(np.argmax(curve > 0.95 * curve.max())) for curve in (metastasis, primary)]
    assert full[1] - full[0] >= 3
    assert metastasis[-1] < 0.995 * metastasis.max()
    assert primary[-1] == primary.max()


def test_an_empty_extracellular_space_is_refused() -> None:
    with pytest.raises(UsageError, match=r"ve must be positive; expected above 0 .*; got smallest 0; remedy"):
        extended_tofts_mm(TIMES_S, 0.1, 0.0, 0.1)
