"""Run a model over a cohort of phantoms and keep what it said about each, one file a case."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from osteomet import __version__
from osteomet.core.errors import ModelError, UsageError
from osteomet.core.findings import SeriesFacts
from osteomet.core.lesion import PointMm
from osteomet.core.vocabulary import SEARCHED_GROUPS, STRUCTURES
from osteomet.core.volume import Modality
from osteomet.evaluation.cases import CaseRecord, CaseSettings, evaluate_case
from osteomet.evaluation.matching import CaseDetections, match_case
from osteomet.evaluation.model_cases import RULE, Failure, ModelCase, score_levels
from osteomet.inference.engine import Device
from osteomet.io.case_images import CaseImages, LesionMap
from osteomet.io.dataset import CaseFacts, LesionNote
from osteomet.io.model_package import ModelPackage
from osteomet.io.output import output_file
from osteomet.io.study import Study, StudySeries
from osteomet.phantom.cohorts.case import Case
from osteomet.phantom.cohorts.draw import draw_case
from osteomet.pipeline.analyze import Analysis, analyze_scan
from osteomet.pipeline.scan import choose_scan
from osteomet.report.failure_pictures import failure_picture

COHORTS = {Modality.CT: "ct-spine", Modality.MR: "mr-spine"}
"""Which cohort judges a model of each modality."""
TYPES = ("lytic", "sclerotic", "mixed", "marrow")
N_CASES = 40
PICTURES, RUN_FILE = "pictures", "run.json"
_CASE = TypeAdapter(ModelCase)
_POOR_DICE = 0.7

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class CohortJob:
    """Which phantoms, and how they are analysed."""

    n_cases: int
    seed: int
    device: Device
    cache_dir: Path


def open_run(out: Path, package: ModelPackage, *, seed: int) -> None:
    """Make a folder for what a model says about phantoms of a seed, or make sure that it is that folder.

    Raises
    ------
    UsageError
        If it holds something else: another model, seed or version.
    """
    facts = {
        "software": f"osteomet {__version__}",
        "model": package.description.name,
        "model_sha256": package.sha256,
        "seed": seed,
    }
    record = out / RUN_FILE
    if out.is_dir() and any(out.iterdir()):
        found = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if found != facts:
            raise UsageError(
                f"{out} holds something else",
                expected=", ".join(f"{key} {value}" for key, value in facts.items()),
                got=", ".join(f"{key} {value}" for key, value in found.items()) or "files of something else",
                remedy="choose another --out, or remove the folder",
            )
    for folder in (out / "cases", out / PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    with output_file(record) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def run_cohort(package: ModelPackage, out: Path, job: CohortJob, *, progress: Progress) -> tuple[ModelCase, ...]:
    """Analyse the phantoms 0 to ``n_cases`` − 1 of a cohort and compare each with its truth.

    Parameters
    ----------
    package
        A model with the parts ``bones`` and ``lesions``.
    out
        A folder of `open_run`. Gets ``cases/NAME.json`` and ``pictures/NAME-….png``, each whole, as it goes. A case
        that is there is not done again: a killed run goes on, and one of more cases begins where one of fewer ended.
    job
        Number, seed, device.

    Raises
    ------
    ModelError
        If there is no cohort for models of its modality.
    """
    cohort = cohort_of(package)
    cases = []
    for number in range(job.n_cases):
        progress("phantoms", number, job.n_cases)
        path = out / "cases" / f"case_{number:04d}.json"
        case = _read_case(path)
        if case is None:
            case = _run_case(package, out, draw_case(cohort, seed=job.seed, number=number), job)
            with output_file(path) as partial:
                partial.write_bytes(_CASE.dump_json(case, indent=1))
        cases.append(case)
    progress("phantoms", job.n_cases, job.n_cases)
    return tuple(cases)


def cohort_of(package: ModelPackage) -> str:
    """Name of the cohort that judges a model."""
    description = package.description
    if description.modality not in COHORTS or not description.parts:
        raise ModelError(
            f"there is no phantom cohort to judge {description.name!r} on",
            expected=f"a model for {', '.join(COHORTS)} that finds bones and lesions",
            got=f"{description.modality}: {description.task}",
        )
    return COHORTS[description.modality]


def judge_case(case: Case, analysis: Analysis) -> CaseRecord:
    """Compare the lesions of an analysis with the truth where lesions are looked for.

    The exam is scored by its probability, 0 where it has none.
    """
    facts = CaseFacts(case.name, case.patient.name, {})
    sought = [x for x in case.found if STRUCTURES[x.site].group in SEARCHED_GROUPS]
    true = tuple(LesionNote(id=x.number, type=x.type.value, site=x.site) for x in sought)
    truth = replace(
        case.lesions,
        array=np.where(np.isin(case.lesions.array, [x.number for x in sought]), case.lesions.array, 0),
        labels={f"lesion_{x.number}": x.number for x in sought},
    )
    called = tuple(
        LesionNote(id=x.id, type=x.type.value, site=x.site, confidence=x.confidence) for x in analysis.findings.lesions
    )
    images = CaseImages(
        facts,
        LesionMap(truth, TYPES, is_instances=True, notes=true),
        LesionMap(analysis.lesions, TYPES, is_instances=True, notes=called, scored=True),
    )
    record = evaluate_case(images, CaseSettings())
    return replace(record, instances=replace(record.instances, score=analysis.findings.exam.probability or 0.0))


def _run_case(package: ModelPackage, out: Path, case: Case, job: CohortJob) -> ModelCase:
    """Analyse one phantom and judge what was found."""
    series = [
        StudySeries(image.role, image.volume, SeriesFacts(case.name, image.role, "phantom"), image.b_s_per_mm2)
        for image in case.images
    ]
    study = Study(tuple(series), (), None, None)
    start = time.monotonic()
    scan = choose_scan(study, package)
    analysis = analyze_scan(study, scan, package, device=job.device, cache_dir=job.cache_dir)
    seconds = round(time.monotonic() - start, 1)
    record = judge_case(case, analysis)
    levels = score_levels(case.bones, analysis.bones)
    failures = _picture_failures(case, analysis, record, out / PICTURES)
    return ModelCase(record, levels, analysis.findings.exam, failures, seconds)


def _picture_failures(case: Case, analysis: Analysis, record: CaseRecord, folder: Path) -> tuple[Failure, ...]:
    """Draw the largest lesion missed, the surest false call and the worst outline of a case, where there are such."""
    worst = list(_worst_failures(case.name, match_case(record.instances, RULE)))
    for failure, place in worst:
        picture = failure_picture(case.volume, case.lesions, analysis.lesions, place, failure.text)
        with output_file(folder / failure.picture) as partial:
            partial.write_bytes(picture)
    return tuple(failure for failure, _ in worst)


def _worst_failures(case: str, outcome: CaseDetections) -> Iterator[tuple[Failure, PointMm]]:
    """The worst failure of each kind, and where it is."""
    missed = [lesion.instance for lesion in outcome.references if not lesion.found]
    false = [call.instance for call in outcome.predictions if not call.true]
    outlined = [(1 - x.best.dice, x.instance) for x in outcome.references if x.found and x.best is not None]
    outlined = [item for item in outlined if item[0] > 1 - _POOR_DICE]
    if missed:
        x = max(missed, key=lambda lesion: lesion.volume_ml)
        text = f"{case}: {x.type} lesion of {x.volume_ml:.1f} ml in {x.site} missed"
        yield Failure("missed", x.volume_ml, text, f"{case}-missed.png"), x.centroid_xyz_mm
    if false:
        x = max(false, key=lambda call: call.confidence or 0.0)
        text = f"{case}: {x.type} lesion in {x.site} called with {x.confidence:.2f} where there is none"
        yield Failure("false", x.confidence or 0.0, text, f"{case}-false.png"), x.centroid_xyz_mm
    if outlined:
        lost, x = max(outlined, key=lambda item: item[0])
        text = f"{case}: {x.type} lesion of {x.volume_ml:.1f} ml in {x.site} outlined with a Dice of {1 - lost:.2f}"
        yield Failure("outline", lost, text, f"{case}-outline.png"), x.centroid_xyz_mm


def _read_case(path: Path) -> ModelCase | None:
    """A case that was done before; None where there is none, or its file is not readable as one."""
    try:
        return _CASE.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
