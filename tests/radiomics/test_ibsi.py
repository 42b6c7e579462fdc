"""The digital phantom of IBSI 1 against its reference values.

Zwanenburg A. et al. The Image Biomarker Standardization Initiative. https://doi.org/10.1148/radiol.2020191145. The
phantom is by A. Zwanenburg (CC BY 4.0); reference values have three significant digits.
"""

import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.radiomics.extract import extract_features
from osteomet.radiomics.settings import Aggregation, RadiomicsSettings

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "radiomics" / "ibsi1_reference.xlsx"
IMAGE = """
14411 14611 41641 44641
14411 11611 11311 44611
14411 11111 11911 11611
14411 11111 11111 11611
"""
"""Values of the phantom: slices one below the other, rows of five voxels side by side; 2 mm voxels."""
OUTSIDE = ((0, 2, 1), (3, 0, 2), (4, 0, 2), (2, 2, 2), (3, 0, 3), (4, 0, 3))
"""Voxels (i, j, k) that the mask leaves out."""
VOLUME_FEATURES = {
    "shape_MeshVolume": "Volume (mesh)",
    "shape_VoxelVolume": "Volume (voxel counting)",
    "shape_SurfaceArea": "Surface area (mesh)",
    "shape_SurfaceVolumeRatio": "Surface to volume ratio",
    "shape_Sphericity": "Sphericity",
    "shape_Maximum3DDiameter": "Maximum 3D diameter",
    "shape_Elongation": "Elongation",
    "shape_Flatness": "Flatness",
}
AXES = {"MajorAxisLength": 11.4, "MinorAxisLength": 9.31, "LeastAxisLength": 8.54}
STATISTICS = {
    "firstorder_Mean": "Mean",
    "firstorder_Variance": "Variance",
    "firstorder_Skewness": "Skewness",
    "firstorder_Median": "Median",
    "firstorder_Minimum": "Minimum",
    "firstorder_10Percentile": "10th percentile",
    "firstorder_90Percentile": "90th percentile",
    "firstorder_Maximum": "Maximum",
    "firstorder_InterquartileRange": "Interquartile range",
    "firstorder_Range": "Range",
    "firstorder_MeanAbsoluteDeviation": "Mean absolute deviation",
    "firstorder_RobustMeanAbsoluteDeviation": "Robust mean absolute deviation",
    "firstorder_Energy": "Energy",
    "firstorder_RootMeanSquared": "Root mean square",
}
HISTOGRAM = {"firstorder_Entropy": "Entropy", "firstorder_Uniformity": "Uniformity"}
GLCM = {
    "MaximumProbability": "Joint maximum",
    "JointAverage": "Joint average",
    "SumSquares": "Joint variance",
    "JointEntropy": "Joint entropy",
    "DifferenceAverage": "Difference average",
    "DifferenceVariance": "Difference variance",
    "DifferenceEntropy": "Difference entropy",
    "SumAverage": "Sum average",
    "SumEntropy": "Sum entropy",
    "JointEnergy": "Angular second moment",
    "Contrast": "Contrast",
    "Id": "Inverse difference",
    "Idn": "Normalised inverse difference",
    "Idm": "Inverse difference moment",
    "Idmn": "Normalised inverse difference moment",
    "InverseVariance": "Inverse variance",
    "Correlation": "Correlation",
    "Autocorrelation": "Autocorrelation",
    "ClusterTendency": "Cluster tendency",
    "ClusterShade": "Cluster shade",
    "ClusterProminence": "Cluster prominence",
    "Imc1": "Information correlation 1",
    "Imc2": "Information correlation 2",
}
GLRLM = {
    "ShortRunEmphasis": "Short runs emphasis",
    "LongRunEmphasis": "Long runs emphasis",
    "LowGrayLevelRunEmphasis": "Low grey level run emphasis",
    "HighGrayLevelRunEmphasis": "High grey level run emphasis",
    "ShortRunLowGrayLevelEmphasis": "Short run low grey level emphasis",
    "ShortRunHighGrayLevelEmphasis": "Short run high grey level emphasis",
    "LongRunLowGrayLevelEmphasis": "Long run low grey level emphasis",
    "LongRunHighGrayLevelEmphasis": "Long run high grey level emphasis",
    "GrayLevelNonUniformity": "Grey level non-uniformity",
    "GrayLevelNonUniformityNormalized": "Normalised grey level non-uniformity",
    "RunLengthNonUniformity": "Run length non-uniformity",
    "RunLengthNonUniformityNormalized": "Normalised run length non-uniformity",
    "RunPercentage": "Run percentage",
    "GrayLevelVariance": "Grey level variance",
    "RunVariance": "Run length variance",
    "RunEntropy": "Run entropy",
}
GLSZM = {
    "SmallAreaEmphasis": "Small zone emphasis",
    "LargeAreaEmphasis": "Large zone emphasis",
    "LowGrayLevelZoneEmphasis": "Low grey level emphasis",
    "HighGrayLevelZoneEmphasis": "High grey level emphasis",
    "SmallAreaLowGrayLevelEmphasis": "Small zone low grey level emphasis",
    "SmallAreaHighGrayLevelEmphasis": "Small zone high grey level emphasis",
    "LargeAreaLowGrayLevelEmphasis": "Large zone low grey level emphasis",
    "LargeAreaHighGrayLevelEmphasis": "Large zone high grey level emphasis",
    "GrayLevelNonUniformity": "Grey level non-uniformity",
    "GrayLevelNonUniformityNormalized": "Normalised grey level non-uniformity",
    "SizeZoneNonUniformity": "Zone size non-uniformity",
    "SizeZoneNonUniformityNormalized": "Normalised zone size non-uniformity",
    "ZonePercentage": "Zone percentage",
    "GrayLevelVariance": "Grey level variance",
    "ZoneVariance": "Zone size variance",
    "ZoneEntropy": "Zone size entropy",
}
GLDM = {
    "SmallDependenceEmphasis": "Low dependence emphasis",
    "LargeDependenceEmphasis": "High dependence emphasis",
    "LowGrayLevelEmphasis": "Low grey level count emphasis",
    "HighGrayLevelEmphasis": "High grey level count emphasis",
    "SmallDependenceLowGrayLevelEmphasis": "Low dependence low grey level emphasis",
    "SmallDependenceHighGrayLevelEmphasis": "Low dependence high grey level emphasis",
    "LargeDependenceLowGrayLevelEmphasis": "High dependence low grey level emphasis",
    "LargeDependenceHighGrayLevelEmphasis": "High dependence high grey level emphasis",
    "GrayLevelNonUniformity": "Grey level non-uniformity",
    "DependenceNonUniformity": "Dependence count non-uniformity",
    "DependenceNonUniformityNormalized": "Normalised dependence count non-uniformity",
    "GrayLevelVariance": "Grey level variance",
    "DependenceVariance": "Dependence count variance",
    "DependenceEntropy": "Dependence count entropy",
}
NGTDM = {name: name for name in ("Coarseness", "Contrast", "Busyness", "Complexity", "Strength")}
KEPT = {
    "shape_MeshVolume": 556,
    "shape_SurfaceArea": 388,
    "shape_Sphericity": 0.843,
    "shape_Maximum3DDiameter": 13.1,
    "shape_Flatness": 0.749,
    "firstorder_Mean": 2.15,
    "firstorder_Skewness": 1.08,
    "firstorder_RobustMeanAbsoluteDeviation": 1.11,
    "firstorder_Entropy": 1.27,
    "firstorder_Uniformity": 0.512,
    "gldm_SmallDependenceEmphasis": 0.045,
    "gldm_LargeDependenceEmphasis": 109,
    "gldm_LargeDependenceHighGrayLevelEmphasis": 235,
    "gldm_GrayLevelNonUniformity": 37.9,
    "gldm_DependenceNonUniformity": 4.86,
    "gldm_DependenceVariance": 22.1,
    "gldm_DependenceEntropy": 4.4,
    "ngtdm_Coarseness": 0.0296,
    "ngtdm_Contrast": 0.584,
    "ngtdm_Busyness": 6.54,
    "ngtdm_Complexity": 13.5,
    "ngtdm_Strength": 0.763,
}
"""Some reference values that need no file; texture in three dimensions."""


@cache
def features(aggregation: Aggregation = "averaged", *, in_plane: bool = False) -> dict[str, float]:
    """Features of the phantom at a grey level for each value, without the name of the image."""
    rows = np.array([[[int(digit) for digit in row] for row in line.split()] for line in IMAGE.strip().splitlines()])
    array = np.ascontiguousarray(rows.transpose(2, 1, 0)).astype(np.int16)
    mask = np.ones(array.shape, dtype=bool)
    mask[tuple(np.transpose(OUTSIDE))] = False
    volume = Volume(array, Grid.from_spacing(array.shape, (2.0, 2.0, 2.0)), Modality.CT, Unit.HU)
    settings = RadiomicsSettings(
        bin_width=1, aggregation=aggregation, in_plane=in_plane, log_sigmas_mm=(), wavelet="none"
    )
    result = extract_features(volume, mask, settings)
    assert result.n_voxels == 74
    assert not result.not_computed
    return {name.removeprefix("original_"): value for name, value in result.values.items()}


def three_digits(value: float) -> float:
    return float(f"{value:.3g}")


def test_reference_values_that_are_written_here() -> None:
    ours = features()
    assert {name: three_digits(ours[name]) for name in KEPT} == KEPT


def test_where_definitions_differ_the_difference_is_known() -> None:
    ours = features()
    assert three_digits(ours["firstorder_Kurtosis"] - 3) == -0.355
    unbiased = np.sqrt(74 / 73)
    assert {name: three_digits(ours[f"shape_{name}"] * unbiased) for name in AXES} == AXES


CASES = [
    ("Morphology", VOLUME_FEATURES, "", "averaged", False),
    ("Statistics", STATISTICS, "", "averaged", False),
    ("Intensity histogram", HISTOGRAM, "", "averaged", False),
    ("Co-occurrence matrix (3D, averaged)", GLCM, "glcm_", "averaged", False),
    ("Co-occurrence matrix (3D, merged)", GLCM, "glcm_", "merged", False),
    ("Co-occurrence matrix (2.5D, direction-merged)", GLCM, "glcm_", "averaged", True),
    ("Co-occurrence matrix (2.5D, merged)", GLCM, "glcm_", "merged", True),
    ("Run length matrix (3D, averaged)", GLRLM, "glrlm_", "averaged", False),
    ("Run length matrix (3D, merged)", GLRLM, "glrlm_", "merged", False),
    ("Run length matrix (2.5D, direction-merged)", GLRLM, "glrlm_", "averaged", True),
    ("Run length matrix (2.5D, merged)", GLRLM, "glrlm_", "merged", True),
    ("Size zone matrix (3D)", GLSZM, "glszm_", "averaged", False),
    ("Size zone matrix (2.5D)", GLSZM, "glszm_", "averaged", True),
    ("Neighbouring grey level dependence matrix (3D)", GLDM, "gldm_", "averaged", False),
    ("Neighbouring grey level dependence matrix (2.5D)", GLDM, "gldm_", "averaged", True),
    ("Neighbourhood grey tone difference matrix (3D)", NGTDM, "ngtdm_", "averaged", False),
    ("Neighbourhood grey tone difference matrix (2.5D)", NGTDM, "ngtdm_", "averaged", True),
]


@pytest.mark.skipif(not TABLE.is_file(), reason=f"no reference table of IBSI at {TABLE}")
@pytest.mark.parametrize(("family", "names", "kind", "aggregation", "in_plane"), CASES, ids=[c[0] for c in CASES])
def test_the_whole_reference_table(
    family: str, names: dict[str, str], kind: str, aggregation: Aggregation, in_plane: bool
) -> None:
    ours, reference = features(aggregation, in_plane=in_plane), reference_table()
    wrong = {}
    for name, theirs in names.items():
        expected, got = reference[family, theirs], ours[kind + name]
        if three_digits(got) != expected:
            wrong[name] = (got, expected)
    assert not wrong


@cache
def reference_table() -> dict[tuple[str, str], float]:
    """Value on which most groups agreed, by family and name, from the sheet on the digital phantom."""
    return {(row["A"], row["B"]): three_digits(float(row["D"])) for row in sheet_rows() if row.get("C") != "n"}


def sheet_rows() -> Iterator[dict[str, str]]:
    """Cells of the first sheet by column."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(TABLE) as archive:
        strings = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
        texts = ["".join(part.text or "" for part in item.iter(f"{space}t")) for item in strings]
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    for row in sheet.iter(f"{space}row"):
        cells = {}
        for cell in row:
            value = cell.find(f"{space}v")
            column = re.match("[A-Z]+", cell.get("r") or "")
            if value is not None and value.text is not None and column:
                cells[column[0]] = texts[int(value.text)] if cell.get("t") == "s" else value.text
        if "D" in cells:
            yield cells
