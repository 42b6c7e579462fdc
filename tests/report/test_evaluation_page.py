"""The report of an evaluation, read as text and in a real browser."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.io.dataset import LeftOut
from osteomet.report.chart_style import save_chart
from osteomet.report.curve_charts import OperatingPoint, reader_chart
from osteomet.report.evaluation_page import ChartFile, EvaluationPage, format_cell, render_evaluation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page(tmp_path: Path) -> EvaluationPage:
    protocol = PROTOCOLS["kim2024"]
    rows = tuple((f"metric {n}", n / 7) for n in range(230))
    _, svg = save_chart(reader_chart([OperatingPoint("R1", "unaided", 0.5, 0.7)]), tmp_path, "readers")
    return EvaluationPage(
        protocol=protocol,
        facts={"cases": "3 cases"},
        published=[fill_paper_table(table, {}) for table in protocol.tables],
        tables=[Table("metrics", "All metrics", ("metric", "value"), rows), Table("empty", "Empty", ("a", "b"), ())],
        charts=[ChartFile(svg, "Readers & model")],
        definitions={"matching_rule": "ten voxels <or> more"},
        missing=("c",),
        left_out=(LeftOut("b", "no <grid>"),),
        checklist=Table("claim_checklist", "CLAIM", ("item", "topic", "answer"), (("19", "Sample size", "3"),)),
        software="osteomet 0",
    )


def test_the_page_says_what_was_missing_and_how_it_counted(page: EvaluationPage) -> None:
    html = render_evaluation(page)
    assert "Without prediction, counted as empty: c." in html
    assert "<dt>b</dt><dd>no &lt;grid&gt;</dd>" in html
    assert "ten voxels &lt;or&gt; more" in html
    assert "0.857 (150/175)" in html
    assert "The first 200 of 230 rows; all are in tables/metrics.csv." in html
    assert "Not for clinical use" in html


def test_the_page_needs_no_network_and_no_script(page: EvaluationPage) -> None:
    html = render_evaluation(page)
    assert "<script" not in html
    assert not re.search(r'(?:src|href)="(?!data:)', html)


def test_cells() -> None:
    assert [format_cell(v) for v in (None, float("nan"), False, 3, 0.123456, "x")] == [
        "–",
        "–",
        "no",
        "3",
        "0.1235",
        "x",
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium found to look at the report")
@pytest.mark.parametrize("width", [1280, 600])
def test_the_page_fits_a_browser(page: EvaluationPage, tmp_path: Path, width: int) -> None:
    ask = """<script>addEventListener("load", () => { document.documentElement.dataset.seen = JSON.stringify({
      images: [...document.images].map((image) => image.naturalWidth),
      overflow: document.documentElement.scrollWidth - innerWidth}); });</script>"""
    html = render_evaluation(page).replace("style-src", "script-src 'unsafe-inline'; style-src")
    path = tmp_path / "report.html"
    path.write_text(html.replace("</body>", f"{ask}</body>"), encoding="utf-8")
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [CHROMIUM, *flags, f"--window-size={width},800", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    seen = json.loads(unescape(found.group(1)))
    assert min(seen["images"]) > 0
    assert seen["overflow"] <= 0
