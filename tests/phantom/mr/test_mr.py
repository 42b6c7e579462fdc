from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit
from osteomet.phantom.mr.acquisition import acquire, image_mr
from osteomet.phantom.mr.artefacts import Coil, random_waves
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import Composition, MrScanner, sample_mr_scanner
from osteomet.phantom.mr.sequences import Method, Sequence, reference_signal
from osteomet.phantom.mr.tissues import Tissue, tissue_table

GRID = Grid.from_spacing(
    (30, 28, 12),
    (1.25, 1.5, 3.0),
    origin_mm=(-20, -20, 10),
    direction=Rotation.from_euler("zx", [12, 8], degrees=True).as_matrix(),
)
FLAWLESS = MrScanner(tissue_table(1.5), level=1000)
T1 = Sequence(SequenceRole.T1, Method.FAST_SPIN_ECHO, tr_ms=540, te_ms=10, train_ms=30)
ROLES = [role for role in SequenceRole if role is not SequenceRole.CT]


def fill(tissue: Tissue, grid: Grid = GRID) -> Composition:
    index = np.full(grid.shape, tissue, dtype=np.uint8)
    none = np.zeros(grid.shape, dtype=np.float32)
    return Composition(grid, index, index.copy(), none, np.full(grid.shape, 0.5, np.float32))


def block(outside: Tissue, inside: Tissue, where: tuple[slice, slice, slice], grid: Grid = GRID) -> Composition:
    composition = fill(outside, grid)
    composition.index_a[where] = inside
    return composition


def anatomy(grid: Grid = GRID) -> Composition:
    """A vertebra with a metastasis, canal, muscle, vessel, fat and air, in boxes."""
    composition = fill(Tissue.MUSCLE, grid)
    a = composition.index_a
    a[:, :3] = Tissue.AIR
    a[:, 3:6] = Tissue.SUBCUTANEOUS_FAT
    a[4:8, 10:14] = Tissue.ARTERY
    a[10:22, 9:18] = Tissue.MIXED_MARROW
    a[14:18, 12:16, 4:8] = Tissue.METASTASIS
    a[13:19, 18:22] = Tissue.CSF
    a[15:17, 19:21] = Tissue.CORD
    return composition


def picture(composition: Composition, sequence: Sequence, scanner: MrScanner = FLAWLESS) -> NDArray[np.int16]:
    return image_mr(composition, sequence, scanner, np.random.default_rng(0)).array


def centre_mm(composition_grid: Grid, values: NDArray[np.int16]) -> NDArray[np.float64]:
    """Centre of intensity, LPS mm."""
    weight = values.astype(np.float64)
    index = np.moveaxis(np.indices(weight.shape), 0, -1)
    return np.asarray((composition_grid.to_xyz_mm(index) * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("field_strength_t", [1.5, 3.0])
def test_same_rng_same_bytes(role: SequenceRole, field_strength_t: float) -> None:
    def draw(seed: int) -> dict[str, bytes]:
        rng = np.random.default_rng(seed)
        scanner = replace(sample_mr_scanner(rng, field_strength_t), motion_px=0.8, ghost_share=0.1)
        acquired = acquire(anatomy(), preset(role, field_strength_t, rng), scanner, rng)
        return {name: volume.array.tobytes() for name, volume in acquired.images.items()}

    assert draw(5) == draw(5)
    first, other = draw(5), draw(6)
    assert all(first[name] != other[name] for name in set(first) & set(other))


def test_names_and_types_of_images() -> None:
    names = {
        role: set(acquire(anatomy(), preset(role, 1.5), FLAWLESS, np.random.default_rng(0)).images) for role in ROLES
    }
    assert names[SequenceRole.T1] == {"T1"}
    assert names[SequenceRole.FO] == names[SequenceRole.T1_IP] == {"T1-IP", "opposed", "FO", "water"}
    assert names[SequenceRole.ADC] == names[SequenceRole.DWI] == {"b0", "b800", "DWI", "ADC"}
    assert names[SequenceRole.DYNAMIC] == {f"phase-{n:02d}" for n in range(1, 13)}
    for role in ROLES:
        volume = image_mr(anatomy(), preset(role, 1.5), FLAWLESS, np.random.default_rng(0))
        assert (volume.modality, volume.unit, volume.array.dtype.name) == (Modality.MR, Unit.ARBITRARY, "int16")
        assert volume.grid is GRID


def test_reference_tissues_have_the_level_of_the_scanner() -> None:
    values = [picture(fill(t), T1).mean() for t in (Tissue.MUSCLE, Tissue.MIXED_MARROW, Tissue.METASTASIS)]
    # Marrow interpolates between red and yellow and has no row of its own at the fat fraction of the voxel.
    np.testing.assert_allclose(np.mean(values), 1000, rtol=0.01)


def test_two_tissues_share_a_voxel_in_proportion() -> None:
    pure = [float(picture(fill(t), T1).mean()) for t in (Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT)]
    both = fill(Tissue.MUSCLE)
    both.index_b[:] = Tissue.SUBCUTANEOUS_FAT
    both.share_b[:] = 0.3
    np.testing.assert_allclose(picture(both, T1).mean(), 0.7 * pure[0] + 0.3 * pure[1], atol=1)


@pytest.mark.parametrize("n_coefficients", [(1.0, 1.0), (0.7, 0.8)])
def test_noise_in_air_has_the_mean_of_rician_noise(n_coefficients: tuple[float, float]) -> None:
    sequence = replace(T1, snr=10.0, sampled=n_coefficients, taper=0.3)
    scanner = replace(FLAWLESS, level=10000)
    values = picture(fill(Tissue.AIR), sequence, scanner)
    sigma = 10000 / 10
    np.testing.assert_allclose(values.mean(), sigma * np.sqrt(np.pi / 2), rtol=0.03)
    # In signal the magnitude of S + noise has the mean S + σ²/2S.
    muscle = float(picture(fill(Tissue.MUSCLE), replace(sequence, snr=float("inf")), scanner).mean())
    noisy = picture(fill(Tissue.MUSCLE), sequence, scanner)
    np.testing.assert_allclose(noisy.mean(), muscle + sigma**2 / (2 * muscle), rtol=0.01)
    np.testing.assert_allclose(noisy.std(), sigma, rtol=0.08)


@pytest.mark.parametrize("polarity", [1, -1])
def test_chemical_shift_moves_fat_by_its_millimetres(polarity: int) -> None:
    stack = Stack(GRID, phase_axis=1)
    # 217.14 Hz at 1.5 T over 108.57 Hz per pixel: two pixels of 1.25 mm along i.
    sequence = replace(T1, readout_hz_per_px=108.571)
    scanner = replace(FLAWLESS, polarity=polarity)
    where = (slice(12, 18), slice(10, 18), slice(3, 9))
    still = block(Tissue.AIR, Tissue.MUSCLE, where)
    fat = block(Tissue.AIR, Tissue.SUBCUTANEOUS_FAT, where)
    table = replace(scanner.tissues, fat_fraction=np.where(np.arange(len(Tissue)) == Tissue.MUSCLE, 0.0, 1.0))
    scanner = replace(scanner, tissues=table)
    water_at, fat_at = (
        centre_mm(GRID, image_mr(c, sequence, scanner, np.random.default_rng(0), stack).array) for c in (still, fat)
    )
    np.testing.assert_allclose(water_at, GRID.to_xyz_mm([14.5, 13.5, 5.5]), atol=0.02)
    np.testing.assert_allclose(fat_at - water_at, -polarity * 2 * 1.25 * GRID.direction[:, 0], atol=0.05)


def test_displacement_is_the_truth() -> None:
    scanner = replace(FLAWLESS, shift_mm=1.5)
    composition = block(Tissue.AIR, Tissue.MUSCLE, (slice(11, 19), slice(10, 18), slice(3, 9)))
    for seed in range(5):
        acquired = acquire(composition, T1, scanner, np.random.default_rng(seed))
        found = centre_mm(GRID, acquired.images["T1"].array) - centre_mm(GRID, picture(composition, T1))
        # Ripples below zero are folded by the magnitude, hence the tolerance.
        np.testing.assert_allclose(found, acquired.displacement_mm, atol=0.15)
    assert picture(composition, T1).max() > 0
    assert acquire(composition, T1, FLAWLESS, np.random.default_rng(0)).displacement_mm == (0, 0, 0)


def test_thick_slices_average_their_layers() -> None:
    stack = Stack(GRID, slice_mm=3.0, n_layers=6)
    composition = fill(Tissue.AIR, stack.fine)
    composition.index_a[:, :, 6 * 4 : 6 * 4 + 3] = Tissue.MUSCLE
    values = image_mr(composition, T1, FLAWLESS, np.random.default_rng(0), stack).array
    full = float(picture(fill(Tissue.MUSCLE), T1).mean())
    assert values.shape == GRID.shape
    # The lower half of slice 4 is muscle. Each slope of the profile reaches an eighth of the thickness into the
    # neighbour, a triangle half as high: 1/32 of the signal of slice 3 comes from there.
    np.testing.assert_allclose(values[:, :, 4], (0.5 - 1 / 32) * full, atol=2)
    np.testing.assert_allclose(values[:, :, 3], 1 / 32 * full, atol=2)
    assert not values[:, :, [0, 1, 2, 5, 6, 7]].any()


def test_any_crop_has_the_values_of_the_whole() -> None:
    scanner = replace(
        FLAWLESS, coil=Coil(plane_y_mm=40, anterior_share=0.4), bias=random_waves(np.random.default_rng(0), spread=0.1)
    )
    whole = picture(anatomy(), T1, scanner)
    start, shape = (3, 2, 1), (20, 22, 9)
    inner = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    a = anatomy()
    crop = Composition(
        GRID.crop(start, shape), a.index_a[inner], a.index_b[inner], a.share_b[inner], a.marrow_fat[inner]
    )
    np.testing.assert_allclose(picture(crop, T1, scanner), whole[inner], atol=0.01 * whole.max())


@pytest.mark.parametrize(("slice_axis", "phase_axis"), [(0, 1), (0, 2), (1, 0), (2, 0)])
def test_encoding_follows_its_axes(slice_axis: int, phase_axis: int) -> None:
    """A picture transposed with its axes is the transposed picture."""
    order = [3 - slice_axis - phase_axis, phase_axis, slice_axis]
    a = anatomy()
    affine = GRID.affine.copy()
    affine[:3, order] = GRID.affine[:3, :3]
    shape = [0, 0, 0]
    for axis, n in zip(order, GRID.shape, strict=True):
        shape[axis] = n
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    index_a, index_b = (np.moveaxis(x, (0, 1, 2), order) for x in (a.index_a, a.index_b))
    share_b, marrow_fat = (np.moveaxis(x, (0, 1, 2), order) for x in (a.share_b, a.marrow_fat))
    composition = Composition(grid, index_a, index_b, share_b, marrow_fat)
    sequence = replace(preset(SequenceRole.DWI, 1.5), snr=float("inf"))
    scanner = replace(FLAWLESS, has_susceptibility=True)
    expected = image_mr(a, sequence, scanner, np.random.default_rng(0)).array
    stack = Stack(grid, slice_axis=slice_axis, phase_axis=phase_axis)
    found = image_mr(composition, sequence, scanner, np.random.default_rng(0), stack).array
    np.testing.assert_allclose(np.moveaxis(found, order, (0, 1, 2)), expected, atol=2)


def test_echo_planar_images_are_distorted_near_gas_and_spin_echoes_are_not() -> None:
    scanner = replace(FLAWLESS, has_susceptibility=True)
    gas = block(Tissue.MUSCLE, Tissue.GAS, (slice(12, 18), slice(10, 16), slice(4, 8)))
    planar, echo = (replace(preset(role, 1.5), snr=float("inf")) for role in (SequenceRole.DWI, SequenceRole.T2))
    moved = picture(gas, planar, scanner).astype(int) - picture(gas, planar)
    assert np.abs(moved).max() > 0.3 * picture(fill(Tissue.MUSCLE), planar).mean()
    np.testing.assert_array_equal(picture(gas, echo, scanner), picture(gas, echo))


def test_metal_leaves_a_void_larger_than_itself_in_gradient_echoes() -> None:
    where = (slice(14, 16), slice(12, 14), slice(5, 7))
    metal = block(Tissue.MUSCLE, Tissue.METAL, where)
    sequence = replace(preset(SequenceRole.T1_IP, 1.5), snr=float("inf"), sampled=(1.0, 1.0), taper=0.0)
    muscle = float(picture(fill(Tissue.MUSCLE), sequence).mean())
    voids = [int((picture(metal, sequence, s) < 0.5 * muscle).sum()) for s in
             (FLAWLESS, replace(FLAWLESS, has_susceptibility=True))]  # fmt: skip
    assert voids[0] == 8
    assert voids[1] > 3 * voids[0]


def test_what_metal_does_to_diffusion_stays_near_it() -> None:
    """Bars of fluid across the phase axis: a void beside the metal, and from 100 mm on bars where they were."""
    grid = Grid.from_spacing((64, 40, 16), (4.0, 4.0, 4.0))
    bars = fill(Tissue.MUSCLE, grid)
    bars.index_a[:, np.arange(40) % 10 < 5] = Tissue.CSF
    metal = fill(Tissue.MUSCLE, grid)
    metal.index_a[:] = bars.index_a
    metal.index_a[8:13, 18:23, 6:11] = Tissue.METAL
    sequence = replace(preset(SequenceRole.DWI, 3.0), snr=float("inf"), b_s_per_mm2=(0.0, 50.0))
    scanner = MrScanner(tissue_table(3.0), level=1000, has_susceptibility=True)
    plain, found = picture(bars, sequence, scanner).astype(float), picture(metal, sequence, scanner)
    change = np.abs(found - plain) / plain.mean()
    assert change[38:].mean() < 0.15
    assert change[8:13, 18:23].mean() > 0.5
    assert found[7:14, 19:22, 7:10].mean() < 0.3 * plain.mean()


def test_fat_saturation_fails_where_the_field_is_off() -> None:
    sequence = replace(preset(SequenceRole.CE, 1.5), snr=float("inf"), fat_left=0.05)
    off = replace(FLAWLESS, field_ppm=random_waves(np.random.default_rng(1), spread=2.5))
    fat, spoilt = (picture(fill(Tissue.SUBCUTANEOUS_FAT), sequence, s) for s in (FLAWLESS, off))
    assert spoilt.max() > 3 * fat.max()
    plain = picture(fill(Tissue.SUBCUTANEOUS_FAT), replace(sequence, fat_left=1.0))
    # Levels are relative to each sequence's own reference.
    ratio = reference_signal(replace(sequence, fat_left=1.0), FLAWLESS.tissues) / reference_signal(
        sequence, FLAWLESS.tissues
    )
    assert spoilt.max() <= plain.max() * ratio * 1.01


def test_ghosts_of_vessels_run_along_phase() -> None:
    composition = block(Tissue.AIR, Tissue.ARTERY, (slice(14, 16), slice(13, 15), slice(None)))
    sequence = replace(preset(SequenceRole.T1_IP, 1.5), snr=float("inf"), sampled=(1.0, 1.0), taper=0.0,
                       readout_hz_per_px=float("inf"))  # fmt: skip
    ghosted = picture(composition, sequence, replace(FLAWLESS, ghost_share=0.2)).astype(float)
    clean = picture(composition, sequence).astype(float)
    extra = ghosted - clean
    assert extra[14:16].sum() == extra.sum()
    np.testing.assert_allclose(extra.sum(), 0.2 * clean.sum(), rtol=0.01)


def test_drawn_scanners_differ_in_scale_and_flaws() -> None:
    scanners = [sample_mr_scanner(np.random.default_rng(seed), 3.0) for seed in range(60)]
    assert max(s.level for s in scanners) > 4 * min(s.level for s in scanners)
    for flaw in ("ghost_share", "motion_px"):
        values = [getattr(s, flaw) for s in scanners]
        assert 0 < sum(v > 0 for v in values) < 60
    assert {s.polarity for s in scanners} == {-1, 1}


def test_arrays_that_do_not_fit_are_refused() -> None:
    a = anatomy()
    with pytest.raises(GeometryError, match=r"share_b .* differ in shape; expected .*; got \(3, 3, 3\); remedy"):
        Composition(GRID, a.index_a, a.index_b, np.zeros((3, 3, 3), np.float32), a.marrow_fat)
    with pytest.raises(GeometryError, match="the composition and the layers of the stack differ in geometry"):
        image_mr(a, T1, FLAWLESS, np.random.default_rng(0), Stack(GRID, slice_mm=2.0, n_layers=4))
