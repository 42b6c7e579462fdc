"""The report in a real browser: it loads, shows every picture, obeys its keys and complains about nothing."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from osteomet.core.findings import Findings
from osteomet.core.model import ModelDescription
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.page import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found to look at the report")

# Runs before and after the page's own script, and leaves what it saw in an attribute of the document.
WATCH = """<script>
  window.complaints = [];
  addEventListener("error", (event) => complaints.push(String(event.message)));
  addEventListener("securitypolicyviolation", (event) => complaints.push(event.blockedURI));
  for (const level of ["error", "warn"]) console[level] = (...words) => complaints.push(words.join(" "));
</script>"""
ASK = """<script>
  addEventListener("load", () => {
    const images = [...document.images];
    const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
    const top = (id) => Math.round(document.getElementById(id).getBoundingClientRect().top);
    const marks = [...document.querySelectorAll(".lift")];
    const lifted = () => marks.every((mark) => getComputedStyle(mark).display === "none");
    const seen = {sizes: images.map((image) => [image.naturalWidth, image.naturalHeight])};
    seen.shown = images.map((image) => image.getBoundingClientRect()).map((box) => box.width / box.height);
    seen.overflow = document.documentElement.scrollWidth - innerWidth;
    press("j");
    seen.first = top("lesion-1");
    press("j");
    seen.second = top("lesion-2");
    press("k");
    seen.back = top("lesion-1");
    seen.bar = document.querySelector(".bar").getBoundingClientRect().top;
    seen.inked = !lifted();
    press("o");
    seen.lifted = lifted();
    seen.complaints = complaints;
    document.documentElement.dataset.seen = JSON.stringify(seen);
  });
</script>"""


def look(html: str, folder: Path, *, width: int) -> dict[str, Any]:
    page = folder / f"report-{width}.html"
    page.write_text(html.replace("<style>", f"{WATCH}<style>").replace("</body>", f"{ASK}</body>"), encoding="utf-8")
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={folder / f'profile-{width}'}"]
    flags += [f"--window-size={width},800", "--dump-dom", page.as_uri()]
    done = subprocess.run([CHROMIUM, *flags], capture_output=True, text=True, timeout=120, check=False)
    seen = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert seen is not None, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(unescape(seen.group(1)))
    return answer


@pytest.mark.parametrize("width", [1280, 560])
def test_the_report_works_in_a_browser(
    column: tuple[Findings, Volume, LabelMap, LabelMap], model: ModelDescription, tmp_path: Path, width: int
) -> None:
    seen = look(render_report(*column, model), tmp_path, width=width)
    assert seen["complaints"] == []
    assert len(seen["sizes"]) == 8
    assert all(min(size) > 0 for size in seen["sizes"])
    for (columns, rows), aspect in zip(seen["sizes"], seen["shown"], strict=True):
        assert aspect == pytest.approx(columns / rows, rel=0.02)
    assert seen["overflow"] <= 0
    assert seen["bar"] == 0, "the disclaimer stays in sight"
    assert 0 < seen["first"] < 120
    assert 0 < seen["second"] < 400
    assert 0 < seen["back"] < 120
    assert seen["inked"]
    assert seen["lifted"]
