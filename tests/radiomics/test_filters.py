"""Filtered images: against ITK, against polynomials, and by the weights of the wavelets."""

from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from osteomet.radiomics.laplacian import laplacian_of_gaussian, too_short
from osteomet.radiomics.wavelets import wavelet_bands_of

sitk: Any = SimpleITK
SPACING = (0.8, 1.1, 2.5)
Box = tuple[slice, slice, slice]


def whole(array: NDArray[Any]) -> Box:
    i, j, k = (slice(0, n) for n in array.shape)
    return i, j, k


@pytest.mark.parametrize("sigma_mm", [0.7, 1.0, 3.0, 5.0])
def test_laplacian_is_that_of_itk(sigma_mm: float) -> None:
    array = np.random.default_rng(0).normal(100, 30, (30, 21, 12))
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(SPACING)
    peer = sitk.LaplacianRecursiveGaussianImageFilter()
    peer.SetSigma(sigma_mm)
    peer.SetNormalizeAcrossScale(True)
    theirs = sitk.GetArrayFromImage(peer.Execute(image)).T
    ours = laplacian_of_gaussian(array, SPACING, sigma_mm, whole(array))
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()  # ITK goes through float32


def test_laplacian_of_a_parabola_is_its_curvature() -> None:
    # x² mm² has the Laplacian 2; times σ² that is 2 σ², away from the border, where the image ends flat.
    x = np.arange(161) * 0.8
    array = np.broadcast_to((x - 64) ** 2, (9, 9, 161)).transpose(2, 0, 1)
    box = (slice(78, 83), slice(2, 7), slice(2, 7))
    np.testing.assert_allclose(laplacian_of_gaussian(array, SPACING, 2.0, box), 8.0, rtol=1e-6)


def test_laplacian_of_a_constant_is_zero() -> None:
    array = np.full((10, 12, 8), 700, dtype=np.int16)
    np.testing.assert_allclose(laplacian_of_gaussian(array, SPACING, 1.5, whole(array)), 0, atol=1e-9)


@pytest.mark.parametrize("sigma_mm", [1.0, 2.0])
def test_a_box_is_a_part_of_the_whole(sigma_mm: float) -> None:
    array = np.random.default_rng(1).normal(0, 50, (90, 80, 40)).astype(np.float32)
    box = (slice(40, 47), slice(0, 6), slice(30, 40))
    all_of_it = laplacian_of_gaussian(array, SPACING, sigma_mm, whole(array))
    part = laplacian_of_gaussian(array, SPACING, sigma_mm, box)
    assert np.abs(part - all_of_it[box]).max() < 1e-6 * np.abs(all_of_it).max()
    bands, parts = wavelet_bands_of(array, "coif1", whole(array)), wavelet_bands_of(array, "coif1", box)
    for name, band in bands.items():
        np.testing.assert_array_equal(parts[name], band[box])


def test_an_image_too_small_for_a_width_says_so() -> None:
    assert too_short((30, 30, 30), 5.0, (1.0, 1.0, 1.0)) == ""
    assert too_short((30, 3, 30), 1.0, (1.0, 1.0, 1.0)).startswith("the image has 3 voxels along axis 1")
    assert "needs 6" in too_short((5, 30, 30), 5.0, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("wavelet", ["haar", "db2", "coif1"])
@pytest.mark.parametrize("shape", [(6, 8, 4), (7, 5, 9)])
def test_bands_of_a_constant_and_their_energy(wavelet: str, shape: tuple[int, int, int]) -> None:
    bands = wavelet_bands_of(np.full(shape, 10.0), wavelet, whole(np.empty(shape)))
    assert list(bands) == ["LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH"]
    np.testing.assert_allclose(bands["LLL"], 10 * np.sqrt(8))
    for name in set(bands) - {"LLL"}:
        np.testing.assert_allclose(bands[name], 0, atol=1e-12)
    even = np.random.default_rng(2).normal(size=(6, 8, 4))
    total = sum(float((band**2).sum()) for band in wavelet_bands_of(even, wavelet, whole(even)).values())
    assert total == pytest.approx(8 * float((even**2).sum()))  # each axis doubles the energy


def test_haar_by_hand() -> None:
    array = np.zeros((4, 2, 2))
    array[1] = 1
    bands = wavelet_bands_of(array, "haar", whole(array))
    # Low passes along j and k give 2 × 1/√2 each; along i a voxel and the one after it add up, or are subtracted.
    np.testing.assert_allclose(bands["LLL"][:, 0, 0], np.array([1, 1, 0, 0]) * np.sqrt(2))
    np.testing.assert_allclose(bands["HLL"][:, 0, 0], np.array([-1, 1, 0, 0]) * np.sqrt(2))


def test_the_last_letter_is_the_slice_axis() -> None:
    array = np.zeros((6, 6, 6))
    array[:, :, ::2] = 1
    bands = wavelet_bands_of(array, "haar", whole(array))
    assert np.abs(bands["LLH"]).min() > 1
    assert all(np.abs(bands[name]).max() < 1e-12 for name in ("LHL", "HLL", "HHH"))


def test_an_odd_axis_goes_on_with_its_first_slice() -> None:
    array = np.arange(5.0)[:, None, None] * np.ones((1, 2, 2))
    bands = wavelet_bands_of(array, "haar", whole(array))
    # After 4 comes 0: the sums of neighbours are 1, 3, 5, 7, 4.
    np.testing.assert_allclose(bands["LLL"][:, 0, 0], np.array([1, 3, 5, 7, 4]) * np.sqrt(2))
