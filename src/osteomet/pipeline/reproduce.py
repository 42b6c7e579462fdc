"""A whole study in one go: data, split, preprocessing, training, prediction, evaluation, and its tables as a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.core.errors import UsageError
from osteomet.evaluation.kim2024_study import EXTERNAL, INTERNAL, kim2024_study_tables
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, fill_paper_table, write_csv
from osteomet.inference.engine import Device
from osteomet.pipeline.evaluation_steps import software
from osteomet.pipeline.study import PHANTOMS, StudyData, StudyRun, Tell, open_run, prepare_study, train_variant
from osteomet.pipeline.study_prediction import evaluate_in_full, evaluate_in_short, predict_part
from osteomet.pipeline.synth import write_cohort
from osteomet.report.evaluation_page import ChartFile, EvaluationPage, render_evaluation
from osteomet.training.study import ScaleName, StudyRecipe, Variant

STUDY_TABLES = {"kim2024": kim2024_study_tables}
"""Tables of a study with all of its models, by the name of its protocol."""
PHANTOM_SEED = 2024
_FOLD = 0


@dataclass(frozen=True, slots=True)
class StudyJob:
    """What to reproduce; ``data`` None makes the phantom cohort of the study. A stopped job goes on where it stood."""

    recipe: StudyRecipe
    out: Path
    data: Path | None = None
    scale: ScaleName = "full"
    device: Device = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """What every step needs."""

    job: StudyJob
    run: StudyRun
    data: StudyData
    resampling: Resampling
    notice: str


def reproduce_study(job: StudyJob, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report.

    ``OUT`` holds ``data`` (phantoms, where none was given), ``prepared``, ``models``, ``predictions``, ``evaluation``
    (a folder for each model and part that is evaluated in full), ``tables``, ``metrics.json`` and ``report.html``.

    Returns
    -------
    Metrics by ``VARIANT/PART/METRIC``.

    Raises
    ------
    UsageError
        If ``OUT`` holds something else.
    InputError
        If the data cannot be used.
    """
    if job.recipe.protocol not in STUDY_TABLES:
        raise UsageError(
            "no tables are known for this study", expected=", ".join(STUDY_TABLES), got=job.recipe.protocol
        )
    scale = job.recipe.scales[job.scale]
    source = job.data or _phantoms(job, tell)
    run = open_run(job.recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    context = _Context(job, run, prepare_study(run), Resampling(n_draws=scale.n_bootstrap), _notice(job))
    metrics: dict[str, Metric] = {}
    for variant in run.recipe.all_variants:
        network = train_variant(run, context.data, variant, _FOLD)
        for part, found in _evaluate(context, variant, network).items():
            metrics |= {f"{variant.name}/{part}/{name}": metric for name, metric in found.items()}
    _write(context, metrics)
    return metrics


def _phantoms(job: StudyJob, tell: Tell) -> Path:
    """Make the cohort of the study, or take the one that an earlier run made."""
    folder = job.out / PHANTOMS
    if not folder.exists():
        scale = job.recipe.scales[job.scale]
        write_cohort(
            job.recipe.cohort,
            folder,
            n_cases=scale.patients,
            seed=PHANTOM_SEED,
            dicom=False,
            anatomy=None,
            overwrite=False,
            progress=lambda done, total: tell("phantom patients", done, total, ""),
            coarse=scale.phantom_coarse,
        )
    return folder


def _notice(job: StudyJob) -> str:
    """What every page says first."""
    parts = []
    if job.data is None:
        parts.append(f"Simulated images: the phantom cohort {job.recipe.cohort}; no figure of ours is about patients.")
    if job.scale != "full":
        parts.append(f"Scale {job.scale}: fewer patients and steps and smaller networks than the study had.")
    return " ".join(parts)


def _evaluate(context: _Context, variant: Variant, network: object) -> dict[str, dict[str, Metric]]:
    """Evaluate a model internally, and one that is selected in full and externally, too; by part."""
    run, split = context.run, context.data.split
    is_selected = variant.name in run.recipe.variants.selected
    parts = {INTERNAL: split.test} | ({EXTERNAL: split.external} if is_selected else {})
    found = {}
    for part, patients in parts.items():
        cases = context.data.cases_of(patients, variant)
        if not cases:
            continue
        run.tell(f"evaluate {variant.name}", len(found), len(parts), part)
        folders = predict_part(run, variant, [network], cases, run.out / "predictions" / variant.folder / part)
        if is_selected:
            out = run.out / "evaluation" / f"{variant.folder}_{part}"
            found[part] = evaluate_in_full(run, folders, out, context.resampling, context.notice)
        else:
            found[part] = evaluate_in_short(run, folders, context.resampling)
    return found


def _write(context: _Context, metrics: Mapping[str, Metric]) -> None:
    """Write tables, metrics and the report."""
    run, out = context.run, context.run.out
    names = [variant.name for variant in run.recipe.all_variants]
    published = [fill_paper_table(paper, metrics) for paper in STUDY_TABLES[run.recipe.protocol](names)]
    tables = [_split_table(context.data), _left_out_table(context.data)]
    (out / "tables").mkdir(exist_ok=True)
    for table in (*published, *tables):
        write_csv(table, out / "tables")
    document = {
        "software": software(),
        "notice": context.notice,
        "metrics": {n: m.as_json() for n, m in metrics.items()},
    }
    (out / "metrics.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = EvaluationPage(
        protocol=replace(PROTOCOLS[run.recipe.protocol], decisions=()),
        facts={"title": run.recipe.title},
        published=published,
        tables=tables,
        charts=_curves(run),
        definitions=_definitions(context),
        missing=(),
        left_out=(),
        checklist=None,
        software=software(),
        notice=context.notice,
        title="Study",
        links=_links(out),
    )
    (out / "report.html").write_text(render_evaluation(page), encoding="utf-8")


def _split_table(data: StudyData) -> Table:
    """Patients, series and lesions of each part."""
    split = data.split
    parts = {
        "training": [p for fold in split.folds for p in fold],
        "internal test": split.test,
        "external test": split.external,
    }
    rows = []
    for part, patients in parts.items():
        cases = [case for case in data.cases if case.patient in patients and not case.left_out]
        area_cm2 = round(sum(case.lesion_area_mm2 for case in cases) / 100, 1)
        rows.append((part, len(patients), len(cases), sum(case.n_lesions for case in cases), area_cm2))
    columns = ("part", "patients", "series", "lesions", "lesion area, cm²")
    note = "No patient is in two parts. Lesions are 26-connected components of each series."
    return Table("split", "Split", columns, tuple(rows), note)


def _left_out_table(data: StudyData) -> Table:
    """Series that are not used, and how far the others were moved."""
    rows = tuple((case.case, case.left_out) for case in data.cases if case.left_out)
    return Table("left_out", "Series left out", ("series", "reason"), rows)


def _curves(run: StudyRun) -> list[ChartFile]:
    """Training curves of the models that are evaluated in full."""
    charts = []
    for variant in run.recipe.all_variants:
        svg = run.model_folder(variant, _FOLD) / "curves.svg"
        if variant.name in run.recipe.variants.selected:
            charts.append(ChartFile(svg, f"Training of {variant.name}. Only the lowest panel shows whole images."))
    return charts


def _definitions(context: _Context) -> dict[str, str]:
    """How the figures came about."""
    recipe, job = context.run.recipe, context.job
    prepared, training = recipe.preprocessing, recipe.training
    return {
        "data": str(job.data.name) if job.data else f"phantom cohort {recipe.cohort}, seed {PHANTOM_SEED}",
        "scale": job.scale,
        "preprocessing": f"{prepared.first_side}², 0–255, {prepared.side}² × {prepared.n_slices}, CLAHE; "
        f"registration {prepared.registration}",
        "networks": f"2D {recipe.network_2d.kind} {list(recipe.network_2d.channels)}, {training.n_steps_2d} steps of "
        f"{recipe.network_2d.batch}; 3D {recipe.network_3d.kind} {list(recipe.network_3d.channels)}, "
        f"{training.n_steps_3d} steps of {recipe.network_3d.batch}",
        "validation": f"fold {_FOLD} of {recipe.split.n_folds} of the training patients watches over early stopping",
        "settings": "all settings are in recipe.json",
    }


def _links(out: Path) -> dict[str, str]:
    """Pages of the models that are evaluated in full."""
    pages = sorted(out.glob("evaluation/*/report.html"))
    return {page.relative_to(out).as_posix(): f"Evaluation of {page.parent.name.replace('_', ' ')}" for page in pages}
