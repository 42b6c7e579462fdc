import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.phantom.mr import artefacts
from osteomet.phantom.mr.artefacts import EVEN_COIL, NO_WAVES, Coil, Image, random_waves

OBLIQUE = Grid.from_spacing(
    (20, 26, 14),
    (1.0, 1.5, 4.0),
    origin_mm=(-10, 5, 30),
    direction=Rotation.from_euler("zx", [15, 10], degrees=True).as_matrix(),
)


def ball(shape: tuple[int, int, int], radius: float, margin: float = 0.5) -> Image:
    index = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return np.asarray(np.clip(radius - np.sqrt((index**2).sum(axis=0)) + margin, 0, 1), dtype=np.float32)


@pytest.mark.parametrize("n", [7, 16])
@pytest.mark.parametrize(("sampled", "taper", "shift"), [(1.0, 0.0, 0.0), (0.6, 0.3, 0.0), (0.8, 0.5, 2.3)])
def test_sampling_keeps_a_constant(n: int, sampled: float, taper: float, shift: float) -> None:
    matrix = artefacts.sampling_matrix(n, sampled, taper, shift)
    np.testing.assert_allclose(matrix @ np.full(n, 3.0, np.float32), 3.0, rtol=1e-5)


def test_sampling_moves_a_smooth_line_by_the_shift() -> None:
    place = np.arange(64)
    line = np.exp(-(((place - 30) / 6.0) ** 2)).astype(np.float32)
    moved = artefacts.sampling_matrix(64, 1.0, 0.0, 3.25) @ line
    np.testing.assert_allclose(moved, np.exp(-(((place - 33.25) / 6.0) ** 2)), atol=1e-4)


def test_truncated_k_space_rings_at_an_edge_as_gibbs_said() -> None:
    edge = np.repeat([0.0, 1.0], 200).astype(np.float32)
    # Overshoot of a truncated Fourier series: 8.95 % of the step; the filter takes it away.
    assert float((artefacts.sampling_matrix(400, 0.25, 0.0, 0.0) @ edge).max()) == pytest.approx(1.0895, abs=0.01)
    assert float((artefacts.sampling_matrix(400, 0.25, 1.0, 0.0) @ edge).max()) < 1.03


def test_sampling_equals_fourier_truncation_of_the_mirrored_line() -> None:
    line = np.random.default_rng(0).normal(size=24).astype(np.float32)
    mirrored = np.concatenate([line, line[::-1]])
    spectrum = np.fft.fft(mirrored)
    spectrum[np.abs(np.fft.fftfreq(48) * 48) >= 15] = 0
    expected = np.fft.ifft(spectrum).real[:24]
    np.testing.assert_allclose(artefacts.sampling_matrix(24, 15 / 24, 0.0, 0.0) @ line, expected, atol=1e-5)


def test_lines_of_every_axis_are_sampled_alike() -> None:
    picture = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    for axis, n in enumerate(picture.shape):
        matrix = artefacts.sampling_matrix(n, 0.7, 0.2, 0.4)
        expected = np.moveaxis(np.tensordot(matrix, picture, (1, axis)), 0, axis)
        np.testing.assert_allclose(artefacts.apply_along(matrix, picture, axis), expected, atol=1e-5)


def test_noise_gain_is_what_sampling_does_to_white_noise() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 20000)).astype(np.float32)
    sampled = artefacts.sampling_matrix(64, 0.7, 0.4, 0.0) @ noise
    np.testing.assert_allclose(sampled.std(), artefacts.noise_gain(64, 0.7, 0.4), rtol=0.01)


def test_white_noise_is_standard_normal() -> None:
    noise = artefacts.white_noise(np.random.default_rng(1), (100, 100, 50)).astype(np.float64)
    assert abs(noise.mean()) < 0.005
    np.testing.assert_allclose(noise.std(), 1.0, atol=0.003)
    # Shares within one and two standard deviations, and the fourth moment, 3.
    np.testing.assert_allclose([(np.abs(noise) < 1).mean(), (np.abs(noise) < 2).mean()], (0.6827, 0.9545), atol=0.002)
    np.testing.assert_allclose((noise**4).mean(), 3.0, atol=0.05)


def test_fat_is_displaced_by_its_frequency() -> None:
    # 3.4 ppm of 127.73 MHz are 434.3 Hz.
    np.testing.assert_allclose(artefacts.fat_shift_px(3.0, 217.15), -2.0, rtol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_distortion_keeps_the_signal_and_moves_its_centre(axis: int) -> None:
    picture = ball((24, 26, 22), 6)
    uniform = np.full(picture.shape, 2.5, dtype=np.float32)
    moved, twice = artefacts.distort(picture, 2 * picture, uniform, axis)
    np.testing.assert_allclose(moved.sum(), picture.sum(), rtol=1e-5)
    np.testing.assert_allclose(twice, 2 * moved, rtol=1e-5)
    centre = [float((p * np.indices(p.shape)[axis]).sum() / p.sum()) for p in (picture, moved)]
    np.testing.assert_allclose(centre[1] - centre[0], 2.5, atol=1e-3)


def test_signal_piles_up_where_the_field_squeezes_space() -> None:
    line = np.ones((1, 1, 40), dtype=np.float32)
    line[..., :8] = line[..., -8:] = 0
    # Positions shrink by half around pixel 19.5: twice the signal on half the width.
    squeeze = (-0.5 * (np.arange(40) - 19.5)).astype(np.float32)[None, None]
    squeezed, _ = artefacts.distort(line, line, squeeze, 2)
    np.testing.assert_allclose(squeezed[0, 0, 15:25], 2.0, rtol=1e-5)
    assert not squeezed[0, 0, :13].any()
    np.testing.assert_allclose(squeezed.sum(), 24.0, rtol=1e-5)


def test_folded_space_keeps_the_signal_too() -> None:
    rng = np.random.default_rng(0)
    line = np.zeros((3, 4, 60), dtype=np.float32)
    line[..., 20:40] = rng.uniform(0, 1, (3, 4, 20))
    wild = rng.normal(0, 4, line.shape).astype(np.float32).clip(-9, 9)
    moved, _ = artefacts.distort(line, line, wild, 2)
    np.testing.assert_allclose(moved.sum(axis=2), line.sum(axis=2), rtol=1e-4)


def test_a_line_goes_on_with_its_outer_pixel() -> None:
    full = np.ones((2, 2, 12), dtype=np.float32)
    moved, _ = artefacts.distort(full, full, np.full_like(full, 3.0), 2)
    np.testing.assert_allclose(moved, 1.0, rtol=1e-5)


def field_of(chi_ppm: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """Field of susceptibility that is given at each voxel."""
    step = artefacts.CHI_STEP
    return artefacts.susceptibility_field_ppm(np.ascontiguousarray(chi_ppm[::step, ::step, ::step]), grid)


def test_field_of_a_sphere_is_that_of_a_dipole() -> None:
    # Outside of a sphere of susceptibility χ the field is χ/3 (a/r)³ (3 cos² − 1), inside it is 0 (Lorentz-corrected).
    grid = Grid.from_spacing((64, 64, 64), (1.0, 1.0, 1.0))
    chi = ball(grid.shape, 8) * np.float32(9.0)
    raw = field_of(chi, grid)
    centre = 31.5
    # The shim takes away a constant and slow terms: compare the difference of pole and equator close to the sphere.
    pole, equator = raw[32, 32, int(centre + 12)], raw[int(centre + 12), 32, 32]
    expected = 9.0 / 3 * (8 / 11.5) ** 3 * 3
    np.testing.assert_allclose(pole - equator, expected, rtol=0.2)


def test_the_shim_leaves_tissue_far_from_metal_as_it_is() -> None:
    """A ball of 24 mm in the left of a field of view: its dipole is 2/3 · 190 ppm · (24/r)³ at most."""
    spacing_mm, radius_mm = np.array([4.0, 4.0, 8.0]), 24.0
    grid = Grid.from_spacing((96, 63, 27), spacing_mm.tolist())
    offset_mm = (np.moveaxis(np.indices(grid.shape), 0, -1) - [24, 30, 13]) * spacing_mm
    distance_mm = np.linalg.norm(offset_mm, axis=-1)
    chi = np.where(distance_mm < radius_mm, 190.0, 0.0).astype(np.float32)
    field = np.abs(field_of(chi, grid))
    assert field[distance_mm < 30].max() > 10
    assert field[distance_mm > 80].max() < 1.0 * 2 / 3 * 190 * (24 / 80) ** 3
    # A shim that fits all tissue leaves 0.13 ppm here.
    assert np.median(field[(distance_mm > 120) & (distance_mm < 180)]) < 0.08


def test_no_susceptibility_no_field() -> None:
    assert not field_of(np.zeros(OBLIQUE.shape, np.float32), OBLIQUE).any()


def test_the_field_follows_the_patient_and_not_the_array() -> None:
    upright = Grid.from_spacing((34, 30, 32), (2.0, 2.0, 2.0))
    chi = ball(upright.shape, 5) * np.float32(9.0)
    expected = field_of(chi, upright)
    # Array axis 0 of the turned grid runs along z, 1 along x, 2 along y.
    permuted = np.ascontiguousarray(chi.transpose(2, 0, 1))
    grid = Grid.from_spacing(permuted.shape, (2.0, 2.0, 2.0), direction=[[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = field_of(permuted, grid).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_dephasing_matches_the_sinc_of_a_gentle_gradient() -> None:
    # 20 Hz across a voxel at TE 5 ms: sinc(0.1) = 0.98363.
    field = (20.0 * np.indices((8, 6, 5))[0]).astype(np.float32)
    left = np.exp(-artefacts.dephasing_rate(field) * 5.0**2)
    np.testing.assert_allclose(left[3, 3, 3], np.sinc(0.1), atol=1e-4)


def test_smooth_fields_are_functions_of_place() -> None:
    waves = random_waves(np.random.default_rng(2), spread=0.2)
    whole = artefacts.bias_field(OBLIQUE, Coil(anterior_share=0.3), waves)
    crop = OBLIQUE.crop((5, 8, 3), (9, 11, 7))
    part = artefacts.bias_field(crop, Coil(anterior_share=0.3), waves)
    np.testing.assert_allclose(part, whole[5:14, 8:19, 3:10], rtol=0.02)
    points = OBLIQUE.to_xyz_mm(np.moveaxis(np.indices(OBLIQUE.shape), 0, -1))
    np.testing.assert_allclose(artefacts.smooth_field(OBLIQUE, waves), waves.at(points), atol=0.02)
    np.testing.assert_allclose(artefacts.bias_field(OBLIQUE, EVEN_COIL, NO_WAVES), 1.0, rtol=1e-6)


def test_random_waves_have_the_spread_asked_for() -> None:
    points = np.random.default_rng(0).uniform(-2000, 2000, (20000, 3))
    np.testing.assert_allclose(random_waves(np.random.default_rng(1), spread=0.3).at(points).std(), 0.3, rtol=0.1)


def test_coil_fades_from_back_to_front() -> None:
    coil = Coil(plane_y_mm=100, reach_mm=50, anterior_share=0.0)
    depth = coil.at(np.array([[0, 100, 0], [0, 50, 0], [0, 0, 0]], dtype=float))
    # (2 / (1 + d²))^1.5 at depths of 0, 1 and 2 reaches.
    np.testing.assert_allclose(depth, [2**1.5, 1.0, 0.4**1.5])


def test_ghosts_lie_at_the_offset_with_their_share() -> None:
    picture = np.zeros((1, 20, 1), dtype=np.float32)
    picture[0, 10, 0] = 1
    ghosted = artefacts.ghosts(picture, picture, 1, 4, 0.2)
    assert np.flatnonzero(ghosted[0, :, 0]).tolist() == [6, 10, 14]
    np.testing.assert_allclose(ghosted[0, [6, 10, 14], 0], (0.1, 1.0, 0.1))


@pytest.mark.parametrize(("phase_axis", "readout_axis"), [(1, 0), (0, 1), (2, 0)])
def test_a_patient_who_lies_displaced_all_along_is_only_displaced(phase_axis: int, readout_axis: int) -> None:
    picture = ball((16, 18, 20), 4).astype(np.complex64)
    moved = artefacts.jolted(picture, phase_axis, readout_axis, np.array([[0.0, 2.0, -3.0]]))
    expected = np.roll(picture, (2, -3), (phase_axis, readout_axis))
    np.testing.assert_allclose(np.abs(moved), np.abs(expected), atol=1e-4)


def test_motion_smears_along_phase_and_keeps_the_energy() -> None:
    picture = ball((32, 32, 4), 9).astype(np.complex64)
    jolts = np.array([[0.0, 0.0, 0.0], [0.4, 3.0, 1.5]])
    moved = artefacts.jolted(picture, 1, 0, jolts)
    np.testing.assert_allclose((np.abs(moved) ** 2).sum(), (np.abs(picture) ** 2).sum(), rtol=1e-4)
    outside = np.abs(moved) * (ball((32, 32, 4), 12) == 0)
    along_phase, along_readout = outside[14:18].sum(), outside[:, 14:18].sum()
    assert along_phase > 3 * along_readout
