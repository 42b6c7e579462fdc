"""The tables of the papers: their rows, and published fractions that can be recomputed."""

import re

import pytest

from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.paper_tables import Ours, PaperTable
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import UNDEFINED, fill_paper_table
from osteomet.stats.intervals import Estimate, proportion_interval

TABLES = [table for protocol in PROTOCOLS.values() for table in protocol.tables]
FRACTION = re.compile(r"([\d.]+) \((\d+)/(\d+)\)")


def texts(table: PaperTable) -> list[str]:
    return [cell for row in table.rows for cell in row if isinstance(cell, str)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_row_fills_its_columns_and_has_a_cell_of_ours(table: PaperTable) -> None:
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert any(isinstance(cell, Ours) for row in table.rows for cell in row)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_published_fractions_are_what_they_are_printed_as(table: PaperTable) -> None:
    for text in texts(table):
        if match := FRACTION.fullmatch(text):
            printed, k, n = match.groups()
            scale = 100 if float(printed) > 1 else 1
            digits = len(printed.partition(".")[2])
            assert abs(scale * int(k) / int(n) - float(printed)) < 10**-digits, f"{text}: neither rounded nor cut"


def test_kim2024_rows() -> None:
    table = next(t for t in TABLES if t.name == "kim2024_table3")
    assert [row[0] for row in table.rows] == ["≤ 0.5", "> 0.5 to ≤ 1.0", "> 1.0 to ≤ 2.0", "> 2.0", "Total"]
    counts = [
        [int(m[2]) for cell in row if isinstance(cell, str) and (m := FRACTION.fullmatch(cell))] for row in table.rows
    ]
    assert [sum(column) for column in zip(*counts[:4], strict=True)] == counts[4], "the bins add up to the total"


def test_edelmers2024_rows() -> None:
    table = next(t for t in TABLES if t.name == "edelmers2024_table2")
    assert len(table.rows) == 25
    assert (table.rows[0][0], table.rows[-1][0]) == ("C1", "Sacrum")
    published = {row[0]: (row[2], row[4], row[6]) for row in table.rows}
    assert published["T7"] == ("0.87", "0.88", "0.70")
    assert published["L4"] == ("0.94", "0.89", "0.84")


def test_liu2021_intervals_are_clopper_pearson() -> None:
    table = next(t for t in TABLES if t.name == "liu2021_table5")
    printed = {row[1]: row[6] for row in table.rows if row[0] == "Patient"}
    for name, k, n in (
        ("Sensitivity (%)", 14, 16),
        ("Specificity (%)", 15, 18),
        ("PPV (%)", 14, 17),
        ("NPV (%)", 15, 17),
        ("Accuracy (%)", 29, 34),
    ):
        e = proportion_interval(k, n)
        assert e.value is not None
        assert e.low is not None
        assert e.high is not None
        low, high = (float(x) for x in str(printed[name])[:-1].partition(" (")[2].split("–"))
        assert (100 * e.low, 100 * e.high) == pytest.approx((low, high), abs=0.06), name


def test_liu2021_counts_of_patients_add_up() -> None:
    """Lesion groups to the patients with metastases, scanners to all patients; two sums of the paper do not."""
    counted = {}
    for name in ("liu2021_table2", "liu2021_table3"):
        table = next(t for t in TABLES if t.name == name)
        places = [n for n, column in enumerate(table.columns) if column.endswith("published") and "p " not in column]
        counted[name] = {row[0]: [str(row[n]) for n in places] for row in table.rows}

    def total(table: str, *rows: str) -> list[int]:
        return [sum(map(int, cells)) for cells in zip(*(counted[table][row] for row in rows), strict=True)]

    groups = "1 lesion", "2–3 lesions", "4–5 lesions", "> 5 lesions"
    assert total("liu2021_table3", *groups) == total("liu2021_table3", "With bone metastases") == [134, 18, 16, 31]
    both = "With bone metastases", "Without bone metastases"
    assert total("liu2021_table3", *both) == total("liu2021_table3", "No. of patients") == [266, 34, 34, 63]
    scanners = "3.0 T Discovery", "3.0 T Achieva", "3.0 T Intera"
    assert total("liu2021_table3", *scanners) == [266, 34, 34, 68], "63 external patients on 68 scanners"
    assert total("liu2021_table2", *scanners) == [684, 88, 88, 68], "683 patients for training on 684 scanners"
    assert total("liu2021_table2", "No. of patients") == [683, 88, 88, 68]


def test_a_table_is_filled_and_what_is_not_computed_is_a_dash() -> None:
    table = next(t for t in TABLES if t.name == "kim2024_table2")
    filled = fill_paper_table(table, {"lesion.dice": Metric(Estimate(0.5, 0.4, 0.6))})
    assert filled.rows[0] == ("ours", "0.500 (0.400–0.600)", UNDEFINED, UNDEFINED)
    assert filled.rows[1][1] == "0.699 (0.695–0.702)"
