"""Some decisions of a study explained: pictures, places, and what is left of them when the weights are random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osteomet.evaluation.tables import Table, Value
from osteomet.inference.ensemble import Ensemble
from osteomet.nn.occlusion import likeness, randomised
from osteomet.pipeline.exam_decisions import decide, decision_falls
from osteomet.pipeline.exam_maps import map_of_exam
from osteomet.pipeline.studies.grading import GradingRun, PreparedExam
from osteomet.report.chart_style import save_chart
from osteomet.report.decision_charts import DecisionPicture, decision_chart
from osteomet.report.evaluation_page import ChartFile

_RANDOM_SEED = 7
_COLUMNS = (
    *("exam", "reference", "called", "probability", "furthest fall", "level", "x_mm", "y_mm", "z_mm"),
    "rank correlation with random weights",
)


def explain_decisions(
    run: GradingRun, name: str, networks: Sequence[Any], shown: Sequence[tuple[PreparedExam, int]]
) -> tuple[Table, ChartFile]:
    """Explain the decisions of a network about some held-out exams, each by the network of its round."""
    grades, window = run.recipe.data.grades, run.recipe.explanation.window
    rows: list[tuple[Value, ...]] = []
    pictures: list[DecisionPicture] = []
    for done, (exam, fold) in enumerate(shown, start=1):
        run.tell(f"explain {name}", done, len(shown), exam.case.name)
        found_map = map_of_exam(exam.case, run.recipe.preprocessing)
        found = decide(found_map, Ensemble([networks[fold]]).eval(), window=window, device=run.device)
        other = decision_falls(
            found_map.array,
            Ensemble([randomised(networks[fold], _RANDOM_SEED)]).eval(),
            found.grade,
            n_planes=len(found.falls),
            window=window,
            device=run.device,
        )
        like, called = likeness(found.falls, other), grades[found.grade]
        figures = (round(found.probabilities[found.grade], 3), round(float(found.falls.max()), 4), found.level)
        place = tuple(round(value, 1) for value in found.xyz_mm)
        rows.append(
            (exam.case.name, exam.case.grade, called, *figures, *place, None if like is None else round(like, 3))
        )
        title = f"{exam.case.grade}, called {called}"
        pictures.append(DecisionPicture(title, found_map.array[found.plane], found.falls[found.plane]))
    folder = run.out / "decisions"
    folder.mkdir(exist_ok=True)
    svg = save_chart(decision_chart(pictures), folder, name)[1]
    title = run.recipe.networks[name].title
    note = "Covering a square there lowers the probability of the called grade most. A rank correlation near 1 would "
    note += "mean that the map does not depend on what the network learnt."
    caption = f"What {title} draws on: {run.recipe.data.sequences[0]} of the plane with the furthest fall, and falls."
    return Table(f"decisions_{name}", f"Decisions, {title}", _COLUMNS, tuple(rows), note), ChartFile(svg, caption)
