"""Figures of an evaluation: one column wide, the same bytes each time, readable by everybody."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.text import Text
from PIL import Image

from osteomet.report import charts, curve_charts, signature_charts
from osteomet.report.chart_style import Chart, save_chart
from osteomet.report.curve_charts import OperatingPoint
from osteomet.stats.agreement import bland_altman
from osteomet.stats.calibration import DECISION_THRESHOLDS, calibration, decision_curve
from osteomet.stats.froc import Marks, froc_curve
from osteomet.stats.intervals import Estimate, proportion_interval
from osteomet.stats.roc import auc, roc_curve

SCORES, TRUTH = [0.9, 0.7, 0.4, 0.2], [1, 0, 1, 0]


def froc() -> Chart:
    case, lesion, confidence = np.array([0, 0, 1]), np.array([0, -1, -1]), np.array([0.9, 0.5, 0.2])
    marks = Marks(case, lesion, confidence, n_lesions=np.array([2, 0]), patient=np.array([0, 1]))
    band = np.array([0.0, 1.0]), np.array([0.1, 0.1]), np.array([0.8, 0.9])
    return curve_charts.froc_chart(froc_curve(marks), band=band, points=[OperatingPoint("R1", "readers", 0.5, 0.7)])


def readers(n: int) -> list[OperatingPoint]:
    """Readers who work at one and the same point."""
    return [OperatingPoint(f"reader {i}", "unaided", 0.5, 0.7) for i in range(n)]


ALL: dict[str, Callable[[], Chart]] = {
    "froc": froc,
    "roc": lambda: curve_charts.roc_chart({"a": (roc_curve(SCORES, TRUTH), auc(SCORES, TRUTH))}),
    "violin": lambda: charts.violin_chart({"DSC": [0.1, 0.9, np.nan], "HD (mm)": [np.nan], "VS": [1.0]}),
    "bland_altman": lambda: charts.bland_altman_chart(
        [1, 2, 3], [2, 2, 5], bland_altman([1, 2, 3], [2, 2, 5]), unit="ml"
    ),
    "confusion": lambda: charts.confusion_chart(np.array([[3, 1], [0, 0]]), ("a", "b"), ("a", "b")),
    "sensitivity": lambda: charts.sensitivity_chart({"≤ 0.5": proportion_interval(1, 2), "> 0.5": Estimate(None)}),
    "calibration": lambda: charts.calibration_chart({"a": calibration(SCORES, TRUTH)}),
    "roc of many": lambda: curve_charts.roc_chart(
        {f"reader {n}": (roc_curve(SCORES, TRUTH), auc(SCORES, TRUTH)) for n in range(9)}
    ),
    "afroc": lambda: curve_charts.afroc_chart({"AFROC": (roc_curve(SCORES, TRUTH), auc(SCORES, TRUTH))}),
    "decision": lambda: curve_charts.decision_chart(
        {name: decision_curve(SCORES, TRUTH, DECISION_THRESHOLDS) for name in "abc"}
    ),
    "coefficients": lambda: signature_charts.coefficient_chart({"a": 0.5, "b": -1.0, "c": 0.0}),
    "lasso_path": lambda: signature_charts.lasso_chart(
        np.array([0.2, 0.1, 0.05]), np.array([[0.0, 0.0], [0.1, 0.0], [0.3, -0.2]]), ["a", "b"], chosen=1
    ),
    "lasso_deviance": lambda: signature_charts.deviance_chart(
        np.array([0.2, 0.1]), np.array([1.4, 1.2]), np.array([0.1, 0.1]), chosen=1
    ),
    "no coefficient": lambda: signature_charts.coefficient_chart({}),
    "readers": lambda: curve_charts.reader_chart([OperatingPoint("R1", "unaided", 0.5, 0.7)]),
}


@pytest.mark.parametrize("name", ALL)
def test_a_chart_is_one_column_wide_and_reproducible(name: str, tmp_path: Path) -> None:
    png, svg = save_chart(ALL[name](), tmp_path, name)
    first = png.read_bytes(), svg.read_bytes()
    with Image.open(png) as image:
        assert image.width == pytest.approx(85 / 25.4 * 300, abs=2)
    save_chart(ALL[name](), tmp_path, name)
    assert (png.read_bytes(), svg.read_bytes()) == first


@pytest.mark.parametrize("name", ALL)
def test_no_text_is_smaller_than_six_points_or_leaves_the_figure(name: str) -> None:
    figure = ALL[name]()
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.xaxis.label, axes.yaxis.label)]
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()) is not None)]
    texts += [text for legend in legends for text in legend.get_texts()]
    for text in (text for text in texts if text.get_text()):
        assert float(text.get_fontsize()) >= 6
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()


def test_names_of_readers_at_one_point_do_not_cover_each_other() -> None:
    figure = curve_charts.reader_chart(readers(5))
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("spread", [0.0, 0.02, 5.0])
def test_lines_of_a_bland_altman_plot_are_named_beside_it_without_overlap(spread: float) -> None:
    """One difference far from the others sets the scale; the limits nearly coincide with the bias, or do not."""
    first = [10.0, 20.0, 30.0, 40.0]
    second = [11.0, 21.0 + spread, 31.0, 41.0 - spread]
    figure = charts.bland_altman_chart(first, second, bland_altman(first, second), unit="ml")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = {text.get_text().rsplit(" ", 1)[0]: Text.get_window_extent(text) for text in axes.texts}
    assert not any(a.overlaps(b) for a, b in combinations(boxes.values(), 2))
    assert boxes["lower limit"].y0 < boxes["bias"].y0 < boxes["upper limit"].y0
    assert all(box.x0 > axes.bbox.x1 for box in boxes.values())


@pytest.mark.parametrize(("n", "has_density"), [(2, False), (4, False), (5, True)])
def test_a_density_is_drawn_of_five_cases_or_more(n: int, has_density: bool) -> None:
    (axes,) = charts.violin_chart({"DSC": np.linspace(0.2, 0.9, n)}).axes
    shapes = [c for c in axes.collections if isinstance(c, PolyCollection)]
    assert bool(shapes) is has_density
    assert np.asarray(axes.lines[0].get_ydata()).tolist() == pytest.approx(np.linspace(0.2, 0.9, n).tolist())


def test_bars_of_a_signature_are_its_coefficients_largest_first() -> None:
    figure = signature_charts.coefficient_chart({"a": 0.5, "b": -1.0, "c": 0.0})
    (axes,) = figure.axes
    widths = [patch.get_width() for patch in axes.patches]  # type: ignore[attr-defined]
    assert widths == [-1.0, 0.5]
    assert [text.get_text() for text in axes.texts] == ["b", "a", "c"]


def test_the_path_runs_from_the_largest_penalty_and_marks_the_chosen_one() -> None:
    penalties, coefficients = np.array([0.2, 0.1, 0.05]), np.array([[0.0, 0.0], [0.1, 0.0], [0.3, -0.2]])
    (axes,) = signature_charts.lasso_chart(penalties, coefficients, ["a", "b"], chosen=1).axes
    left, right = axes.get_xlim()
    assert left > right
    curves = [np.asarray(line.get_ydata()).tolist() for line in axes.lines[:2]]
    assert curves == coefficients.T.tolist()
    assert np.asarray(axes.lines[2].get_xdata()).tolist() == [0.1, 0.1]
