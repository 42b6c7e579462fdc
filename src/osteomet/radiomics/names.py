"""Names of the features, as PyRadiomics names them, so that published signatures carry over.

A name has three parts: the image (``original``, ``log-sigma-1-0-mm-3D``, ``wavelet-LLH``), the class and the feature.

References
----------
van Griethuysen J. J. M. et al. Computational radiomics system to decode the radiographic phenotype.
https://doi.org/10.1158/0008-5472.CAN-17-0339
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from osteomet.radiomics.settings import RadiomicsSettings

ORIGINAL = "original"
SHAPE = "shape"
SHAPE_FEATURES = (
    *("Elongation", "Flatness", "LeastAxisLength", "MajorAxisLength", "Maximum2DDiameterColumn"),
    *("Maximum2DDiameterRow", "Maximum2DDiameterSlice", "Maximum3DDiameter", "MeshVolume", "MinorAxisLength"),
    *("Sphericity", "SurfaceArea", "SurfaceVolumeRatio", "VoxelVolume"),
)
FIRST_ORDER_FEATURES = (
    *("10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum"),
    *("MeanAbsoluteDeviation", "Mean", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation"),
    *("RootMeanSquared", "Skewness", "TotalEnergy", "Uniformity", "Variance"),
)
GLCM_FEATURES = (
    *("Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation"),
    *("DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2"),
    *("InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MCC", "MaximumProbability"),
    *("SumAverage", "SumEntropy", "SumSquares"),
)
NGTDM_FEATURES = ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")
GLRLM_FEATURES = (
    *("ShortRunEmphasis", "LongRunEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized"),
    *("RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "GrayLevelVariance"),
    *("RunVariance", "RunEntropy", "LowGrayLevelRunEmphasis", "HighGrayLevelRunEmphasis"),
    *("ShortRunLowGrayLevelEmphasis", "ShortRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis"),
    "LongRunHighGrayLevelEmphasis",
)
GLSZM_FEATURES = (
    *("SmallAreaEmphasis", "LargeAreaEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized"),
    *("SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "ZonePercentage", "GrayLevelVariance"),
    *("ZoneVariance", "ZoneEntropy", "LowGrayLevelZoneEmphasis", "HighGrayLevelZoneEmphasis"),
    *("SmallAreaLowGrayLevelEmphasis", "SmallAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis"),
    "LargeAreaHighGrayLevelEmphasis",
)
GLDM_FEATURES = (
    *("SmallDependenceEmphasis", "LargeDependenceEmphasis", "GrayLevelNonUniformity"),
    *("DependenceNonUniformity", "DependenceNonUniformityNormalized", "GrayLevelVariance"),
    *("DependenceVariance", "DependenceEntropy", "LowGrayLevelEmphasis", "HighGrayLevelEmphasis"),
    *("SmallDependenceLowGrayLevelEmphasis", "SmallDependenceHighGrayLevelEmphasis"),
    *("LargeDependenceLowGrayLevelEmphasis", "LargeDependenceHighGrayLevelEmphasis"),
)
"""The last three are in the order of the figures of `osteomet.radiomics.size_features`."""

INTENSITY_FEATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "firstorder": FIRST_ORDER_FEATURES,
        "glcm": GLCM_FEATURES,
        "gldm": GLDM_FEATURES,
        "glrlm": GLRLM_FEATURES,
        "glszm": GLSZM_FEATURES,
        "ngtdm": NGTDM_FEATURES,
    }
)
"""Features of each class that is computed on every image."""


def log_name(sigma_mm: float) -> str:
    """Name of the Laplacian of a Gaussian.

    Examples
    --------
    >>> log_name(1.5)
    'log-sigma-1-5-mm-3D'
    """
    return f"log-sigma-{str(float(sigma_mm)).replace('.', '-')}-mm-3D"


def wavelet_bands(settings: RadiomicsSettings) -> tuple[str, ...]:
    """The eight bands by their passes (L or H) along the three array axes; none without a wavelet."""
    return () if settings.wavelet == "none" else tuple("".join(passes) for passes in product("LH", repeat=3))


def image_names(settings: RadiomicsSettings) -> tuple[str, ...]:
    """Names of the images that features are computed on."""
    logs = tuple(log_name(sigma) for sigma in settings.log_sigmas_mm)
    return (ORIGINAL, *logs, *(f"wavelet-{band}" for band in wavelet_bands(settings)))


def feature_names(settings: RadiomicsSettings) -> tuple[str, ...]:
    """All features of an extraction, in the order of the table.

    Examples
    --------
    >>> len(feature_names(RadiomicsSettings()))
    1316
    >>> len(feature_names(RadiomicsSettings(log_sigmas_mm=(), wavelet="none")))
    107
    """
    shape = [f"{ORIGINAL}_{SHAPE}_{name}" for name in SHAPE_FEATURES]
    others = [
        f"{image}_{kind}_{name}"
        for image in image_names(settings)
        for kind, names in INTENSITY_FEATURES.items()
        for name in names
    ]
    return (*shape, *others)
