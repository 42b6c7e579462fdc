import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.phantom.ct.reconstruction import blur_in_plane, noise_pair, plan_slices, scan_axis
from osteomet.phantom.ct.scanner import SCANNERS, CtScanner, sample_scanner


def step_image(grid: Grid, axis: int, spread_mm: float) -> NDArray[np.float32]:
    """A step of 1000 HU through the middle of an axis, as rendering leaves it: a Gaussian edge of this spread."""
    place = (np.arange(grid.shape[axis]) - (grid.shape[axis] - 1) / 2) * grid.spacing_mm[axis]
    edge = 1000 * ndtr(place / spread_mm)
    shape = [1, 1, 1]
    shape[axis] = grid.shape[axis]
    return np.broadcast_to(edge.reshape(shape), grid.shape).astype(np.float32)


def edge_spread_mm(profile: NDArray[np.float32], spacing_mm: float) -> float:
    """Standard deviation of the line spread."""
    line = np.diff(profile.astype(float))
    place = np.arange(line.size) * spacing_mm
    mean = (place * line).sum() / line.sum()
    return float(np.sqrt((line * (place - mean) ** 2).sum() / line.sum()))


@pytest.mark.parametrize("blur_mm", [0.4, 0.8, 1.2])
def test_the_edge_spread_in_plane_is_the_asked_blur(blur_mm: float) -> None:
    grid = Grid.from_spacing((81, 9, 3), (0.25, 0.25, 1.0))
    scanner = CtScanner(blur_mm, 0.0, slice_thickness_mm=1.0)
    plan = plan_slices(grid, scanner)
    image = step_image(grid, 0, plan.point_spread_mm)
    found = edge_spread_mm(blur_in_plane(image, grid, plan, scanner)[:, 4, 1], 0.25)
    # The voxel itself adds its box: a mean edge of 0.5 mm over the root of twelve.
    assert found == pytest.approx(np.hypot(blur_mm, 0.5 / np.sqrt(12)), rel=0.03)


def test_a_sharp_kernel_overshoots_by_what_the_transfer_says() -> None:
    grid = Grid.from_spacing((121, 9, 3), (0.2, 0.2, 1.0))
    scanner = CtScanner(0.5, 0.0, overshoot=0.8)
    plan = plan_slices(grid, scanner)
    edge = blur_in_plane(step_image(grid, 0, plan.point_spread_mm), grid, plan, scanner)[:, 4, 1]
    assert edge.max() > 1050
    assert edge.min() < -50
    soft = CtScanner(0.5, 0.0)
    smooth = blur_in_plane(step_image(grid, 0, plan.point_spread_mm), grid, plan, soft)[:, 4, 1]
    assert smooth.max() <= 1000.5
    np.testing.assert_allclose(edge[[0, -1]], [0, 1000], atol=0.5)


@pytest.mark.parametrize("thickness_mm", [1.5, 3.0, 5.0])
def test_a_thin_disc_shows_the_asked_slice_thickness(thickness_mm: float) -> None:
    """A disc one fine slice thin, moved slice by slice, is seen at half its height over the slice thickness."""
    grid = Grid.from_spacing((4, 4, 61), (1.0, 1.0, 0.25))
    plan = plan_slices(grid, CtScanner(0.6, 0.0, slice_thickness_mm=thickness_mm))
    assert plan.factor == 1
    fine = np.zeros(plan.fine_grid(grid, 0, 61).shape, dtype=np.float32)
    fine[:, :, fine.shape[2] // 2] = 1.0
    profile = plan.average(fine)[1, 1].astype(float)
    place = np.arange(61) * 0.25
    above = np.flatnonzero(profile > profile.max() / 2)
    half = profile.max() / 2

    def crossing(a: int, b: int) -> float:
        return float(place[a] + (half - profile[a]) / (profile[b] - profile[a]) * (place[b] - place[a]))

    width = crossing(above[-1], above[-1] + 1) - crossing(above[0] - 1, above[0])
    assert width == pytest.approx(thickness_mm, rel=0.04)
    assert profile.sum() == pytest.approx(1.0)


def test_thick_steps_are_made_of_odd_numbers_of_fine_slices_about_the_same_centres() -> None:
    grid = Grid.from_spacing((6, 6, 8), (1.0, 1.0, 5.0), origin_mm=(0, 0, 100))
    plan = plan_slices(grid, CtScanner(0.6, 0.0, slice_thickness_mm=5.0))
    assert plan.factor == 5
    # Five fine slices of 1 mm with slopes of 0.2 · 5 mm, less what the kernel has blurred already.
    assert sum(plan.weights) == pytest.approx(1.0)
    fine = plan.fine_grid(grid, 2, 4)
    index = np.indices(fine.shape)[2].astype(float)
    heights = plan.centres(fine.affine[2, 2] * index + fine.affine[2, 3])
    np.testing.assert_allclose(heights[0, 0], [110, 115])


def test_the_scan_axis_is_the_one_along_the_patient() -> None:
    sagittal = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert scan_axis(Grid.from_spacing((4, 4, 4), (1, 1, 1))) == 2
    assert scan_axis(Grid.from_spacing((4, 4, 4), (1, 1, 1), direction=sagittal)) == 1


def noise(grid: Grid, scanner: CtScanner, seed: int = 5) -> NDArray[np.float32]:
    first, second = noise_pair(grid, scanner, seed, 0, grid.shape[2])
    return first + second


@pytest.mark.parametrize("scanner", [CtScanner(0.7, 20.0), CtScanner(0.5, 40.0, overshoot=0.9)])
def test_noise_has_the_asked_standard_deviation(scanner: CtScanner) -> None:
    values = noise(Grid.from_spacing((128, 120, 24), (0.4, 0.4, 2.0)), scanner)
    assert values.std() == pytest.approx(scanner.noise_hu, rel=0.03)
    assert abs(values.mean()) < 0.03 * scanner.noise_hu


def peak_frequency(scanner: CtScanner) -> float:
    """Frequency per mm where the radial noise power is greatest, from 40 slices."""
    grid = Grid.from_spacing((128, 128, 40), (0.4, 0.4, 2.0))
    power = (np.abs(np.fft.fft2(noise(grid, scanner), axes=(0, 1))) ** 2).mean(axis=2)
    frequency = np.fft.fftfreq(128, 0.4)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    bins = np.arange(0, 1.0, 0.04)
    profile = [power[(radius >= low) & (radius < low + 0.04)].mean() for low in bins]
    return float(bins[int(np.argmax(profile))] + 0.02)


def test_the_noise_peak_follows_the_kernel() -> None:
    soft, sharp = CtScanner(0.8, 20.0), CtScanner(0.4, 20.0)
    # Power goes as f · exp(−(2πσf)²), greatest at f = 1 / (2√2 πσ).
    assert peak_frequency(soft) == pytest.approx(1 / (2 * np.sqrt(2) * np.pi * 0.8), abs=0.045)
    assert peak_frequency(sharp) == pytest.approx(1 / (2 * np.sqrt(2) * np.pi * 0.4), abs=0.06)
    assert peak_frequency(CtScanner(0.4, 20.0, overshoot=1.0)) > peak_frequency(sharp)


def test_slices_share_noise_only_where_their_profiles_overlap() -> None:
    scanner = CtScanner(0.6, 20.0, slice_thickness_mm=3.0)
    apart = noise(Grid.from_spacing((96, 96, 8), (0.5, 0.5, 3.0)), scanner)
    close = noise(Grid.from_spacing((96, 96, 8), (0.5, 0.5, 1.0)), scanner)

    def correlation(values: NDArray[np.float32]) -> float:
        return float(np.corrcoef(values[:, :, 3].ravel(), values[:, :, 4].ravel())[0, 1])

    assert abs(correlation(apart)) < 0.05
    # Boxes of three slices, moved by one, share two.
    assert correlation(close) == pytest.approx(2 / 3, abs=0.06)


def test_a_slab_has_the_noise_of_the_whole() -> None:
    grid = Grid.from_spacing((20, 24, 30), (0.8, 0.8, 1.0))
    scanner = CtScanner(0.6, 20.0, slice_thickness_mm=2.0)
    whole, part = noise_pair(grid, scanner, 3, 0, 30)[0], noise_pair(grid, scanner, 3, 11, 17)[0]
    np.testing.assert_array_equal(whole[:, :, 11:17], part)


def test_scanners_are_plausible_and_refuse_what_is_not() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scanner = sample_scanner(rng)
        assert 0.3 < scanner.blur_mm < 1.2
        assert 2 < scanner.noise_hu < 250
        assert 0.6 <= scanner.slice_thickness_mm <= 5
    assert SCANNERS["soft_5mm"].slice_thickness_mm == 5.0
    assert SCANNERS["bone_1mm"].overshoot > SCANNERS["soft_5mm"].overshoot
    with pytest.raises(UsageError, match=r"blur_mm of a CT scanner .*; expected .* above 0; got 0.0; remedy"):
        CtScanner(0.0, 10.0)
    with pytest.raises(UsageError, match=r"noise_hu .* not negative; expected .* 0 or more; got -1.0; remedy: use 0"):
        CtScanner(0.6, -1.0)
