"""Grey levels and texture of regions small enough to count by hand."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.radiomics.co_occurrence import co_occurrence_features
from osteomet.radiomics.correlation import largest_eigenvalue
from osteomet.radiomics.first_order import first_order_features
from osteomet.radiomics.neighbourhood import neighbourhood_features
from osteomet.radiomics.region import LevelRegion, directions, find_levels, lay_out
from osteomet.radiomics.runs_and_zones import run_features, zone_features
from osteomet.radiomics.settings import RadiomicsSettings

ALL = directions((1,), in_plane=False)
ALONG_I = np.array([[1, 0, 0]])


def line(*levels: int) -> LevelRegion:
    """A row of voxels along the first axis; 0 is outside."""
    return block([[[level]] for level in levels])


def block(levels: list[list[list[int]]]) -> LevelRegion:
    array = np.array(levels, dtype=np.int32)
    return lay_out(array > 0, array[array > 0], margin=1)


def test_levels_of_a_width_begin_at_its_multiples() -> None:
    # The example of the documentation of PyRadiomics: 54 … 166 in steps of 25 lie in 50–75, 75–100 … 150–175.
    values = np.array([54.0, 74.9, 75.0, 166.0])
    assert find_levels(values, RadiomicsSettings(bin_width=25)).tolist() == [1, 1, 2, 5]
    assert find_levels(values - 100, RadiomicsSettings(bin_width=25)).tolist() == [1, 1, 2, 5]


def test_levels_of_a_count_divide_the_range() -> None:
    values = np.array([10.0, 12.4, 12.5, 20.0])
    assert find_levels(values, RadiomicsSettings(bin_count=4)).tolist() == [1, 1, 2, 4]
    assert find_levels(np.full(3, 7.0), RadiomicsSettings(bin_count=4)).tolist() == [1, 1, 1]


def test_too_many_levels_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"bin_width gives too many grey levels.*values from 0 to 2e\+06"):
        find_levels(np.array([0.0, 2e6]), RadiomicsSettings(bin_width=1))


def test_directions_are_one_of_each_pair() -> None:
    steps = {tuple(int(s) for s in step) for step in directions((1,), in_plane=False)}
    assert len(steps) == 13
    assert steps.isdisjoint({tuple(-s for s in step) for step in steps})
    assert {tuple(int(s) for s in step) for step in directions((1,), in_plane=True)} == {
        (0, 1, 0),
        (1, -1, 0),
        (1, 0, 0),
        (1, 1, 0),
    }
    assert np.abs(directions((2,), in_plane=False)).max(axis=1).tolist() == [2] * 49


def test_first_order_of_four_values() -> None:
    features = first_order_features(np.array([1.0, 2.0, 3.0, 6.0]), np.array([1, 1, 1, 2], dtype=np.int32), 0.5)
    # Deviations from the mean 3 are −2, −1, 0, 3: squares 14, cubes 18, fourth powers 98.
    assert features["Variance"] == 3.5
    assert features["Skewness"] == pytest.approx(4.5 / 3.5**1.5)
    assert features["Kurtosis"] == pytest.approx(24.5 / 3.5**2)
    assert features["MeanAbsoluteDeviation"] == 1.5
    assert (features["Median"], features["10Percentile"], features["InterquartileRange"]) == (2.5, 1.3, 2.0)
    assert features["RobustMeanAbsoluteDeviation"] == 0.5  # 2 and 3 lie between the percentiles 1.3 and 5.1
    assert (features["Energy"], features["TotalEnergy"], features["RootMeanSquared"]) == (50, 25, 12.5**0.5)
    assert features["Uniformity"] == 0.625
    assert features["Entropy"] == pytest.approx(-0.75 * np.log2(0.75) + 0.5)


def test_co_occurrence_of_a_row() -> None:
    # Pairs of 1 1 2: one 1–1 and one 1–2; both ways P = [[2, 1], [1, 0]] / 4.
    features = co_occurrence_features(line(1, 1, 2), ALONG_I, "averaged")
    assert features["MaximumProbability"] == 0.5
    assert features["JointAverage"] == 1.25
    assert features["SumAverage"] == 2.5
    assert features["Autocorrelation"] == 1.5
    assert features["JointEnergy"] == 0.375
    assert features["JointEntropy"] == 1.5
    assert features["SumSquares"] == 0.1875
    assert features["Contrast"] == features["DifferenceAverage"] == features["InverseVariance"] == 0.5
    assert features["DifferenceVariance"] == 0.25
    assert features["DifferenceEntropy"] == features["SumEntropy"] == 1
    assert features["Id"] == features["Idm"] == 0.75
    assert (features["Idn"], features["Idmn"]) == pytest.approx((0.5 + 0.5 / 1.5, 0.5 + 0.5 / 1.25))
    # The covariance is 1.5 − 1.25², and with two levels the maximal correlation is the size of the correlation.
    assert features["Correlation"] == pytest.approx(-1 / 3)
    assert features["MCC"] == pytest.approx(1 / 3)
    # Of the sum, 2 and 3 stand half of the time each.
    assert (features["ClusterTendency"], features["ClusterShade"], features["ClusterProminence"]) == (0.25, 0, 0.0625)
    alone = -0.75 * np.log2(0.75) + 0.5
    assert features["Imc1"] == pytest.approx((1.5 - 2 * alone) / alone)
    assert features["Imc2"] == pytest.approx(np.sqrt(1 - np.exp(-2 * (2 * alone - 1.5))))


def test_average_and_merged_matrix_differ() -> None:
    region = block([[[1], [1]], [[2], [1]]])
    steps = np.array([[1, 0, 0], [0, 1, 0]])
    # Along i: 1–2 and 1–1; along j: 1–1 and 2–1.
    assert co_occurrence_features(region, steps, "averaged")["Contrast"] == 0.5
    uneven = block([[[1], [1]], [[2], [0]]])
    assert co_occurrence_features(uneven, steps, "averaged")["Contrast"] == 0.5  # 1 along i, 0 along j
    assert co_occurrence_features(uneven, steps, "merged")["JointEntropy"] == pytest.approx(1.5)
    assert co_occurrence_features(uneven, steps, "averaged")["JointEntropy"] == 0.5


def test_a_direction_without_neighbours_is_left_out() -> None:
    row = line(1, 2, 3)
    assert co_occurrence_features(row, ALL, "averaged") == co_occurrence_features(row, ALONG_I, "averaged")


def test_maximal_correlation_of_many_levels_is_that_of_all_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 30, (90, 90)) * (rng.random((90, 90)) < 0.2) + np.diag(rng.integers(1, 200, 90))
    p = (counts + counts.T) / (2 * counts.sum())
    marginal = p.sum(axis=0)
    first = np.concatenate([[0], np.cumsum((p > 0).sum(axis=1))])
    rows, columns = np.nonzero(p)
    got = largest_eigenvalue(first, columns, p[rows, columns], marginal)
    eigenvalues = np.abs(np.linalg.eigvals(p / marginal[:, None]))
    assert got == pytest.approx(np.sort(eigenvalues)[-2], rel=1e-9)


def test_runs_of_a_row() -> None:
    # 1 1 1 2 has the runs 1×3 and 2×1.
    features = run_features(line(1, 1, 1, 2), ALL, "averaged")
    assert features["ShortRunEmphasis"] == pytest.approx((1 / 9 + 1) / 2)
    assert features["LongRunEmphasis"] == 5
    assert features["GrayLevelNonUniformity"] == features["RunLengthNonUniformity"] == 1
    assert features["GrayLevelNonUniformityNormalized"] == features["RunLengthNonUniformityNormalized"] == 0.5
    assert features["RunPercentage"] == 0.5
    assert (features["GrayLevelVariance"], features["RunVariance"], features["RunEntropy"]) == (0.25, 1, 1)
    assert (features["LowGrayLevelRunEmphasis"], features["HighGrayLevelRunEmphasis"]) == (0.625, 2.5)
    assert features["ShortRunLowGrayLevelEmphasis"] == pytest.approx((1 / 9 + 1 / 4) / 2)
    assert features["ShortRunHighGrayLevelEmphasis"] == pytest.approx((1 / 9 + 4) / 2)
    assert features["LongRunLowGrayLevelEmphasis"] == pytest.approx((9 + 1 / 4) / 2)
    assert features["LongRunHighGrayLevelEmphasis"] == pytest.approx((9 + 4) / 2)


def test_a_gap_ends_a_run_and_yet_makes_a_line() -> None:
    assert run_features(line(1, 0, 1), ALL, "averaged")["LongRunEmphasis"] == 1
    assert np.isnan(run_features(line(1), ALL, "averaged")["LongRunEmphasis"])


def test_runs_of_all_directions_together() -> None:
    region = block([[[1], [0]], [[1], [0]]])
    steps = np.array([[1, 0, 0], [1, 1, 0]])
    assert run_features(region, steps, "merged")["RunPercentage"] == 0.5  # the diagonal holds no two voxels
    region = block([[[1], [2]], [[1], [1]]])
    merged = run_features(region, steps, "merged")
    # Along i: 1×2, 2×1, 1×1; along the diagonal: 1×2, 2×1, 1×1.
    assert merged["RunPercentage"] == 6 / 8
    assert merged["GrayLevelNonUniformity"] == pytest.approx((16 + 4) / 6)


def test_zones_touch_by_corners() -> None:
    region = block([[[1, 2], [2, 2]], [[2, 2], [2, 1]]])
    features = zone_features(region, ALL)
    # Both ones touch by a corner: two zones, of 2 and of 6 voxels.
    assert features["ZonePercentage"] == 0.25
    assert features["LargeAreaEmphasis"] == (4 + 36) / 2
    assert features["SmallAreaHighGrayLevelEmphasis"] == pytest.approx((1 / 4 + 4 / 36) / 2)
    assert features["ZoneVariance"] == 4
    # Within slices nothing touches but by the edges of their squares: in each slice one 1 alone, and three 2.
    in_plane = zone_features(region, directions((1,), in_plane=True))
    assert in_plane["ZonePercentage"] == 0.5
    assert in_plane["LargeAreaEmphasis"] == (1 + 1 + 9 + 9) / 4


def test_dependence_of_a_row() -> None:
    dependence, _ = neighbourhood_features(line(1, 1, 2), ALL)
    # Each voxel with itself: 2, 2 and 1 voxels alike.
    assert dependence["SmallDependenceEmphasis"] == pytest.approx((1 / 4 + 1 / 4 + 1) / 3)
    assert dependence["LargeDependenceEmphasis"] == pytest.approx((4 + 4 + 1) / 3)
    assert dependence["DependenceNonUniformity"] == pytest.approx((4 + 1) / 3)
    assert dependence["GrayLevelNonUniformity"] == pytest.approx((4 + 1) / 3)
    assert dependence["LargeDependenceHighGrayLevelEmphasis"] == pytest.approx((4 + 4 + 4) / 3)
    assert dependence["DependenceVariance"] == pytest.approx(2 / 9)
    assert len(dependence) == 14


def test_tone_differences_of_a_row() -> None:
    # 1 1 2: neighbours' means are 1, 1.5 and 1, so s(1) = 0.5, s(2) = 1; p = 2/3 and 1/3.
    _, tone = neighbourhood_features(line(1, 1, 2), ALL)
    assert tone["Coarseness"] == pytest.approx(1.5)
    assert tone["Contrast"] == pytest.approx(2 * (2 / 9) / 2 * 1.5 / 3)
    assert np.isnan(tone["Busyness"])  # |1 · 2/3 − 2 · 1/3| is 0
    assert tone["Complexity"] == pytest.approx(2 * (2 / 3 * 0.5 + 1 / 3 * 1) / 3)
    assert tone["Strength"] == pytest.approx(2 / 1.5)


def test_one_level_has_no_ratios() -> None:
    region = block([[[3, 3], [3, 3]]])
    matrix = co_occurrence_features(region, ALL, "averaged")
    assert {name for name, value in matrix.items() if np.isnan(value)} == {"Correlation", "Imc1", "MCC"}
    assert (matrix["JointEntropy"], matrix["Contrast"], matrix["Imc2"], matrix["JointEnergy"]) == (0, 0, 0, 1)
    _, tone = neighbourhood_features(region, ALL)
    assert tone["Complexity"] == 0
    assert all(np.isnan(tone[name]) for name in ("Coarseness", "Contrast", "Busyness", "Strength"))
