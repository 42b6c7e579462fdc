from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import Composition, MrScanner
from osteomet.phantom.mr.sequences import Method, Sequence, reference_signal, tissue_signals
from osteomet.phantom.mr.tissues import Tissue, tissue_table

GRID = Grid.from_spacing((6, 5, 4), (1.0, 1.0, 3.0))
ROLES = [role for role in SequenceRole if role is not SequenceRole.CT]


def uniform(tissue: Tissue, marrow_fat: float = 0.5) -> Composition:
    index = np.full(GRID.shape, tissue, dtype=np.uint8)
    return Composition(
        GRID, index, index, np.zeros(GRID.shape, np.float32), np.full(GRID.shape, marrow_fat, np.float32)
    )


def quiet(role: SequenceRole, field_strength_t: float) -> Sequence:
    return replace(preset(role, field_strength_t), snr=float("inf"))


def stored(tissue: Tissue, image: str, sequence: Sequence, field_strength_t: float, marrow_fat: float = 0.5) -> float:
    """Value that a tissue alone has in an image of a flawless scanner."""
    scanner = MrScanner(tissue_table(field_strength_t), level=5000)
    picture = acquire(uniform(tissue, marrow_fat), sequence, scanner, np.random.default_rng(0)).images[image].array
    assert picture.max() - picture.min() <= 1
    return float(picture.mean())


@pytest.fixture(params=[1.5, 3.0])
def field_strength_t(request: pytest.FixtureRequest) -> float:
    return float(request.param)


def test_t1_order(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.T1, field_strength_t)
    order = (Tissue.YELLOW_MARROW, Tissue.MIXED_MARROW, Tissue.RED_MARROW, Tissue.MUSCLE, Tissue.METASTASIS,
             Tissue.METASTASIS_SCLEROTIC, Tissue.CORTICAL_BONE)  # fmt: skip
    values = [stored(t, "T1", sequence, field_strength_t) for t in order]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * values[3]
    assert stored(Tissue.SUBCUTANEOUS_FAT, "T1", sequence, field_strength_t) > values[0]
    assert stored(Tissue.CSF, "T1", sequence, field_strength_t) < values[4]


def test_t2_order(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.T2, field_strength_t)
    order = (Tissue.CSF, Tissue.NUCLEUS_HYDRATED, Tissue.CORD, Tissue.MUSCLE, Tissue.ANNULUS, Tissue.LIGAMENT)
    values = [stored(t, "T2", sequence, field_strength_t) for t in order]
    assert values == sorted(values, reverse=True)
    dry = stored(Tissue.NUCLEUS_DEGENERATED, "T2", sequence, field_strength_t)
    assert dry < 0.4 * values[1]
    assert stored(Tissue.METASTASIS_SCLEROTIC, "T2", sequence, field_strength_t) < dry


def test_fat_image_shows_lesions_dark(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.FO, field_strength_t)
    marrow = stored(Tissue.MIXED_MARROW, "FO", sequence, field_strength_t)
    for lesion in (Tissue.METASTASIS, Tissue.PRIMARY_TUMOUR):
        assert stored(lesion, "FO", sequence, field_strength_t) < 0.2 * marrow
    assert stored(Tissue.MODIC_2, "FO", sequence, field_strength_t) > marrow
    assert stored(Tissue.SUBCUTANEOUS_FAT, "FO", sequence, field_strength_t) > 1.5 * marrow


def test_fat_suppressed_enhanced_image_shows_lesions_bright(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.CE, field_strength_t)
    lesion = stored(Tissue.METASTASIS, "CE", sequence, field_strength_t)
    for other in (Tissue.YELLOW_MARROW, Tissue.MIXED_MARROW, Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT, Tissue.CSF):
        assert lesion > 1.3 * stored(other, "CE", sequence, field_strength_t)
    assert stored(Tissue.METASTASIS_TREATED, "CE", sequence, field_strength_t) < lesion


def test_diffusion_shows_lesion_and_cord_bright_and_adc_tells_lesion_from_cyst(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.DWI, field_strength_t)
    lesion, cord = (stored(t, "DWI", sequence, field_strength_t) for t in (Tissue.METASTASIS, Tissue.CORD))
    for other in (Tissue.MIXED_MARROW, Tissue.YELLOW_MARROW, Tissue.MUSCLE, Tissue.CSF, Tissue.SUBCUTANEOUS_FAT):
        assert min(lesion, cord) > 1.5 * stored(other, "DWI", sequence, field_strength_t)
    lesion, treated, cyst = (
        stored(t, "ADC", sequence, field_strength_t)
        for t in (Tissue.METASTASIS, Tissue.METASTASIS_TREATED, Tissue.CYST)
    )
    assert lesion < 0.6 * treated < 0.6 * cyst


def test_adc_map_recovers_the_table(field_strength_t: float) -> None:
    sequence = replace(quiet(SequenceRole.ADC, field_strength_t), fat_left=0.0)
    table = tissue_table(field_strength_t)
    for tissue in (Tissue.METASTASIS, Tissue.CORD, Tissue.CYST, Tissue.MUSCLE, Tissue.PRIMARY_TUMOUR):
        expected = 1000 * table.adc_um2_per_ms[tissue]
        np.testing.assert_allclose(stored(tissue, "ADC", sequence, field_strength_t), expected, rtol=0.01)


def test_stir_nulls_fat_and_shows_water(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.STIR, field_strength_t)
    fat = stored(Tissue.SUBCUTANEOUS_FAT, "STIR", sequence, field_strength_t)
    lesion = stored(Tissue.METASTASIS, "STIR", sequence, field_strength_t)
    # What is left is the few percent of water in adipose tissue.
    assert fat < 0.05 * lesion
    assert lesion > 3 * stored(Tissue.MIXED_MARROW, "STIR", sequence, field_strength_t)
    assert stored(Tissue.OEDEMA, "STIR", sequence, field_strength_t) > 0.7 * lesion


def test_opposed_phase_cancels_half_fat_and_spares_what_holds_none(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.T1_IP, field_strength_t)
    for tissue, low, high in ((Tissue.MIXED_MARROW, 0.0, 0.5), (Tissue.METASTASIS, 0.9, 1.1)):
        together = stored(tissue, "T1-IP", sequence, field_strength_t)
        opposed = stored(tissue, "opposed", sequence, field_strength_t)
        assert low * together < opposed < high * together


def test_dixon_water_and_fat_recombine_in_the_image(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.T1_IP, field_strength_t)
    for tissue in (Tissue.MUSCLE, Tissue.METASTASIS):
        together, water = (stored(tissue, name, sequence, field_strength_t) for name in ("T1-IP", "water"))
        fat = stored(tissue, "FO", sequence, field_strength_t)
        # Muscle is nearly all water: magnitudes add, up to what decays between the echoes (signed, hence the 2).
        assert together - 2 <= water + fat <= together + 2 * fat + 2
    mixed = [stored(Tissue.MIXED_MARROW, n, sequence, field_strength_t) for n in ("T1-IP", "water", "FO")]
    np.testing.assert_allclose(mixed[1] + mixed[2], mixed[0], rtol=0.03)


def test_marrow_follows_its_fat_fraction(field_strength_t: float) -> None:
    sequence = quiet(SequenceRole.FO, field_strength_t)
    values = [stored(Tissue.MIXED_MARROW, "FO", sequence, field_strength_t, fat) for fat in (0.2, 0.4, 0.6, 0.8)]
    assert values == sorted(values)
    red = stored(Tissue.MIXED_MARROW, "FO", sequence, field_strength_t, 0.30)
    assert red == stored(Tissue.RED_MARROW, "FO", sequence, field_strength_t)


@pytest.mark.parametrize("role", ROLES)
def test_drawn_protocols_keep_the_middle_between_them_and_give_finite_signals(role: SequenceRole) -> None:
    rng = np.random.default_rng(3)
    for field in (1.5, 3.0):
        drawn = [preset(role, field, rng) for _ in range(20)]
        assert len({s.te_ms for s in drawn} | {s.tr_ms for s in drawn}) > 20
        for sequence in drawn:
            assert sequence.role is role
            for contrast in tissue_signals(sequence, tissue_table(field, rng)):
                assert np.isfinite(contrast.water).all()
                assert np.isfinite(contrast.fat).all()
    assert preset(role, 1.5) == preset(role, 1.5)


def test_reference_signal_by_hand() -> None:
    table = tissue_table(1.5)
    sequence = Sequence(SequenceRole.T1, Method.FAST_SPIN_ECHO, tr_ms=1e7, te_ms=0.0)
    # Fully recovered and without decay a signal is its proton density: 0.76, 0.78 and 0.70.
    np.testing.assert_allclose(reference_signal(sequence, table), (0.76 + 0.78 + 0.70) / 3)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"beyond its echo train .*; expected TR above .*; got TR 50 ms.*; remedy"):
        Sequence(SequenceRole.T1, Method.FAST_SPIN_ECHO, tr_ms=50, te_ms=10, train_ms=60)
    with pytest.raises(UsageError, match=r"in ascending order; expected .*; got \(800, 0\); remedy: add a low b"):
        Sequence(SequenceRole.DWI, Method.DIFFUSION, tr_ms=5000, te_ms=70, b_s_per_mm2=(800, 0))
    with pytest.raises(UsageError, match=r"shares of k-space .*; expected .*; got sampled \(0.0, 1.0\).*; remedy"):
        Sequence(SequenceRole.T1, Method.FAST_SPIN_ECHO, tr_ms=500, te_ms=10, sampled=(0.0, 1.0))
    with pytest.raises(UsageError, match=r"no preset .*; expected one of T1, .* got CT at 1\.5 T; remedy"):
        preset(SequenceRole.CT, 1.5)
