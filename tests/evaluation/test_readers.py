"""Reader studies: counts by hand, figures of merit by pairs, means over readers, comparisons with spelled-out sums."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import InputError, UsageError
from osteomet.evaluation.mark_matching import MatchedReading
from osteomet.evaluation.marks import AIDED, UNAIDED
from osteomet.evaluation.reader_comparisons import compare_conditions, compare_model
from osteomet.evaluation.reader_tables import ReadCase, ReaderTable, reader_tables
from osteomet.evaluation.readers import (
    FIGURES,
    Figure,
    compute_figures,
    figure_statistic,
    mean_of_readers,
    reader_figures,
)
from osteomet.stats.froc import froc_curve
from osteomet.stats.mrmc import model_against_readers, obuchowski_rockette, reader_mean

CASES = (ReadCase("c1", "P1", 2), ReadCase("c2", "P1", 1), ReadCase("c3", "P2", 0), ReadCase("c4", "P3", 0))
Hits = tuple[tuple[int, ...], ...]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def reading(
    case: str, marks: list[tuple[tuple[int, ...], float | None]], reader: str = "R1", condition: str = UNAIDED
) -> MatchedReading:
    return MatchedReading(reader, condition, case, tuple(m[0] for m in marks), tuple(m[1] for m in marks))


def first_reader() -> ReaderTable:
    """Lesion 0 of c1 twice, lesion 1 missed; c2 found beside a false positive; a false positive on c3; c4 clear."""
    readings = [
        reading("c1", [((0,), 0.9), ((0,), 0.2)]),
        reading("c2", [((0,), 0.5), ((), 0.4)]),
        reading("c3", [((), 0.6)]),
        reading("c4", []),
    ]
    return reader_tables(CASES, readings)[0]


def test_figures_of_one_reader_by_hand() -> None:
    result = reader_figures(first_reader(), rng=rng(), n_draws=400)
    assert (result.reader, result.condition, result.n_cases, result.n_lesions, result.n_marks) == (
        "R1",
        UNAIDED,
        4,
        3,
        5,
    )
    for estimate, top, bottom in ((result.sensitivity, 2, 3), (result.ppv, 3, 5), (result.fp_per_series, 2, 4)):
        assert (estimate.numerator, estimate.denominator) == (top, bottom)
        assert estimate.value == pytest.approx(top / bottom)
        assert estimate.method == "bootstrap bca"
    # lesions 0.9, 0.5, none; surest false positives of normal cases 0.6, none: 2 + 1 + 0.5 of 6 pairs
    assert result.jafroc.value == pytest.approx(3.5 / 6)
    # of all cases none, 0.4, 0.6, none: 4 + 3 + 2/2 of 12
    assert result.jafroc1.value == pytest.approx(8 / 12)
    # cases rated 0.9, 0.5 against 0.6, none: 2 + 1 of 4
    assert result.auc.value == pytest.approx(3 / 4)


def test_a_mark_on_two_lesions_finds_both() -> None:
    (table,) = reader_tables(CASES, [reading("c1", [((0, 1), 0.9)])])
    result = reader_figures(table, rng=rng(), n_draws=50)
    assert (result.sensitivity.numerator, result.ppv.numerator, result.ppv.denominator) == (2, 1, 1)
    assert table.marks().lesion.tolist() == [0, 1]
    assert froc_curve(table.marks()).sensitivity.tolist() == pytest.approx([0, 2 / 3])


def test_marks_without_likelihood_have_no_figure_of_merit() -> None:
    (table,) = reader_tables(CASES, [reading("c1", [((0,), None)]), reading("c3", [((), 0.3)])])
    result = reader_figures(table, rng=rng(), n_draws=50)
    assert result.sensitivity.value == pytest.approx(1 / 3)
    assert (result.jafroc.value, result.jafroc1.value, result.auc.value) == (None, None, None)
    with pytest.raises(
        InputError, match=r"reader “R1” \(unaided\) has marks without likelihood; remedy: give every mark"
    ):
        figure_statistic(table, "jafroc")


@pytest.mark.parametrize(
    ("n_lesions", "marks", "expected"),
    [
        (0, [], (None, None, 0.0)),
        (1, [], (0.0, None, 0.0)),
        (0, [((), 0.5)], (None, 0.0, 1.0)),
        (1, [((0,), 0.5)], (1.0, 1.0, 0.0)),
    ],
    ids=["both empty", "no mark", "no lesion", "perfect"],
)
def test_quartet(
    n_lesions: int, marks: list[tuple[tuple[int, ...], float | None]], expected: tuple[float | None, ...]
) -> None:
    (table,) = reader_tables([ReadCase("c", "P", n_lesions)], [reading("c", marks)])
    result = reader_figures(table, rng=rng(), n_draws=20)
    assert (result.sensitivity.value, result.ppv.value, result.fp_per_series.value) == expected


def test_cases_not_read_count_as_empty_and_are_listed() -> None:
    tables = reader_tables(CASES, [reading("c2", [((0,), 0.5)]), reading("c1", [], "R2", AIDED)])
    assert [(t.reader, t.condition, t.unread) for t in tables] == [
        ("R1", UNAIDED, ("c1", "c3", "c4")),
        ("R2", AIDED, ("c2", "c3", "c4")),
    ]
    assert [r.case for r in tables[0].readings] == ["c1", "c2", "c3", "c4"]
    assert reader_figures(tables[0], rng=rng(), n_draws=20).unread == ("c1", "c3", "c4")


def test_readings_that_do_not_fit_the_study() -> None:
    with pytest.raises(InputError, match=r"reader “R1” \(unaided\): case “c9” is not in the reference"):
        reader_tables(CASES, [reading("c9", [])])
    with pytest.raises(InputError, match="case “c1” was read twice"):
        reader_tables(CASES, [reading("c1", []), reading("c1", [])])
    with pytest.raises(InputError, match="a reader study needs cases, each of its own name; got c1"):
        reader_tables([CASES[0], CASES[0]], [])
    with pytest.raises(InputError, match="got no case"):
        reader_tables([], [])
    with pytest.raises(UsageError, match="there is no such figure"):
        figure_statistic(first_reader(), "dice")  # type: ignore[arg-type]


# A study of two readers under two conditions: eight patients of one case, five of them with one lesion.
STUDY = tuple(ReadCase(f"c{i}", f"P{i}", int(i < 5)) for i in range(8))
RATINGS = {
    ("R1", UNAIDED): [0.9, 0.2, 0.6, 0.0, 0.4, 0.5, 0.1, 0.0],
    ("R2", UNAIDED): [0.7, 0.0, 0.3, 0.8, 0.0, 0.6, 0.0, 0.2],
    ("R1", AIDED): [0.9, 0.6, 0.7, 0.2, 0.8, 0.3, 0.0, 0.0],
    ("R2", AIDED): [0.8, 0.3, 0.0, 0.9, 0.4, 0.5, 0.1, 0.0],
    ("model", "model"): [0.9, 0.8, 0.7, 0.6, 0.0, 0.7, 0.0, 0.0],
}


def study() -> dict[tuple[str, str], ReaderTable]:
    """One mark a case where the rating is not 0: on the lesion, or false where there is none."""
    readings = []
    for (reader, condition), ratings in RATINGS.items():
        for case, value in zip(STUDY, ratings, strict=True):
            mark: list[tuple[tuple[int, ...], float | None]] = (
                [((0,) if case.n_lesions else (), value)] if value else []
            )
            readings.append(reading(case.case, mark, reader, condition))
    return {(t.reader, t.condition): t for t in reader_tables(STUDY, readings)}


def slow_figure(ratings: list[float], figure: Figure, kept: list[int]) -> float:
    """The figure spelled out over the kept patients."""
    found = [ratings[i] for i in kept if i < 5]
    false = [ratings[i] for i in kept if i >= 5]
    if figure == "sensitivity":
        return sum(v > 0 for v in found) / len(found)
    if figure == "ppv":
        return sum(v > 0 for v in found) / sum(v > 0 for v in found + false)
    if figure == "fp_per_series":
        return sum(v > 0 for v in false) / len(kept)
    rivals = false + ([0.0] * len(found) if figure == "jafroc1" else [])
    return float(np.mean([(a > b) + 0.5 * (a == b) for a, b in product(found, rivals)]))


def slow_covariance(keys: list[tuple[str, str]], figure: Figure) -> NDArray[np.float64]:
    """Jackknife over the eight patients."""
    everyone = list(range(8))
    rows = [[slow_figure(RATINGS[k], figure, [j for j in everyone if j != i]) for k in keys] for i in everyone]
    return np.asarray(7 / 8 * 7 * np.cov(np.array(rows), rowvar=False))


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_and_covariance_are_those_spelled_out(figure: Figure) -> None:
    keys, tables = list(RATINGS), study()
    figures, covariance = compute_figures([tables[k] for k in keys], figure)
    np.testing.assert_allclose(figures, [slow_figure(RATINGS[k], figure, list(range(8))) for k in keys])
    assert covariance is not None
    np.testing.assert_allclose(covariance, slow_covariance(keys, figure), atol=1e-12)


def test_mean_over_readers() -> None:
    keys = [("R1", UNAIDED), ("R2", UNAIDED)]
    tables = [study()[k] for k in keys]
    mean = mean_of_readers(tables, "sensitivity")
    assert mean.value == pytest.approx((0.8 + 0.6) / 2)
    assert mean == reader_mean([0.8, 0.6], slow_covariance(keys, "sensitivity"))
    plain = mean_of_readers(tables, "sensitivity", random="readers")
    half = 12.7062047 * 0.1  # t with 1 df times half the difference, the standard error of a mean of two
    assert (plain.low, plain.high) == pytest.approx((0.7 - half, 0.7 + half))


def test_mean_of_kim2024_readers_is_a_t_interval() -> None:
    """The paper's reader intervals reach beyond what a rate can be (−0.071 FP/series): five readers, 4 df, no cases."""
    cases = [ReadCase(f"c{i}", f"P{i}", 1) for i in range(10)]
    found = (4, 6, 8, 9, 10)
    readings = [
        reading(case.case, [((0,), None)] if i < n else [], f"R{n}") for n in found for i, case in enumerate(cases)
    ]
    mean = mean_of_readers(reader_tables(cases, readings), "sensitivity", random="readers")
    error = np.std(np.array(found) / 10, ddof=1) / np.sqrt(5)
    assert (mean.value, mean.low) == pytest.approx((0.74, 0.74 - 2.7764451 * error))
    assert mean.high is not None
    assert mean.high > 1


def test_what_is_undefined_for_one_reader_is_undefined_for_the_mean() -> None:
    tables = reader_tables(CASES, [reading("c1", [((0,), 0.5)]), reading("c1", [], "R2")])
    assert mean_of_readers(tables, "ppv").value is None
    assert mean_of_readers(tables[:1], "sensitivity").value == pytest.approx(1 / 3)
    # one patient has all lesions: without that patient no sensitivity, hence no interval
    both = mean_of_readers(tables, "sensitivity")
    assert both.value == pytest.approx(1 / 6)
    assert both.low is None


def test_model_against_readers() -> None:
    keys = [("model", "model"), ("R1", UNAIDED), ("R2", UNAIDED)]
    model, *readers = (study()[k] for k in keys)
    for figure in FIGURES:
        result = compare_model(model, readers, figure)
        values = [slow_figure(RATINGS[k], figure, list(range(8))) for k in keys]
        assert result.model == pytest.approx(values[0])
        assert result.readers.value == pytest.approx((values[1] + values[2]) / 2)
        change, test = model_against_readers(values[0], values[1:], slow_covariance(keys, figure))
        assert (result.difference.value, result.difference.low) == pytest.approx((change.value, change.low))
        assert result.test.p_value == pytest.approx(test.p_value)


def test_model_without_marks_is_undefined_not_hidden() -> None:
    tables = reader_tables(
        CASES, [reading("c1", [((0,), 0.5)], r) for r in ("R1", "R2")] + [reading("c1", [], "model")]
    )
    result = compare_model(tables[2], tables[:2], "ppv")
    assert (result.model, result.difference.value, result.test.p_value) == (None, None, None)
    assert result.test.note == "the figure is undefined for some"
    assert result.readers.value == 1.0


def test_readers_of_other_cases_are_refused() -> None:
    (other,) = reader_tables(CASES[:2], [reading("c1", [])])
    with pytest.raises(
        InputError, match="readers can be compared on the same cases only; got R1: 4 cases, R1: 2 cases"
    ):
        compare_model(first_reader(), [other, other], "sensitivity")


@pytest.mark.parametrize("figure", ["jafroc", "auc", "sensitivity"])
def test_aided_against_unaided(figure: Figure) -> None:
    keys = [(r, c) for c in (UNAIDED, AIDED) for r in ("R1", "R2")]
    result = compare_conditions(tuple(study().values()), (UNAIDED, AIDED), figure, rng=rng())
    values = np.array([slow_figure(RATINGS[k], figure, list(range(8))) for k in keys]).reshape(2, 2)
    assert (result.first, result.second) == (UNAIDED, AIDED)
    assert [c.reader for c in result.readers] == ["R1", "R2"]
    for change, before, after in zip(result.readers, *values, strict=True):
        assert (change.first.value, change.second.value) == pytest.approx((before, after))
        assert change.difference.value == pytest.approx(after - before)
        assert change.p_value is not None
        assert 0 < change.p_value <= 1
    assert result.mrmc is not None
    expected = obuchowski_rockette(values, slow_covariance(keys, figure))
    assert result.mrmc.differences[0].difference.value == pytest.approx(values[1].mean() - values[0].mean())
    assert result.mrmc.test.statistic == pytest.approx(expected.test.statistic)
    assert result.mrmc.differences[0].test.p_value == pytest.approx(expected.differences[0].test.p_value)


def test_a_single_reader_is_compared_without_mrmc() -> None:
    tables = [t for (reader, _), t in study().items() if reader == "R1"]
    result = compare_conditions(tables, (UNAIDED, AIDED), "sensitivity", rng=rng())
    assert (len(result.readers), result.mrmc) == (1, None)
    with pytest.raises(InputError, match="no reader read under both conditions; got unaided and aided"):
        compare_conditions(tables[:1], (UNAIDED, AIDED), "sensitivity", rng=rng())
