"""Voxel metrics: counts by hand, the quartet of empties, labels by name, pooled and mean figures, ITK."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.segmentation import (
    METRIC_UNITS,
    CaseVoxels,
    LabelVoxels,
    case_mean_measures,
    pooled_measures,
    score_voxels,
)
from osteomet.evaluation.voxels import label_voxels, voxel_pair
from osteomet.io.case_images import LesionMap
from osteomet.io.dataset import CaseFacts, LesionNote

GRID = Grid.from_spacing((4, 5, 5), (1, 2, 5))
SITK: Any = sitk
NAMES = {"lytic": 1, "sclerotic": 2}


def lesion_map(array: NDArray[Any], names: dict[str, int] = NAMES, grid: Grid = GRID) -> LesionMap:
    return LesionMap(LabelMap(array.astype(np.uint8), grid, names), tuple(names))


def compare(reference: LesionMap, prediction: LesionMap | None) -> tuple[LabelVoxels, ...]:
    pair = voxel_pair(reference.map, prediction.map if prediction else None)
    return score_voxels(pair, label_voxels(pair, reference, prediction), tolerance_mm=2)


def masks(n_reference: int, n_prediction: int, n_common: int) -> tuple[LesionMap, LesionMap]:
    """Maps of one label with so many voxels, so many of them common, in file order."""
    reference, prediction = np.zeros(100), np.zeros(100)
    reference[:n_reference] = 1
    prediction[n_reference - n_common : n_reference - n_common + n_prediction] = 1
    names = {"metastasis": 1}
    a, b = (lesion_map(m.reshape(4, 5, 5), names) for m in (reference, prediction))
    return a, b


def record(n_reference: int, n_prediction: int, n_common: int) -> LabelVoxels:
    return compare(*masks(n_reference, n_prediction, n_common))[0]


def test_counts_and_metrics_by_hand() -> None:
    """Of 100 voxels of 10 mm³ the reference has 10, the prediction 8, both 6."""
    voxels = record(10, 8, 6)
    assert (voxels.tp, voxels.fp, voxels.fn, voxels.tn) == (6, 2, 4, 88)
    assert voxels.dice == 12 / 18
    assert voxels.iou == 6 / 12
    assert voxels.accuracy == 94 / 100
    assert voxels.recall == 6 / 10
    assert voxels.precision == 6 / 8
    assert voxels.volumetric_similarity == 1 - 2 / 18
    assert (voxels.reference_ml, voxels.prediction_ml) == pytest.approx((0.1, 0.08))
    assert voxels.reason("dice") == ""


QUARTET = {
    "both empty": (0, 0, 0, (None, None, 1.0, None, None, None, None, None, None, None)),
    "prediction empty": (4, 0, 0, (0.0, 0.0, 0.96, 0.0, None, 0.0, None, None, None, 0.0)),
    "reference empty": (0, 4, 0, (0.0, 0.0, 0.96, None, 0.0, 0.0, None, None, None, 0.0)),
    "perfect": (4, 4, 4, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
}


@pytest.mark.parametrize(("n", "m", "common", "expected"), QUARTET.values(), ids=list(QUARTET))
def test_the_quartet(n: int, m: int, common: int, expected: tuple[float | None, ...]) -> None:
    voxels = record(n, m, common)
    assert tuple(voxels.value(metric) for metric in METRIC_UNITS) == expected


def test_why_a_metric_is_undefined() -> None:
    assert record(0, 0, 0).reason("dice") == "reference and prediction empty"
    assert record(3, 0, 0).reason("hd95_mm") == "prediction empty"
    assert record(0, 3, 0).reason("recall") == "reference empty"


def test_a_missing_prediction_is_an_empty_one() -> None:
    reference, empty = masks(4, 0, 0)
    assert compare(reference, None) == compare(reference, empty)


def test_labels_are_compared_by_name() -> None:
    """The prediction numbers its labels the other way round and has the first axis last in memory."""
    reference, prediction = np.zeros(GRID.shape), np.zeros(GRID.shape)
    reference[0], reference[1] = 1, 2
    prediction[0, :3], prediction[0, 3:], prediction[1] = 20, 10, 10
    other = lesion_map(np.asfortranarray(prediction), {"sclerotic": 10, "lytic": 20})
    whole, lytic, sclerotic = compare(lesion_map(reference), other)
    assert [r.label for r in (whole, lytic, sclerotic)] == [None, "lytic", "sclerotic"]
    assert (whole.tp, whole.fp, whole.fn) == (50, 0, 0)
    assert (lytic.tp, lytic.fp, lytic.fn, lytic.tn) == (15, 0, 10, 75)
    assert (sclerotic.tp, sclerotic.fp, sclerotic.fn, sclerotic.tn) == (25, 10, 0, 65)
    assert whole.surface.hausdorff_mm == 0
    assert lytic.surface.hausdorff_mm == 4


def test_memory_order_plays_no_part() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 3, GRID.shape) for _ in range(2))
    expected = compare(lesion_map(first), lesion_map(second))
    for a, b in ((np.asfortranarray, np.ascontiguousarray), (np.asfortranarray, np.asfortranarray)):
        for got, want in zip(compare(lesion_map(a(first)), lesion_map(b(second))), expected, strict=True):
            assert [got.value(m) for m in METRIC_UNITS] == pytest.approx([want.value(m) for m in METRIC_UNITS])


def test_lesions_of_unknown_type_are_compared_as_lesions_only() -> None:
    reference, instances = np.zeros(GRID.shape), np.zeros(GRID.shape)
    reference[0], instances[0] = 2, 7
    untyped = LesionMap(LabelMap(instances.astype(np.uint8), GRID, {"lesion_7": 7}), (), is_instances=True)
    assert [r.label for r in compare(lesion_map(reference), untyped)] == [None]
    typed = LesionMap(untyped.map, (), is_instances=True, notes=(LesionNote(7, type="sclerotic"),))
    assert [(r.label, r.dice) for r in compare(lesion_map(reference), typed)] == [
        (None, 1),
        ("lytic", None),
        ("sclerotic", 1),
    ]


def case(name: str, patient: str, voxels: LabelVoxels) -> CaseVoxels:
    return CaseVoxels(CaseFacts(name, patient, {}), (voxels,), predicted=True)


def test_pooled_and_mean_figures_by_hand() -> None:
    """Two cases of one patient, one of another, one without anything: pooled over voxels, mean over defined cases."""
    cases = [
        case("a", "p", record(10, 8, 6)),
        case("b", "p", record(4, 0, 0)),
        case("c", "q", record(5, 5, 5)),
        case("d", "r", record(0, 0, 0)),
    ]
    pooled = pooled_measures(cases)
    assert pooled.values() == {
        "dice": 22 / 32,
        "iou": 11 / 21,
        "accuracy": 390 / 400,
        "recall": 11 / 19,
        "precision": 11 / 13,
    }
    assert (pooled.numerators[3], pooled.denominators[3]) == (11, 19)
    assert pooled.statistic.n_patients == 3
    mean = case_mean_measures(cases)
    assert mean.values()["dice"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert mean.values()["precision"] == pytest.approx((6 / 8 + 1) / 2)
    assert dict(zip(mean.names, mean.denominators, strict=True))["precision"] == 2
    assert mean.numerators[0] is None
    assert case_mean_measures(cases, "lytic").values()["dice"] is None
    # Patient p drawn alone: a Dice of 2/3 and one of 0.
    assert mean.statistic.evaluate(np.array([[3.0, 0, 0]]))[0, 0] == pytest.approx(1 / 3)


def test_overlap_against_itk() -> None:
    rng = np.random.default_rng(2)
    first, second = (rng.random(GRID.shape) < 0.4 for _ in range(2))
    itk = SITK.LabelOverlapMeasuresImageFilter()
    itk.Execute(*(SITK.GetImageFromArray(m.astype(np.uint8)) for m in (first, second)))
    voxels = compare(lesion_map(first, {"x": 1}), lesion_map(second, {"x": 1}))[1]
    assert voxels.dice == pytest.approx(itk.GetDiceCoefficient(1), abs=1e-9)
    assert voxels.iou == pytest.approx(itk.GetJaccardCoefficient(1), abs=1e-9)
    assert voxels.volumetric_similarity == pytest.approx(1 - abs(itk.GetVolumeSimilarity(1)) / 2, abs=1e-9)
