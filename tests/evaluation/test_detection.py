"""Figures of detection: by hand, the published fractions, against panoptica and picai_eval."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.cases import CaseSettings, evaluate_case
from osteomet.evaluation.detection import (
    VOLUME_BINS,
    by_label,
    by_site,
    by_volume,
    detection_measures,
    false_positive_causes,
    froc_marks,
    overlap_measures,
    ppv_by_label,
    sensitivity_by,
)
from osteomet.evaluation.instances import Instance, InstancePair
from osteomet.evaluation.matching import CaseDetections, MatchingRule, PredictedLesion, ReferenceLesion, match_case
from osteomet.evaluation.measures import Measures, join_measures
from osteomet.evaluation.surface import SurfaceScores
from osteomet.io.case_images import CaseImages, LesionMap
from osteomet.io.dataset import CaseFacts
from osteomet.io.formats import read_instances, read_labels
from osteomet.stats.froc import froc_curve
from osteomet.stats.intervals import proportion_interval

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "instance_pairs"


def reference(id_: int, hits: tuple[int, ...], *, volume_ml: float = 1, label: str | None = None) -> ReferenceLesion:
    return ReferenceLesion(Instance(id_, label, 100, volume_ml, (0, 0, 0)), hits, None)


def prediction(
    id_: int, hits: tuple[int, ...], *, confidence: float | None = None, label: str | None = None, cause: str = ""
) -> PredictedLesion:
    instance = Instance(id_, label, 100, 1.0, (0, 0, 0), cause=cause or None, confidence=confidence)
    return PredictedLesion(instance, hits)


def outcome(
    references: Sequence[ReferenceLesion] = (),
    predictions: Sequence[PredictedLesion] = (),
    *,
    patient: str = "p",
    panoptic_iou: tuple[float, ...] = (),
) -> CaseDetections:
    facts = CaseFacts("case", patient, {})
    sides = tuple(references), tuple(predictions)
    return CaseDetections(facts, *sides, 0, 0, 0, 0, 0, panoptic_iou, predicted=True, score=None)


def counted(n_found: int, n_missed: int, n_true: int, n_false: int, patient: str = "p") -> CaseDetections:
    """Case with so many lesions and predictions, the first n_true predictions on the first lesion."""
    references = [reference(n, (1,) if n <= n_found else ()) for n in range(1, n_found + n_missed + 1)]
    predictions = [prediction(n, (1,) if n <= n_true else ()) for n in range(1, n_true + n_false + 1)]
    return outcome(references, predictions, patient=patient)


def fractions(measures: Measures) -> dict[str, tuple[float | None, float | None]]:
    return dict(zip(measures.names, zip(measures.numerators, measures.denominators, strict=True), strict=True))


def test_figures_by_hand() -> None:
    """Two patients; four of six lesions found, a split makes five predictions true; two are false."""
    cases = [counted(3, 1, 4, 0, "p"), counted(1, 1, 1, 1, "q"), counted(0, 0, 0, 1, "q")]
    cases[0] = outcome(cases[0].references, cases[0].predictions, patient="p", panoptic_iou=(0.75, 0.6))
    measures = detection_measures(cases, beta=2)
    sensitivity, ppv = 4 / 6, 5 / 7
    assert measures.values() == pytest.approx(
        {
            "sensitivity": sensitivity,
            "ppv": ppv,
            "f1": 2 * sensitivity * ppv / (sensitivity + ppv),
            "f_beta": 5 * sensitivity * ppv / (sensitivity + 4 * ppv),
            "fp_per_case": 2 / 3,
            "pq": 1.35 / (2 + 4 / 2 + 5 / 2),
            "sq": 0.675,
            "rq": 2 / 6.5,
        }
    )
    assert fractions(measures)["sensitivity"] == (4, 6)
    assert fractions(measures)["ppv"] == (5, 7)
    assert fractions(measures)["fp_per_case"] == (2, 3)
    drawn_twice = measures.statistic.evaluate(np.array([[0.0, 2.0]]))[0]
    assert drawn_twice[:2] == pytest.approx([1 / 2, 1 / 3])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (counted(0, 0, 0, 0), (None, None, None, None, 0, None, None, None)),
        (counted(0, 3, 0, 0), (0, None, 0, 0, 0, 0, None, 0)),
        (counted(0, 0, 0, 3), (None, 0, 0, 0, 3, 0, None, 0)),
        (outcome([reference(1, (1,))], [prediction(1, (1,))], panoptic_iou=(1.0,)), (1, 1, 1, 1, 0, 1, 1, 1)),
    ],
    ids=["both empty", "prediction empty", "reference empty", "perfect"],
)
def test_the_quartet(case: CaseDetections, expected: tuple[float | None, ...]) -> None:
    assert tuple(detection_measures([case]).values().values()) == expected


def test_published_fractions() -> None:
    """150 of 175 in Kim et al. 2024; 81 of 89 with a precision of 84.4 % and an F1 of 87.6 % in Liu et al. 2021."""
    assert detection_measures([counted(150, 25, 150, 39)]).values()["sensitivity"] == pytest.approx(0.857, abs=5e-4)
    values = detection_measures([counted(81, 8, 81, 15)]).values()
    assert values["sensitivity"] == pytest.approx(0.910, abs=5e-4)
    assert values["ppv"] == pytest.approx(0.844, abs=5e-4)
    assert values["f1"] == pytest.approx(0.876, abs=5e-4)


def test_sensitivity_by_volume_with_fractions() -> None:
    """A volume on a limit belongs to the bin below, also when float32 spacing put it a little above."""
    volumes = {0.1: True, 0.5: False, 0.5 * (1 + 1e-7): True, 0.6: True, 2.0: True, 2.1: False}
    lesions = [reference(n, (1,) if hit else (), volume_ml=v) for n, (v, hit) in enumerate(volumes.items(), start=1)]
    measures = sensitivity_by([outcome(lesions)], by_volume, order=[name for name, _, _ in VOLUME_BINS])
    assert fractions(measures) == {
        "le_0_5_ml": (2, 3),
        "gt_0_5_le_1_ml": (1, 1),
        "gt_1_le_2_ml": (1, 1),
        "gt_2_ml": (0, 1),
    }
    empty = sensitivity_by([outcome()], by_volume, order=["le_0_5_ml"])
    assert empty.values() == {"le_0_5_ml": None}


def test_sensitivity_by_label_and_site() -> None:
    first = [reference(1, (1,), label="lytic"), reference(2, (), label="sclerotic")]
    cases = [outcome(first), outcome([reference(1, (1,), label="lytic")], patient="q")]
    assert fractions(sensitivity_by(cases, by_label)) == {"lytic": (2, 2), "sclerotic": (0, 1)}
    assert fractions(sensitivity_by(cases, by_site)) == {"unknown": (2, 3)}
    assert sensitivity_by(cases, by_label).statistic.n_patients == 2


def test_ppv_by_label() -> None:
    predictions = [prediction(1, (1,), label="lytic"), prediction(2, (), label="lytic"), prediction(3, (1,))]
    assert fractions(ppv_by_label([outcome((), predictions)])) == {"lytic": (1, 2), "unknown": (1, 1)}


def test_overlap_of_found_lesions() -> None:
    """Two found lesions, one of them by its box alone, and a missed one that still shares voxels."""
    best = InstancePair(1, 1, 50, 0.5, 2 / 3, 0.5, False, SurfaceScores(4.0, 3.0, 1.0, 0.75))
    instance = Instance(1, None, 100, 1.0, (0, 0, 0))
    lesions = [ReferenceLesion(instance, (1,), best), reference(2, (1,)), ReferenceLesion(instance, (), best)]
    measures = overlap_measures([outcome(lesions)])
    assert measures.values() == pytest.approx(
        {"dice": 2 / 3, "iou": 0.5, "hausdorff_mm": 4, "hd95_mm": 3, "assd_mm": 1, "nsd": 0.75}
    )
    assert measures.denominators[0] == 1
    assert overlap_measures([outcome()]).values()["dice"] is None


def test_marks_of_splits_merges_and_false_positives() -> None:
    cases = [
        outcome(
            [reference(3, (1, 2)), reference(7, (2,)), reference(9, ())],
            [prediction(1, (3,), confidence=0.9), prediction(2, (3, 7), confidence=0.4)],
            patient="q",
        ),
        outcome([], [prediction(1, (), confidence=0.6)], patient="p"),
    ]
    marks = froc_marks(cases)
    assert list(zip(marks.case.tolist(), marks.lesion.tolist(), marks.confidence.tolist(), strict=True)) == [
        (0, 0, 0.9),
        (0, 0, 0.4),
        (0, 1, 0.4),
        (1, -1, 0.6),
    ]
    assert marks.n_lesions.tolist() == [3, 0]
    assert marks.patient.tolist() == [1, 0]
    curve = froc_curve(marks)
    assert curve.sensitivity.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3])
    assert curve.fp_per_case.tolist() == [0, 0, 0.5, 0.5]


def test_marks_need_confidences() -> None:
    with pytest.raises(DatasetError, match="case “case”: predicted lesion 4 has no confidence"):
        froc_marks([outcome([], [prediction(4, ())])])


def test_causes_of_false_positives() -> None:
    predictions = [
        prediction(1, (1,), cause="vessel"),
        prediction(2, (), cause="vessel"),
        prediction(3, (), cause="disc"),
        prediction(4, (), cause="disc"),
        prediction(5, ()),
        prediction(6, ()),
        prediction(7, ()),
    ]
    table = false_positive_causes([outcome((), predictions)])
    assert list(table.items()) == [("disc", 2), ("vessel", 1), ("not reviewed", 3)]


def test_estimates_have_intervals_and_fractions() -> None:
    """The bootstrap over patients of one lesion each is that of a proportion: close to the exact interval."""
    cases = [counted(int(n < 15), int(n >= 15), 0, 0, f"p{n}") for n in range(20)]
    estimate = detection_measures(cases).estimates(rng=np.random.default_rng(1), n_draws=2000)["sensitivity"]
    exact = proportion_interval(15, 20)
    assert (estimate.value, estimate.numerator, estimate.denominator) == (0.75, 15, 20)
    assert estimate.low == pytest.approx(exact.low, abs=0.08)
    assert estimate.high == pytest.approx(exact.high, abs=0.08)


def test_measures_are_joined_by_name() -> None:
    cases = [counted(1, 1, 1, 0)]
    parts = [detection_measures(cases).renamed(lambda name: f"detection.{name}"), sensitivity_by(cases, by_label)]
    joined = join_measures(parts)
    assert joined.names[0] == "detection.sensitivity"
    assert joined.values()["unknown"] == 0.5
    with pytest.raises(InputError, match="a figure stands twice; got sensitivity"):
        join_measures([detection_measures(cases), detection_measures(cases)])
    with pytest.raises(InputError, match="there is no case to evaluate"):
        detection_measures([])


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["matched_instance", "unmatched_instance", "semantic"])
def test_against_panoptica(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pytest.importorskip("panoptica", reason="panoptica is not installed")
    if not DATA.is_dir():
        pytest.skip(f"no instance pairs at {DATA}")
    is_instances = kind != "semantic"
    read = read_instances if is_instances else read_labels
    maps = [read(DATA / kind / f"{side}.nii.gz") for side in ("ref", "pred")]
    first, second = (LesionMap(m, () if is_instances else tuple(m.labels), is_instances=is_instances) for m in maps)
    images = CaseImages(CaseFacts("case", "patient", {}), first, second)
    found = evaluate_case(images, CaseSettings(by_label=not is_instances)).instances
    for label in [None] if is_instances else list(maps[0].present()):
        case = match_case(found.of_label(label) if label else found, MatchingRule("iou", 0.5, "hungarian"))
        arrays = [m.mask(label).astype(np.uint8) if label else np.asarray(m.array) for m in maps]
        evaluator = oracle.Panoptica_Evaluator(
            expected_input=oracle.InputType.UNMATCHED_INSTANCE if is_instances else oracle.InputType.SEMANTIC,
            instance_approximator=oracle.ConnectedComponentsInstanceApproximator(cca_backend=oracle.CCABackend.cc3d),
            instance_matcher=oracle.NaiveThresholdMatching(matching_threshold=0.5),
            instance_metrics=[oracle.Metric.DSC, oracle.Metric.IOU],
            global_metrics=[],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (result,) = evaluator.evaluate(arrays[1], arrays[0], verbose=False).values()
        values = detection_measures([case]).values()
        assert (len(case.references), len(case.predictions)) == (result.tp + result.fn, result.tp + result.fp)
        assert len(case.panoptic_iou) == result.tp
        for name in ("pq", "sq", "rq"):
            assert (values[name] or 0) == pytest.approx(getattr(result, name), abs=1e-6)
        dice = [x.best.dice for x in case.references if x.found and x.best]
        assert np.mean(dice or [0]) == pytest.approx(result.sq_dsc, abs=1e-6)


@pytest.mark.oracle
def test_operating_points_against_picai_eval() -> None:
    """Random cases of small cubes; candidates that are split or false included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pytest.importorskip("picai_eval.eval", reason="picai_eval is not installed")
    rng = np.random.default_rng(6)
    grid = Grid.from_spacing((24, 24, 24), (1, 1, 1))
    outcomes, detections, truths = [], [], []
    for n in range(6):
        truth, detection = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.float32)
        for corner in np.argwhere(rng.random((4, 4, 4)) < 0.1) * 6:
            i, j, k = corner
            truth[i : i + 4, j : j + 4, k : k + 4] = rng.random() < 0.6
            i, j, k = corner + rng.integers(0, 3, 3)
            detection[i : i + 3, j : j + 3, k : k + 3] = rng.integers(1, 9) / 10
        mark = (detection > 0).astype(np.uint8)
        names = {"lesion": 1}
        first, second = (LesionMap(LabelMap(m, grid, names), tuple(names)) for m in (truth, mark))
        probability = Volume(detection, grid, Modality.MR, Unit.ARBITRARY)
        images = CaseImages(CaseFacts(str(n), str(n), {}), first, second, probability)
        found = evaluate_case(images, CaseSettings()).instances
        outcomes.append(match_case(found, MatchingRule("iou", 0.1, "hungarian")))
        detections.append(detection)
        truths.append(truth.astype(np.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = oracle.evaluate(
            detections,
            truths,
            min_overlap=0.1,
            allow_unmatched_candidates_with_minimal_overlap=False,
            num_parallel_calls=1,
        )
    curve = froc_curve(froc_marks(outcomes))
    ours = zip(curve.threshold.tolist(), curve.sensitivity, curve.fp_per_case, strict=True)
    points = {round(threshold, 6): (sensitivity, rate) for threshold, sensitivity, rate in ours}
    # picai_eval replaces the operating point of its lowest threshold by one at infinity.
    n_points = len(result.lesion_TPR) - 1
    assert n_points >= 5
    for n in range(n_points):
        expected = (result.lesion_TPR[n], result.lesion_FPR[n])
        assert points[round(float(result.thresholds[n]), 6)] == pytest.approx(expected, abs=1e-6)
