"""Two sets of predictions on the same patients, counted by hand."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.evaluation.cases import CaseRecord, EvaluatedCases
from osteomet.evaluation.comparisons import (
    PairedTest,
    compare_models,
    compare_sequences,
    comparison_table,
    group_table,
    p_metrics,
)
from osteomet.evaluation.instances import CaseInstances, Instance, InstancePair
from osteomet.evaluation.metrics import LesionEvaluation, Resampling, evaluate_lesions
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.segmentation import CaseVoxels, LabelVoxels
from osteomet.evaluation.surface import SurfaceScores
from osteomet.io.dataset import CaseFacts
from osteomet.stats.hypothesis import holm, mcnemar, paired_t, wilcoxon_signed_rank

FEW = Resampling(n_draws=300)


def record(case: str, patient: str, tp: int, *, found: bool, **columns: str) -> CaseRecord:
    """A case with one lesion of 10 voxels of 1 ml, ``tp`` of them in a prediction of 10."""
    facts = CaseFacts(case, patient, columns)
    surface = SurfaceScores(1.0, 1.0, 1.0, 0.5)
    voxels = LabelVoxels(None, tp, 10 - tp, 10 - tp, 80, 1.0, surface)
    lesion = Instance(1, "lesion", 10, 10.0, (0.0, 0.0, 0.0))
    pairs = (InstancePair(1, 1, tp, tp / (20 - tp), tp / 10, 0.5, True, surface),) if found else ()
    predictions = (lesion,) if found else ()
    instances = CaseInstances(facts, (lesion,), predictions, pairs, False, True, None)
    return CaseRecord(CaseVoxels(facts, (voxels,), True), instances)


def evaluation(*records: CaseRecord) -> LesionEvaluation:
    return evaluate_lesions(EvaluatedCases(records, (), ()), PROTOCOLS["default"], FEW)


def of(tests: tuple[PairedTest, ...], figure: str, name: str) -> PairedTest:
    (found,) = [test for test in tests if (test.figure, test.test.name) == (figure, name)]
    return found


FIRST = [record(f"c{n}", f"P{n}", tp, found=n > 1) for n, tp in enumerate((2, 4, 6, 8))]
SECOND = [record(f"c{n}", f"P{n}", tp, found=True) for n, tp in enumerate((5, 6, 6, 9))]


def test_two_models_by_hand() -> None:
    tests = compare_models(("one", evaluation(*FIRST)), ("two", evaluation(*SECOND)), FEW)
    dice = of(tests, "lesion.dice", "paired t")
    first, second = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.5, 0.6, 0.6, 0.9])
    assert dice.values == pytest.approx((0.5, 0.65))
    assert dice.difference.value == pytest.approx(0.15)
    assert dice.test == paired_t(second, first)
    # differences 0.3, 0.2, 0, 0.1: SD 0.12910, half width 3.18245 * 0.12910 / 2
    assert dice.difference.low == pytest.approx(0.15 - 0.205426, abs=1e-5)
    assert of(tests, "lesion.dice", "Wilcoxon signed rank").test == wilcoxon_signed_rank(second, first)
    lesions = of(tests, "detection.sensitivity", "McNemar exact")
    assert (lesions.values, lesions.test.n) == ((0.5, 1.0), 2)
    assert lesions.test.p_value == mcnemar([0, 0, 1, 1], [1, 1, 1, 1]).p_value == 0.5
    assert of(tests, "detection.sensitivity", "McNemar mid-p").test.p_value == pytest.approx(0.25)
    drawn = of(tests, "detection.sensitivity", "patient bootstrap")
    assert (drawn.values, drawn.difference.value, drawn.test.n) == ((0.5, 1.0), 0.5, 4)
    assert of(tests, "patient.sensitivity", "McNemar exact").test.p_value == 0.5
    assert p_metrics(tests)["p.mcnemar_exact.patient.sensitivity.one.two"].estimate.value == 0.5


def test_only_cases_of_both_models_are_compared() -> None:
    tests = compare_models(("one", evaluation(*FIRST)), ("two", evaluation(*SECOND[:3])), FEW)
    assert of(tests, "lesion.dice", "paired t").test.n == 3
    assert of(tests, "detection.sensitivity", "patient bootstrap").values == pytest.approx((1 / 3, 1.0))
    apart = evaluation(record("z", "Z", 5, found=True))
    with pytest.raises(InputError, match="the two sets of predictions share no case"):
        compare_models(("one", evaluation(*FIRST)), ("two", apart), FEW)


def test_sequences_are_paired_by_patient() -> None:
    """Patient P0 has two DWI stacks, whose mean counts; P9 has no T1."""
    records = [
        record("a", "P0", 2, found=True, sequence="DWI"),
        record("b", "P0", 4, found=True, sequence="DWI"),
        record("c", "P0", 7, found=True, sequence="T1"),
        record("d", "P1", 5, found=False, sequence="DWI"),
        record("e", "P1", 6, found=True, sequence="T1"),
        record("f", "P9", 9, found=True, sequence="DWI"),
    ]
    whole = evaluation(*records)
    tests = compare_sequences(whole, FEW)
    dice = of(tests, "lesion.dice", "paired t")
    assert (dice.first, dice.second, dice.test.n) == ("DWI", "T1", 2)
    assert dice.values == pytest.approx((0.4, 0.65))
    assert "McNemar exact" not in {test.test.name for test in tests if test.figure == "detection.sensitivity"}
    assert whole.metrics["lesion.dice.sequence.DWI"].estimate.value == pytest.approx((0.2 + 0.4 + 0.5 + 0.9) / 4)
    assert whole.metrics["lesion.dice.sequence.T1"].sd == pytest.approx(np.std([0.7, 0.6], ddof=1))
    assert compare_sequences(evaluation(*FIRST), FEW) == ()


def test_holm_is_applied_to_the_tests_of_one_kind() -> None:
    tests = compare_models(("one", evaluation(*FIRST)), ("two", evaluation(*SECOND)), FEW)
    table = comparison_table(tests, "name", "title")
    names = [row[table.columns.index("test")] for row in table.rows]
    given, adjusted = ([row[table.columns.index(c)] for row in table.rows] for c in ("p", "p_holm"))
    for kind in set(names):
        mine = [n for n, name in enumerate(names) if name == kind and given[n] is not None]
        expected = holm([float(given[n]) for n in mine if given[n] is not None])  # type: ignore[arg-type]
        assert [adjusted[n] for n in mine] == pytest.approx(expected.tolist())


def test_centres_are_compared_over_patients() -> None:
    centres = ("north", "north", "south", "south")
    records = [
        record(f"c{n}", f"P{n}", tp, found=True, centre=centre)
        for n, (tp, centre) in enumerate(zip((2, 4, 6, 8), centres, strict=True))
    ]
    both = record("c9", "P9", 9, found=True, centre="north"), record("d9", "P9", 9, found=True, centre="south")
    table = group_table(evaluation(*records, *both))
    assert table is not None
    row = dict(zip(table.columns, table.rows[0], strict=True))
    # means 0.3 and 0.7: between 0.16 on 1 df, within 0.04 on 2 df
    assert (row["column"], row["figure"], row["groups"], row["patients"]) == ("centre", "lesion.dice", 2, 4)
    assert row["F"] == pytest.approx(0.16 / (0.04 / 2))
    assert group_table(evaluation(*FIRST)) is None


def test_both_ways_to_average_are_given() -> None:
    metrics = evaluation(*FIRST, record("z", "Z", 0, found=False)).metrics
    assert metrics["lesion.dice"].estimate.value == pytest.approx((0.2 + 0.4 + 0.6 + 0.8 + 0) / 5)
    assert metrics["lesion_pooled.dice"].estimate.value == pytest.approx(2 * 20 / 100)
    records = EvaluatedCases(tuple(FIRST), (), ())
    kim = evaluate_lesions(records, PROTOCOLS["kim2024"], FEW).metrics
    assert kim["lesion_mean.dice"].estimate.value == pytest.approx(0.5)
    assert kim["lesion_mean.dice"].sd == pytest.approx(np.std([0.2, 0.4, 0.6, 0.8], ddof=1))
    assert kim["lesion.dice"].sd is None
