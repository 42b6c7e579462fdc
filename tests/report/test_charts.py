"""Figures of an evaluation: one column wide, the same bytes each time, readable by everybody."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osteomet.report import charts
from osteomet.report.charts import Chart, OperatingPoint, save_chart
from osteomet.stats.agreement import bland_altman
from osteomet.stats.calibration import calibration
from osteomet.stats.froc import Marks, froc_curve
from osteomet.stats.intervals import Estimate, proportion_interval
from osteomet.stats.roc import auc, roc_curve

SCORES, TRUTH = [0.9, 0.7, 0.4, 0.2], [1, 0, 1, 0]


def froc() -> Chart:
    case, lesion, confidence = np.array([0, 0, 1]), np.array([0, -1, -1]), np.array([0.9, 0.5, 0.2])
    marks = Marks(case, lesion, confidence, n_lesions=np.array([2, 0]), patient=np.array([0, 1]))
    band = np.array([0.0, 1.0]), np.array([0.1, 0.1]), np.array([0.8, 0.9])
    return charts.froc_chart(froc_curve(marks), band=band, points=[OperatingPoint("R1", "readers", 0.5, 0.7)])


ALL: dict[str, Callable[[], Chart]] = {
    "froc": froc,
    "roc": lambda: charts.roc_chart({"a": (roc_curve(SCORES, TRUTH), auc(SCORES, TRUTH))}),
    "violin": lambda: charts.violin_chart({"DSC": [0.1, 0.9, np.nan], "HD (mm)": [np.nan], "VS": [1.0]}),
    "bland_altman": lambda: charts.bland_altman_chart(
        [1, 2, 3], [2, 2, 5], bland_altman([1, 2, 3], [2, 2, 5]), unit="ml"
    ),
    "confusion": lambda: charts.confusion_chart(np.array([[3, 1], [0, 0]]), ("a", "b"), ("a", "b")),
    "sensitivity": lambda: charts.sensitivity_chart({"≤ 0.5": proportion_interval(1, 2), "> 0.5": Estimate(None)}),
    "calibration": lambda: charts.calibration_chart({"a": calibration(SCORES, TRUTH)}),
    "readers": lambda: charts.reader_chart([OperatingPoint("R1", "unaided", 0.5, 0.7)]),
}


@pytest.mark.parametrize("name", ALL)
def test_a_chart_is_one_column_wide_and_reproducible(name: str, tmp_path: Path) -> None:
    png, svg = save_chart(ALL[name](), tmp_path, name)
    first = png.read_bytes(), svg.read_bytes()
    with Image.open(png) as image:
        assert image.width == pytest.approx(85 / 25.4 * 300, abs=2)
    save_chart(ALL[name](), tmp_path, name)
    assert (png.read_bytes(), svg.read_bytes()) == first


def test_no_text_is_smaller_than_six_points() -> None:
    for make in ALL.values():
        figure = make()
        sizes = [float(t.get_fontsize()) for axes in figure.axes for t in (*axes.texts, *axes.get_xticklabels())]
        assert min(sizes, default=8) >= 6
