"""A whole study in one go: data, split, preprocessing, training, prediction, evaluation, and its tables as a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from osteomet.core.errors import UsageError
from osteomet.evaluation.kim2024_study import EXTERNAL, INTERNAL, kim2024_study_tables
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.pipeline.reproduce_chain import reproduce_chain
from osteomet.pipeline.reproduce_lesions import reproduce_lesions
from osteomet.pipeline.study import StudyData, StudyRun, open_run, prepare_study, train_variant
from osteomet.pipeline.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.study_page import StudyReport, write_study
from osteomet.pipeline.study_prediction import evaluate_in_full, evaluate_in_short, predict_part
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.chain import ChainRecipe
from osteomet.training.lesion_study import LesionStudyRecipe
from osteomet.training.study import Variant

STUDY_TABLES = {"kim2024": kim2024_study_tables}
"""Tables of a study with all of its models, by the name of its protocol."""
_FOLD = 0


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
    Metrics by ``MODEL/PART/METRIC``.

    Raises
    ------
    UsageError
        If ``OUT`` holds something else.
    InputError
        If the data cannot be used.
    """
    recipe = job.recipe
    if isinstance(recipe, ChainRecipe):
        return reproduce_chain(job, recipe, tell=tell)
    if isinstance(recipe, LesionStudyRecipe):
        return reproduce_lesions(job, recipe, tell=tell)
    if recipe.protocol not in STUDY_TABLES:
        raise UsageError("no tables are known for this study", expected=", ".join(STUDY_TABLES), got=recipe.protocol)
    source = data_of(job, tell)
    run = open_run(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    resampling = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap)
    context = _Context(job, run, prepare_study(run), resampling, notice_of(job))
    metrics: dict[str, Metric] = {}
    for variant in run.recipe.all_variants:
        network = train_variant(run, context.data, variant, _FOLD)
        for part, found in _evaluate(context, variant, network).items():
            metrics |= {f"{variant.name}/{part}/{name}": metric for name, metric in found.items()}
    write_study(_report(context, metrics), run.out)
    return metrics


def _evaluate(context: _Context, variant: Variant, network: object) -> dict[str, dict[str, Metric]]:
    """Evaluate a model internally, and one that is selected in full and externally, too; by part."""
    run, split = context.run, context.data.split
    is_selected = variant.name in run.recipe.variants.selected
    parts = {INTERNAL: split.test} | ({EXTERNAL: split.external} if is_selected else {})
    found = {}
    for number, (part, patients) in enumerate(parts.items(), start=1):
        cases = context.data.cases_of(patients, variant)
        if not cases:
            continue
        run.tell(f"evaluate {variant.name}", number, len(parts), part)
        folders = predict_part(run, variant, [network], cases, run.out / "predictions" / variant.folder / part)
        if is_selected:
            out = run.out / "evaluation" / f"{variant.folder}_{part}"
            found[part] = evaluate_in_full(run.recipe.protocol, folders, out, context.resampling, context.notice)
        else:
            found[part] = evaluate_in_short(run.recipe.protocol, folders, context.resampling)
    return found


def _report(context: _Context, metrics: Mapping[str, Metric]) -> StudyReport:
    """Gather what the report shows."""
    recipe = context.run.recipe
    names = [variant.name for variant in recipe.all_variants]
    return StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=context.notice,
        metrics=metrics,
        published=[fill_paper_table(paper, metrics) for paper in STUDY_TABLES[recipe.protocol](names)],
        tables=[_split_table(context.data), _left_out_table(context.data)],
        charts=_curves(context.run),
        definitions=_definitions(context),
    )


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
        "data": data_in_words(job),
        "scale": job.scale,
        "preprocessing": f"{prepared.first_side}², 0–255, {prepared.side}² × {prepared.n_slices}, CLAHE; "
        f"registration {prepared.registration}",
        "networks": f"2D {recipe.network_2d.kind} {list(recipe.network_2d.channels)}, {training.n_steps_2d} steps of "
        f"{recipe.network_2d.batch}; 3D {recipe.network_3d.kind} {list(recipe.network_3d.channels)}, "
        f"{training.n_steps_3d} steps of {recipe.network_3d.batch}",
        "validation": f"fold {_FOLD} of {recipe.split.n_folds} of the training patients watches over early stopping",
        "settings": "all settings are in recipe.json",
    }
