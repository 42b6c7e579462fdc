"""All features of a region: what stays the same, and what cannot be computed."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.radiomics.extract import extract_features
from osteomet.radiomics.names import feature_names
from osteomet.radiomics.settings import RadiomicsSettings

PLAIN = RadiomicsSettings(log_sigmas_mm=(), wavelet="none")


def image(shape: tuple[int, int, int] = (24, 20, 14), seed: int = 0) -> Volume:
    array = np.random.default_rng(seed).normal(100, 60, shape).astype(np.float32)
    return Volume(array, Grid.from_spacing(shape, (1.0, 1.2, 2.0)), Modality.MR, Unit.ARBITRARY)


def ball(shape: tuple[int, int, int] = (24, 20, 14), radius: float = 5.0) -> NDArray[np.bool_]:
    i, j, k = np.indices(shape)
    centre = [(n - 1) / 2 for n in shape]
    return np.asarray((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (2 * (k - centre[2])) ** 2 < radius**2)


def test_asking_twice_agrees() -> None:
    first, second = (extract_features(image(), ball(), RadiomicsSettings()) for _ in range(2))
    assert dict(first.values) == dict(second.values)
    assert not first.not_computed
    assert first.n_voxels == np.count_nonzero(ball())


def test_what_lies_far_from_the_region_does_not_matter() -> None:
    volume, mask = image((80, 40, 40), 1), np.zeros((80, 40, 40), dtype=bool)
    mask[50:60, 15:25, 15:25] = True
    settings = replace(RadiomicsSettings(), log_sigmas_mm=(1.0,))
    changed = volume.array.copy()
    changed[:30] = -500
    near = extract_features(volume.with_array(changed), mask, settings).values
    assert dict(near) == pytest.approx(dict(extract_features(volume, mask, settings).values), rel=1e-6, abs=1e-6)


def test_flips_do_not_matter_without_wavelets() -> None:
    settings = replace(RadiomicsSettings(), wavelet="none")
    volume, mask = image(), ball()
    mask[:10, :8] = False
    flipped = volume.with_array(np.ascontiguousarray(volume.array[::-1, :, ::-1]))
    mirrored = extract_features(flipped, mask[::-1, :, ::-1], settings).values
    assert dict(mirrored) == pytest.approx(dict(extract_features(volume, mask, settings).values), rel=1e-6, abs=1e-6)


def test_a_single_voxel() -> None:
    mask = np.zeros((24, 20, 14), dtype=bool)
    mask[5, 6, 7] = True
    result = extract_features(image(), mask, PLAIN)
    values = {name.removeprefix("original_"): value for name, value in result.values.items()}
    assert values["firstorder_Mean"] == image().array[5, 6, 7]
    assert values["shape_VoxelVolume"] == 2.4
    assert values["glszm_ZonePercentage"] == 1
    undefined = {name for name, value in result.values.items() if np.isnan(value)}
    assert undefined == set(result.not_computed)
    assert set(result.not_computed.values()) == {"the region is a single voxel"}
    assert {
        f"original_{n}" for n in ("glcm_Contrast", "glrlm_RunEntropy", "ngtdm_Coarseness", "shape_Flatness")
    } <= undefined


def test_a_constant_region_has_reasons() -> None:
    volume = image()
    volume = volume.with_array(np.where(ball(), np.float32(7), volume.array))
    result = extract_features(volume, ball(), PLAIN)
    assert result.not_computed["original_firstorder_Skewness"] == "all voxels of the region have one value"
    assert result.not_computed["original_glcm_Correlation"] == "all voxels of the region have one grey level"
    assert result.values["original_firstorder_Variance"] == result.values["original_glcm_Contrast"] == 0
    assert len(result.not_computed) == 2 + 3 + 4


def test_voxels_apart_have_no_neighbours() -> None:
    mask = np.zeros((24, 20, 14), dtype=bool)
    mask[4, 4, 4] = mask[9, 12, 8] = True
    result = extract_features(image(), mask, PLAIN)
    assert result.not_computed["original_glcm_Contrast"] == "no two neighbours in the region differ in grey level"
    assert result.not_computed["original_glrlm_RunEntropy"] == "no two voxels of the region lie on a line"
    assert (
        result.not_computed["original_firstorder_RobustMeanAbsoluteDeviation"]
        == "no value lies between the 10th and the 90th percentile"
    )


def test_an_image_of_one_slice_has_no_laplacian() -> None:
    volume = image((24, 20, 1))
    mask = np.zeros((24, 20, 1), dtype=bool)
    mask[5:12, 5:12] = True
    result = extract_features(volume, mask, RadiomicsSettings())
    logs = {name for name in result.values if name.startswith("log-")}
    assert logs == set(result.not_computed)
    assert result.not_computed["log-sigma-1-0-mm-3D_glcm_Id"] == (
        "the image has 1 voxels along axis 2, a Laplacian of 1 mm needs 4"
    )


def test_normalisation_makes_scale_and_offset_irrelevant() -> None:
    settings = replace(PLAIN, normalise_scale=100.0)
    volume = image()
    other = volume.with_array((volume.array * np.float32(4) + np.float32(512)).astype(np.float32))
    expected = extract_features(volume, ball(), settings).values
    assert dict(extract_features(other, ball(), settings).values) == pytest.approx(dict(expected), rel=1e-4)
    whole = np.ones(volume.grid.shape, dtype=bool)
    values = extract_features(volume, whole, settings).values
    assert values["original_firstorder_Mean"] == pytest.approx(0, abs=1e-4)
    assert values["original_firstorder_Variance"] == pytest.approx(100**2, rel=1e-3)
    with pytest.raises(InputError, match="a constant image cannot be normalised"):
        extract_features(volume.with_array(np.zeros_like(volume.array)), ball(), settings)


def test_outliers_are_left_out_of_all_but_shape() -> None:
    volume = image()
    array = volume.array.copy()
    array[12, 10, 7] = 5000
    settings = replace(PLAIN, within_sigmas=3.0)
    result = extract_features(volume.with_array(array), ball(), settings)
    assert result.values["original_firstorder_Maximum"] < 400
    assert result.values["original_shape_VoxelVolume"] == pytest.approx(np.count_nonzero(ball()) * 2.4)


def test_resampling_keeps_the_size_of_the_region() -> None:
    result = extract_features(image(), ball(radius=7), replace(PLAIN, spacing_mm=(0.5, 0.5, 0.5)))
    before = extract_features(image(), ball(radius=7), PLAIN).values
    assert result.n_voxels == pytest.approx(np.count_nonzero(ball(radius=7)) * 2.4 / 0.125, rel=0.05)
    for name in ("VoxelVolume", "MajorAxisLength", "Maximum3DDiameter"):
        assert result.values[f"original_shape_{name}"] == pytest.approx(before[f"original_shape_{name}"], rel=0.05)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="without voxels"):
        extract_features(image(), np.zeros((24, 20, 14), dtype=bool), PLAIN)
    with pytest.raises(InputError, match="differ in shape"):
        extract_features(image(), ball((24, 20, 13)), PLAIN)
    with pytest.raises(InputError, match="within_sigmas leaves no voxel"):
        extract_features(image((4, 4, 4)), np.arange(64).reshape(4, 4, 4) < 2, replace(PLAIN, within_sigmas=0.5))


def test_names_are_those_of_the_settings() -> None:
    settings = RadiomicsSettings(log_sigmas_mm=(1.5,), wavelet="haar")
    assert tuple(extract_features(image(), ball(), settings).values) == feature_names(settings)
