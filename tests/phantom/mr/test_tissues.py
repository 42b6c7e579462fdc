import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.phantom.mr.tissues import TISSUES, Tissue, tissue_table


def test_every_tissue_has_a_row_and_a_source() -> None:
    assert set(TISSUES) == set(Tissue)
    assert [int(t) for t in Tissue] == list(range(len(Tissue)))
    assert all(row.source for row in TISSUES.values())


def test_published_values_stand_in_the_table() -> None:
    low, high = tissue_table(1.5), tissue_table(3.0)
    # Stanisz 2005, table 1; Gold 2004 for fat.
    assert (low.t1_ms[Tissue.MUSCLE], high.t1_ms[Tissue.MUSCLE]) == (1008, 1412)
    assert (low.t2_ms[Tissue.CORD], high.t2_ms[Tissue.CORD]) == (74, 78)
    assert (low.fat_t1_ms, high.fat_t1_ms) == (288, 371)


@pytest.mark.parametrize("field_strength_t", [1.5, 3.0])
def test_values_are_physical(field_strength_t: float) -> None:
    for rng in (None, np.random.default_rng(0)):
        table = tissue_table(field_strength_t, rng)
        assert (table.t1_ms >= table.t2_ms).all()
        assert (table.t2_ms >= table.t2_star_ms).all()
        assert (table.t2_star_ms > 0).all()
        for share in (table.proton_density, table.fat_fraction, table.flow, table.vp):
            assert ((share >= 0) & (share <= 1)).all()
        is_blood = [t in (Tissue.ARTERY, Tissue.VEIN) for t in Tissue]
        assert ((table.ve + table.vp <= 1 + 1e-12) | is_blood).all()
        assert (table.adc_um2_per_ms <= 4).all()


def test_patients_differ_and_lesions_differ_most() -> None:
    mean = tissue_table(1.5)
    drawn = np.array([tissue_table(1.5, np.random.default_rng(seed)).adc_um2_per_ms for seed in range(200)])
    spread = np.log(drawn[:, [Tissue.MUSCLE, Tissue.METASTASIS]]).std(axis=0)
    # Lognormal with spreads of 5 % and 16 %, clipped at 2.5 standard deviations.
    np.testing.assert_allclose(spread, (0.05, 0.16), rtol=0.15)
    np.testing.assert_allclose(np.median(drawn[:, Tissue.MUSCLE]), mean.adc_um2_per_ms[Tissue.MUSCLE], rtol=0.02)


def test_other_field_strengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected 1\.5 or 3\.0 T; got 7 T; remedy"):
        tissue_table(7.0)
