"""Measure a model on phantoms of a seed that no training uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.findings import SeriesFacts
from osteomet.core.vocabulary import COLUMN, LesionType
from osteomet.core.volume import Modality
from osteomet.inference.engine import Device
from osteomet.io.model_package import ModelPackage
from osteomet.io.study import Study, StudySeries
from osteomet.phantom.cohorts.case import Case
from osteomet.phantom.cohorts.draw import draw_patient
from osteomet.pipeline.analyze import Analysis, analyze_scan
from osteomet.pipeline.scan import choose_scan
from osteomet.stats.intervals import proportion_interval

VALIDATION_SEED = 72026
N_CASES = 8
COHORTS = {Modality.CT: "ct-spine", Modality.MR: "mr-spine"}
"""What each kind of model is measured on."""
KINDS = {
    Modality.CT: {1: LesionType.LYTIC, 2: LesionType.SCLEROTIC},
    Modality.MR: {1: LesionType.MARROW},
}
"""Type of the voxels by their value in the truth."""
SMALLEST_ML = 0.1
"""Reference lesions below this are left out of sensitivity, as the model drops candidates below it."""


@dataclass(slots=True)
class PhantomScore:
    """Sums over cases: a reference lesion is found when a call overlaps it, a call that overlaps none is false.

    ``voxels_ml`` sums overlap, reference and called volumes by type. A vertebra is named rightly when most of its
    labelled voxels carry its name.
    """

    n_cases: int = 0
    n_reference: int = 0
    n_found: int = 0
    n_false: int = 0
    n_vertebrae: int = 0
    n_named: int = 0
    voxels_ml: dict[str, list[float]] = field(default_factory=dict)
    vertebra_dice: list[float] = field(default_factory=list)

    def as_metrics(self) -> dict[str, Any]:
        """Figures by name, proportions with numerator, denominator and Wilson interval."""
        figures: dict[str, Any] = {"n_cases": self.n_cases}
        for name, k, n in (
            ("detection.sensitivity", self.n_found, self.n_reference),
            ("levels.named_rightly", self.n_named, self.n_vertebrae),
        ):
            estimate = proportion_interval(k, n, method="wilson")
            figures[name] = {
                "value": estimate.value, "low": estimate.low, "high": estimate.high, "numerator": k, "denominator": n,
            }  # fmt: skip
        figures["detection.fp_per_case"] = round(self.n_false / self.n_cases, 3)
        figures["levels.mean_dice"] = round(float(np.mean(self.vertebra_dice)), 3) if self.vertebra_dice else None
        for kind, (both, reference, called) in self.voxels_ml.items():
            figures[f"lesion.dice.{kind}"] = round(2 * both / (reference + called), 3) if reference + called else None
        return figures

    def as_markdown(self) -> str:
        """The same as a table."""
        rows = ["| figure | value |", "|---|---|"]
        for name, figure in self.as_metrics().items():
            if isinstance(figure, dict):
                part = f"{figure['numerator']}/{figure['denominator']}"
                rows.append(f"| {name} | {figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f}), {part} |")
            else:
                rows.append(f"| {name} | {figure} |")
        return "\n".join(rows)


def validate_on_phantoms(
    package: ModelPackage, *, device: Device, cache_dir: Path, report: Callable[[str], None]
) -> PhantomScore:
    """Analyse `N_CASES` phantoms of the cohort for the modality of the model and compare with their truth."""
    modality = package.description.modality
    score = PhantomScore(voxels_ml={kind.value: [0.0] * 3 for kind in KINDS[modality].values()})
    for number in range(N_CASES):
        cases = draw_patient(COHORTS[modality], seed=VALIDATION_SEED, number=number).cases
        case = cases[number % len(cases)]  # of an exam in several stacks, another one of each patient
        study = _study(case)
        analysis = analyze_scan(study, choose_scan(study, package), package, device=device, cache_dir=cache_dir)
        _add_case(score, case, analysis)
        report(f"{case.name}: {score.n_found}/{score.n_reference} found, {score.n_false} false, so far")
    return score


def _study(case: Case) -> Study:
    """A phantom as a study that was read."""
    series = [
        StudySeries(
            image.role,
            image.volume,
            SeriesFacts(case.name, image.role.value, "phantom"),
            image.b_s_per_mm2,
        )
        for image in case.images
    ]
    return Study(tuple(series), (), None, None)


def _add_case(score: PhantomScore, case: Case, analysis: Analysis) -> None:
    """Add the counts of one case."""
    score.n_cases += 1
    voxel_ml = case.volume.grid.voxel_volume_ml
    reference, called = case.lesions.array, analysis.lesions.array
    for number in case.types:
        inside = reference == number
        if inside.sum() * voxel_ml >= SMALLEST_ML:
            score.n_reference += 1
            score.n_found += bool(called[inside].any())
    score.n_false += sum(not bool(reference[called == lesion.id].any()) for lesion in analysis.findings.lesions)
    for code, kind in KINDS[case.volume.modality].items():
        truth = case.semantic.array == code
        ids = [x.id for x in analysis.findings.lesions if x.type in (kind, LesionType.MIXED)]
        guess = np.isin(called, ids)
        counts = [np.count_nonzero(truth & guess), np.count_nonzero(truth), np.count_nonzero(guess)]
        score.voxels_ml[kind] = [a + n * voxel_ml for a, n in zip(score.voxels_ml[kind], counts, strict=True)]
    for name in COLUMN:
        truth = case.bones.array == case.bones.labels[name]
        if truth.sum() * voxel_ml > 5.0:
            _add_vertebra(score, name, truth, analysis)


def _add_vertebra(score: PhantomScore, name: str, truth: np.ndarray[Any, Any], analysis: Analysis) -> None:
    """Name and Dice of one vertebra."""
    ids = analysis.bones.labels
    votes = np.bincount(analysis.bones.array[truth], minlength=256)
    votes[0] = 0
    score.n_vertebrae += 1
    score.n_named += bool(votes.any()) and int(votes.argmax()) == ids.get(name, -1)
    guess = analysis.bones.array == ids.get(name, 255)
    score.vertebra_dice.append(
        2 * np.count_nonzero(truth & guess) / (np.count_nonzero(truth) + np.count_nonzero(guess))
    )
