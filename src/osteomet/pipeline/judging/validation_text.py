"""The tables of a model card: our figures, what they are meant to reach, and what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.model_cases import N_BINS, SMALLEST_LEVEL_ML, SMALLEST_ML, Failure, ModelCase
from osteomet.evaluation.tables import UNDEFINED, format_metric
from osteomet.pipeline.judging.model_cohort import PICTURES
from osteomet.pipeline.judging.real_scans import LEAST_BOX_IOU, RealResult
from osteomet.report.wording import count

_SHARES = ("detection.sensitivity", "detection.fp_per_case", "levels.named", "patient.s", "exam.")


@dataclass(frozen=True, slots=True)
class CardFigure:
    """One row of the card: a metric in words, what it is meant to reach, and what others published.

    A metric that is a share of things counted shows how many they are.
    """

    metric: str
    words: str
    aim: str = ""
    published: str = ""

    @property
    def is_share(self) -> bool:
        """Whether numerator and denominator are counts."""
        return self.metric.startswith(_SHARES) and "at_" not in self.metric


CARD_FIGURES = (
    CardFigure("detection.sensitivity", "lesion sensitivity", "≥ 0.90", "0.827 [1]"),
    CardFigure("detection.fp_per_case", "false positives a scan", "≤ 0.4", "0.617 [1]"),
    CardFigure("detection.sensitivity.at_0_5_fp", "sensitivity at 0.5 false positives a scan"),
    CardFigure("detection.sensitivity.at_1_fp", "sensitivity at 1 false positive a scan"),
    CardFigure("detection.sensitivity.at_2_fp", "sensitivity at 2 false positives a scan"),
    CardFigure("detection.sensitivity.at_4_fp", "sensitivity at 4 false positives a scan"),
    CardFigure("detection.f2", "F2"),
    CardFigure("detection.pq", "panoptic quality"),
    CardFigure("lesion.dice.lytic", "Dice, lytic", "≥ 0.75", "0.71 [2]"),
    CardFigure("lesion.dice.sclerotic", "Dice, sclerotic", "≥ 0.70", "0.61 [2]"),
    CardFigure("lesion.dice.mixed", "Dice, mixed"),
    CardFigure("lesion.dice", "Dice, lesions of any type"),
    CardFigure("detection.outline.dice", "Dice of the lesions found, each by itself"),
    CardFigure("detection.f2.lytic", "F2, lytic, found at an IoU of 0.5", "", "0.68 [2]"),
    CardFigure("detection.f2.sclerotic", "F2, sclerotic, found at an IoU of 0.5", "", "0.57 [2]"),
    CardFigure("detection.pq.lytic", "panoptic quality, lytic", "", "0.45 [2]"),
    CardFigure("detection.pq.sclerotic", "panoptic quality, sclerotic", "", "0.30 [2]"),
    CardFigure("levels.dice", "Dice of vertebrae", "≥ 0.92", "0.87–0.96 [2]"),
    CardFigure("levels.named_rightly", "vertebrae named rightly", "≥ 0.97"),
    CardFigure("levels.named_rightly.certain", "the same where the numbering is called certain"),
    CardFigure("patient.auc", "area under the ROC curve, exams", "≥ 0.95"),
    CardFigure("patient.sensitivity", "exams with a metastasis in which any lesion is called"),
    CardFigure("patient.specificity", "exams without in which none is"),
    CardFigure("exam.stage.given", "exams with a suggestion of M0 or M1b"),
    CardFigure("exam.stage.right", "suggestions of M0 or M1b that are right"),
    CardFigure("exam.grade.given", "exams with a suggested grade"),
    CardFigure("exam.grade.right", "suggested grades that are right"),
    CardFigure("calibration.calls.ece", "expected calibration error, confidence of lesions"),
    CardFigure("calibration.exams.ece", "expected calibration error, probability of metastasis"),
)
_SOURCES = (
    "[1] Noguchi et al. 2022, [10.1007/s00330-022-08741-3](https://doi.org/10.1007/s00330-022-08741-3), on patients. "
    "[2] Edelmers et al. 2024, [10.20944/preprints202409.0633.v1]"
    "(https://doi.org/10.20944/preprints202409.0633.v1), on patients."
)
_CHARTS = (
    ("Free-response curve; the band is the 95 % interval over patients", "figures/froc.png"),
    ("Reliability: share of calls that find a metastasis, and of exams that show one, by probability",
     "figures/reliability.png"),
)  # fmt: skip
_TITLES = {"missed": "Largest lesions missed", "false": "Surest false calls", "outline": "Worst outlines"}


def card_metrics(metrics: Mapping[str, Metric]) -> dict[str, dict[str, float | str | None]]:
    """Figures of the card for ``model.json``."""
    return {row.metric: metrics[row.metric].as_json() for row in CARD_FIGURES if row.metric in metrics}


def phantom_text(
    metrics: Mapping[str, Metric], cases: Sequence[ModelCase], failures: Sequence[Failure], *, cohort: str, seed: int
) -> str:
    """Section on phantoms, Markdown: figures beside aims and published ones, charts, worst failures."""
    n_lesions = sum(case.reference_burden[0] for case in cases)
    n_healthy = sum(case.reference_burden[0] == 0 for case in cases)
    seconds = float(np.median([case.seconds for case in cases]))
    rows = "\n".join(
        f"| {row.words} | {_figure(row, metrics.get(row.metric))} | {row.aim} | {row.published} |"
        for row in CARD_FIGURES
    )
    charts = "\n\n".join(f"![{words}]({path})" for words, path in _CHARTS)
    return f"""### Phantoms

{len(cases)} simulated scans of the cohort `{cohort}`, seed {seed}: other bodies and scanners than in training,
{n_lesions} metastases from {SMALLEST_ML:g} ml on, {count(n_healthy, "scan")} without any; {seconds:.0f} s a scan. A
call finds a lesion when they share a voxel. Dice of a type: voxels of lesions of the type, against those of calls of
the type, mean over the scans that have either. Vertebrae count from {SMALLEST_LEVEL_ML:g} ml on. Calibration errors are
over {N_BINS} bins of probability. Intervals are 95 %, by resampling patients.

| figure | here | aim | published |
|---|---|---|---|
{rows}

{_SOURCES}

{charts}

{_failure_text(failures)}

These figures say nothing about accuracy on patients."""


def _figure(row: CardFigure, metric: Metric | None) -> str:
    """A figure with its interval and, where it is a share, what it was counted from."""
    text = format_metric(metric)
    if metric is None or text == UNDEFINED or not row.is_share:
        return text
    return f"{text}, {metric.estimate.numerator:g}/{metric.estimate.denominator:g}"


def _failure_text(failures: Sequence[Failure]) -> str:
    """Known failures with their pictures, worst first."""
    parts = []
    for kind, title in _TITLES.items():
        of_kind = [failure for failure in failures if failure.kind == kind]
        if of_kind:
            pictures = "\n\n".join(f"![{failure.text}]({PICTURES}/{failure.picture})" for failure in of_kind)
            parts.append(f"#### {title}\n\n{pictures}")
    legend = "In the pictures metastases are outlined in blue, calls in dashed orange."
    return "\n\n".join([*parts, legend]) if parts else "No lesion was missed, called falsely or outlined badly."


def real_text(results: Sequence[RealResult]) -> str:
    """Section on real scans, Markdown: one row a scan."""
    rows = "\n".join(f"| {' | '.join(_real_row(result))} |" for result in results)
    found = sum(result.n_found for result in results)
    boxes = sum(result.n_boxed for result in results)
    return f"""### Real scans

A boxed lesion is found when a call covers the centre of its box, or when the two boxes have an intersection over union
of at least {LEAST_BOX_IOU:g}; {found} of {boxes} boxed lesions are found. A call that finds none is false where the
scan is known to have no lesion but those in boxes.

| scan | boxed lesions found | calls | false calls | calls on metal | names right | Dice of the bones given |
|---|---|---|---|---|---|---|
{rows}"""


def _real_row(result: RealResult) -> tuple[str, ...]:
    """Cells of one scan; a scan that could not be judged says why."""
    if result.skipped:
        return result.name, f"not judged: {result.skipped}", *([UNDEFINED] * 5)
    found = f"{result.n_found}/{result.n_boxed}" if result.n_boxed else UNDEFINED
    false = UNDEFINED if result.n_false is None else _beside(str(result.n_false), result.most_false)
    named = UNDEFINED
    if result.levels:
        wrong = ", ".join(f"{level.name} as {level.called or 'nothing'}" for level in result.wrong)
        right = f"{len(result.levels) - len(result.wrong)}/{len(result.levels)}"
        named = f"{right} ({wrong})" if wrong else right
    dice = UNDEFINED if result.mean_dice is None else f"{result.mean_dice:.3f} ({len(result.bones)} bones)"
    return result.name, found, str(result.n_calls), false, str(result.n_on_metal), named, dice


def _beside(text: str, most: int | None) -> str:
    """A count with the most that it is meant to be."""
    return text if most is None else f"{text} (at most {most})"
