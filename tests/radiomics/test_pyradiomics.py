"""The published baselines of PyRadiomics, and all 1316 features of a small image as PyRadiomics 3.0.1 computes them."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.formats import read_labels, read_volume
from osteomet.radiomics.extract import RadiomicFeatures, extract_features
from osteomet.radiomics.names import ORIGINAL, feature_names
from osteomet.radiomics.settings import RadiomicsSettings

BASELINES = Path(__file__).parents[2].parent / "shared" / "data" / "radiomics" / "pyradiomics"
STORED = Path(__file__).with_name("pyradiomics_3_0_1.csv")
CONFIGURATIONS = {
    "": RadiomicsSettings(bin_width=25, log_sigmas_mm=(), wavelet="none"),
    "_2d": RadiomicsSettings(in_plane=True, log_sigmas_mm=(), wavelet="none"),
    "_FBN": RadiomicsSettings(bin_count=64, log_sigmas_mm=(), wavelet="none"),
    "_combined": RadiomicsSettings(aggregation="merged", log_sigmas_mm=(), wavelet="none"),
    "_flatRegion": RadiomicsSettings(bin_width=5000, log_sigmas_mm=(), wavelet="none"),
    "_normalization": RadiomicsSettings(bin_width=5, normalise_scale=100, log_sigmas_mm=(), wavelet="none"),
    "_resampling": RadiomicsSettings(spacing_mm=(2, 2, 2), log_sigmas_mm=(), wavelet="none"),
    "_resegmentation": RadiomicsSettings(within_sigmas=3, log_sigmas_mm=(), wavelet="none"),
}
_PLAIN = ("", "_normalization", "_resampling", "_resegmentation")
PUBLISHED = {
    "shape": ("", "_resampling"),
    "firstorder": _PLAIN,
    "glcm": (*_PLAIN, "_2d", "_FBN", "_flatRegion", "_combined"),
    "glrlm": (*_PLAIN, "_2d", "_FBN", "_flatRegion", "_combined"),
    "gldm": (*_PLAIN, "_2d", "_FBN", "_flatRegion"),
    "glszm": (*_PLAIN, "_2d", "_FBN", "_flatRegion"),
    "ngtdm": (*_PLAIN, "_2d", "_FBN", "_flatRegion"),
}
MESHED = ("MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity")
UNDEFINED_FLAT = {
    *("glcm_Correlation", "glcm_Imc1", "glcm_MCC"),
    *("ngtdm_Busyness", "ngtdm_Coarseness", "ngtdm_Contrast", "ngtdm_Strength"),
}
"""What a region of one grey level does not have; PyRadiomics gives 0, 1 or 1,000,000 instead."""


def crooked() -> tuple[Volume, NDArray[np.bool_]]:
    """A small image and region without any symmetry, of odd and even lengths, not cubic voxels."""
    i, j, k = np.indices((17, 14, 11))
    array = (37 * i + 11 * j * k + (i * j + 3 * k) ** 2 // 7) % 211 + 4 * i - 90
    mask = ((i - 8) / 6.2) ** 2 + ((j - 6) / 5.1) ** 2 + ((k - 5) / 3.4) ** 2 + 0.2 * np.sin(i + 2 * j + 3 * k) < 0.9
    grid = Grid.from_spacing(array.shape, (0.9, 1.1, 2.0))
    return Volume(array.astype(np.int16), grid, Modality.MR, Unit.ARBITRARY), mask


def test_all_features_of_a_small_image() -> None:
    with STORED.open(encoding="utf-8", newline="") as file:
        stored = {row["feature"]: float(row["value"]) for row in csv.DictReader(file)}
    result = extract_features(*crooked(), RadiomicsSettings())
    assert tuple(result.values) == feature_names(RadiomicsSettings())
    assert set(result.values) == set(stored)
    assert not result.not_computed
    # Filtered images of PyRadiomics are rounded to float32, so a value near 0 has no six digits.
    wrong = {
        name: (result.values[name], value)
        for name, value in stored.items()
        if not np.isclose(result.values[name], value, rtol=1e-6, atol=1e-5 if "_firstorder_" in name else 1e-9)
    }
    assert not wrong


@cache
def baseline(kind: str) -> dict[str, dict[str, str]]:
    """Published value of each feature of a class, by the name of the configuration."""
    with (BASELINES / f"baseline_{kind}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: {row["featureName"]: row[name] for row in rows} for name in rows[0] if name != "featureName"}


@cache
def ours(case: str, configuration: str) -> RadiomicFeatures:
    volume = read_volume(BASELINES / f"{case}_image.nrrd", modality=Modality.MR)
    mask = read_labels(BASELINES / f"{case}_label.nrrd").array == 1
    if configuration == "shifted":
        shifted = volume.with_array((volume.array.astype(np.int16) + 2000).astype(np.int16))
        return extract_features(shifted, mask, CONFIGURATIONS[""])
    return extract_features(volume, mask, CONFIGURATIONS[configuration])


@pytest.mark.skipif(not BASELINES.is_dir(), reason=f"no baselines of PyRadiomics at {BASELINES}")
@pytest.mark.parametrize(("kind", "configuration"), [(k, c) for k, names in PUBLISHED.items() for c in names])
@pytest.mark.parametrize("case", ["brain1", "breast1"])
def test_published_baselines(case: str, configuration: str, kind: str) -> None:
    published = {k: v for k, v in baseline(kind)[case + configuration].items() if k.startswith(ORIGINAL)}
    assert len(published) == {"shape": 14, "firstorder": 18, "glcm": 24, "gldm": 14, "ngtdm": 5}.get(kind, 16)
    expected = {name: float(text) for name, text in published.items()}
    result = ours(case, configuration)
    values = dict(result.values)
    if kind == "firstorder" and configuration == "":
        # These were computed with voxelArrayShift = 2000.
        for name in ("Energy", "TotalEnergy", "RootMeanSquared"):
            values[f"original_firstorder_{name}"] = ours(case, "shifted").values[f"original_firstorder_{name}"]
    if configuration == "_flatRegion":
        undefined = {f"{ORIGINAL}_{name}" for name in UNDEFINED_FLAT if name.startswith(kind)}
        assert {name for name in expected if np.isnan(values[name])} == undefined
        assert {result.not_computed[name] for name in undefined} <= {"all voxels of the region have one grey level"}
        expected = {name: value for name, value in expected.items() if name not in undefined}
    if (case, kind, configuration) == ("brain1", "shape", ""):
        # Of version 2.0.1b1, whose mesh was another one; PyRadiomics 3.0.1 gives ours to 1e-9.
        meshed = {name: expected.pop(f"{ORIGINAL}_shape_{name}") for name in MESHED}
        assert {name: values[f"{ORIGINAL}_shape_{name}"] for name in MESHED} == pytest.approx(meshed, rel=1e-3)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-6, abs=1e-12)
