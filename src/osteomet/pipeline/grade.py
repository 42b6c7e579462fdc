"""Grade new exams with a packaged grader; a stopped run goes on where it ended."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteomet.core.errors import FormatError, InputError, ModelError
from osteomet.core.findings import DISCLAIMER
from osteomet.core.grader import GraderPart
from osteomet.image.exam_map import ExamMap
from osteomet.inference.engine import Device, choose_device
from osteomet.inference.ensemble import build_ensemble
from osteomet.io.exam_cases import ExamCase, list_new_exams
from osteomet.io.model_package import ModelPackage
from osteomet.io.output import output_file
from osteomet.pipeline.exam_decisions import Decision, decide
from osteomet.pipeline.exam_maps import map_of_exam
from osteomet.pipeline.predict import PredictionRun, Progress, open_predictions
from osteomet.report.chart_style import save_chart
from osteomet.report.decision_charts import DecisionPicture, decision_chart

GRADES_FILE = "grades.csv"
_WINDOW_MM = 24.0


def grade_folder(
    package: ModelPackage, source: Path, out: Path, *, device: Device, progress: Progress
) -> PredictionRun:
    """Grade every exam of a folder.

    Parameters
    ----------
    package
        A grader.
    source
        Images and bones, as `osteomet.io.exam_cases.list_new_exams` takes them.
    out
        Gets ``grades.csv`` with a row an exam, ``CASE.json`` with all that is said of it, ``CASE.png`` and ``CASE.svg``
        with the place that the grade draws on, and ``prediction.json`` with the model and its hash. An exam whose
        ``CASE.json`` is newer than its files is passed over. One whose spine cannot be straightened has no grade, and
        the reason in the column ``note``.

    Raises
    ------
    UsageError
        If ``out`` holds something else, or the grades of another model.
    ModelError
        If the package is no grader.
    InputError
        If an exam lacks a file or a file is damaged; the message names the case.
    """
    part = package.description.grader
    if part is None:
        raise ModelError(
            f"model {package.description.name!r} does not grade exams",
            expected="a package that `osteomet reproduce wangd2023` made",
        )
    cases = list_new_exams(source, part.sequences)
    chosen = choose_device(device)
    engine = f"torch on {chosen}, {len(part.weights)} members"
    open_predictions(out, package, engine)
    ensemble = build_ensemble(package, part).to(chosen)
    rows: list[dict[str, Any]] = []
    predicted: list[str] = []
    kept: list[str] = []
    for done, case in enumerate(cases):
        progress("cases", done, len(cases))
        record = out / f"{case.name}.json"
        if _is_current(record, case):
            kept.append(case.name)
        else:
            _write_record(_grade_one(case, part, ensemble, out, chosen), record)
            predicted.append(case.name)
        rows.append(json.loads(record.read_text(encoding="utf-8")))
    _write_table(rows, part.outputs, out / GRADES_FILE)
    progress("cases", len(cases), len(cases))
    return PredictionRun(tuple(predicted), tuple(kept), engine)


def _grade_one(case: ExamCase, part: GraderPart, ensemble: Any, out: Path, device: str) -> dict[str, Any]:
    """Grade an exam and draw what the grade draws on; without a map there is the reason."""
    try:
        exam = map_of_exam(case, part.steps)
    except FormatError:
        raise
    except InputError as error:
        return {"case": case.name, "grade": None, "probabilities": None, "decisive": None, "note": str(error)}
    decision = draw_decision(case.name, exam, part, ensemble, out, device=device)
    grade = part.outputs[decision.grade]
    return {
        "case": case.name,
        "grade": grade,
        "probabilities": dict(zip(part.outputs, decision.probabilities, strict=True)),
        "decisive": _place(decision),
        "note": "; ".join(exam.notes),
    }


def draw_decision(name: str, exam: ExamMap, part: GraderPart, ensemble: Any, folder: Path, *, device: str) -> Decision:
    """Grade the map of an exam, and draw what the grade draws on: ``NAME.png`` and ``NAME.svg``."""
    window = max(2, round(_WINDOW_MM / part.straighten.spacing_mm))
    decision = decide(exam, ensemble, window=window, device=device)
    title = f"{name}: {part.outputs[decision.grade]}"
    picture = DecisionPicture(title, exam.array[decision.plane], decision.falls[decision.plane])
    save_chart(decision_chart([picture]), folder, name)
    return decision


def _place(decision: Decision) -> dict[str, Any]:
    """Where covering lowers the probability of the grade most, and by how much."""
    fall = float(decision.falls.max())
    return {"level": decision.level, "xyz_mm": [round(v, 2) for v in decision.xyz_mm], "fall": round(fall, 5)}


def _is_current(record: Path, case: ExamCase) -> bool:
    """Whether what is said of an exam is there and newer than its files."""
    files = (*case.images, case.bones)
    return record.is_file() and all(file.stat().st_mtime <= record.stat().st_mtime for file in files)


def _write_record(content: Mapping[str, Any], record: Path) -> None:
    with output_file(record) as partial:
        text = json.dumps({"disclaimer": DISCLAIMER, **content}, indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")


def _write_table(rows: Sequence[Mapping[str, Any]], grades: Sequence[str], path: Path) -> None:
    """Write one row an exam."""
    places = ("decisive_level", "decisive_x_mm", "decisive_y_mm", "decisive_z_mm")
    with output_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "prediction", *(f"probability_{grade}" for grade in grades), *places, "note"))
        for row in rows:
            found, place = row["probabilities"] or {}, row["decisive"] or {"level": "", "xyz_mm": ["", "", ""]}
            shown = (f"{found[grade]:.6f}" if found else "" for grade in grades)
            writer.writerow((row["case"], row["grade"] or "", *shown, place["level"], *place["xyz_mm"], row["note"]))
