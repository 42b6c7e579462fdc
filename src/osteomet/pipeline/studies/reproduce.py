"""A whole study in one go: data, split, preprocessing, training, prediction, evaluation, and its tables as a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from osteomet.core.errors import UsageError
from osteomet.evaluation.kim2024_study import EXTERNAL, INTERNAL, kim2024_study_tables
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.evaluation.wangh2024_study import GROWING, wangh2024_study_tables
from osteomet.pipeline.studies.growing import draw_by_growing
from osteomet.pipeline.studies.reproduce_chain import reproduce_chain
from osteomet.pipeline.studies.reproduce_grading import reproduce_grading
from osteomet.pipeline.studies.reproduce_lesions import reproduce_lesions
from osteomet.pipeline.studies.reproduce_nnunet import reproduce_nnunet
from osteomet.pipeline.studies.study import (
    StudyData,
    folds_of,
    model_folder,
    open_study,
    prepare_study,
    train_variant,
)
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, full_disk_named, notice_of
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.pipeline.studies.study_prediction import (
    Draw,
    draw_by_networks,
    evaluate_in_full,
    evaluate_in_short,
    predict_part,
)
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.report.evaluation_page import ChartFile
from osteomet.report.wording import join_words
from osteomet.training.chain import ChainRecipe
from osteomet.training.grading import GradingRecipe
from osteomet.training.lesion_study import LesionStudyRecipe
from osteomet.training.nnunet.recipe import NnunetRecipe
from osteomet.training.study import StudyRecipe, Variant

STUDY_TABLES = {"kim2024": kim2024_study_tables, "wangh2024": wangh2024_study_tables}
"""Tables of a study with all of its models, by the name of its protocol."""


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """What every step needs."""

    job: StudyJob
    run: StudyRun[StudyRecipe]
    data: StudyData
    resampling: Resampling
    notice: str


@dataclass(frozen=True, slots=True, eq=False)
class _Method:
    """A way to find lesions, what it needs to see, and whether it is evaluated in full."""

    name: str
    folder: str
    needs: Variant
    draw: Draw
    in_full: bool


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
    OutputError
        If the disk is full; the study goes on when it is started again.
    """
    recipe = job.recipe
    with full_disk_named(job.out):
        if isinstance(recipe, ChainRecipe):
            return reproduce_chain(job, recipe, tell=tell)
        if isinstance(recipe, GradingRecipe):
            return reproduce_grading(job, recipe, tell=tell)
        if isinstance(recipe, LesionStudyRecipe):
            return reproduce_lesions(job, recipe, tell=tell)
        if isinstance(recipe, NnunetRecipe):
            return reproduce_nnunet(job, recipe, tell=tell)
        if not isinstance(recipe, StudyRecipe) or recipe.protocol not in STUDY_TABLES:
            raise UsageError(
                "no tables are known for this study", expected=", ".join(STUDY_TABLES), got=recipe.protocol
            )
        return _reproduce(job, recipe, tell)


def _reproduce(job: StudyJob, recipe: StudyRecipe, tell: Tell) -> dict[str, Metric]:
    """Train and evaluate every model of a study."""
    source = data_of(job, tell)
    run = open_study(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    resampling = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap)
    context = _Context(job, run, prepare_study(run), resampling, notice_of(job))
    metrics: dict[str, Metric] = {}
    for method in _methods(context):
        for part, found in _evaluate(context, method).items():
            metrics |= {f"{method.name}/{part}/{name}": metric for name, metric in found.items()}
    write_study(_report(context, metrics), run.out)
    return metrics


def _methods(context: _Context) -> Iterator[_Method]:
    """Every model, trained when its turn comes, and then region growing where the study has it."""
    run, recipe = context.run, context.run.recipe
    for variant in recipe.all_variants:
        networks = [train_variant(run, context.data, variant, fold) for fold in folds_of(run, variant)]
        in_full = variant.name in recipe.variants.selected
        yield _Method(variant.name, variant.folder, variant, draw_by_networks(run, variant, networks), in_full)
    if recipe.region_growing is not None:
        draw = draw_by_growing(run, recipe.region_growing)
        yield _Method(GROWING, GROWING.replace(" ", "_"), recipe.all_variants[0], draw, in_full=True)


def _evaluate(context: _Context, method: _Method) -> dict[str, dict[str, Metric]]:
    """Evaluate a method internally, and one that is evaluated in full externally, too; by part."""
    run, split = context.run, context.data.split
    parts = {INTERNAL: split.test} | ({EXTERNAL: split.external} if method.in_full else {})
    found = {}
    for number, (part, patients) in enumerate(parts.items(), start=1):
        cases = context.data.cases_of(patients, method.needs)
        if not cases:
            continue
        run.tell(f"evaluate {method.name}", number, len(parts), part)
        folders = predict_part(run, cases, run.out / "predictions" / method.folder / part, method.draw)
        if method.in_full:
            out = run.out / "evaluation" / f"{method.folder}_{part}"
            found[part] = evaluate_in_full(run.recipe.protocol, folders, out, context.resampling, context.notice)
        else:
            found[part] = evaluate_in_short(run.recipe.protocol, folders, context.resampling)
    return found


def _report(context: _Context, metrics: Mapping[str, Metric]) -> StudyReport:
    """Gather what the report shows."""
    recipe = context.run.recipe
    names = [variant.name for variant in recipe.all_variants]
    in_full = {v.name: v.folder for v in recipe.all_variants if v.name in recipe.variants.selected}
    in_full |= {GROWING: GROWING.replace(" ", "_")} if recipe.region_growing is not None else {}
    evaluated = {name.rsplit("/", 1)[0] for name in metrics}
    parts = {
        f"{folder}_{part}": f"Evaluation of {name}, {part} test"
        for name, folder in in_full.items()
        for part in (INTERNAL, EXTERNAL)
        if f"{name}/{part}" in evaluated
    }
    return StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=context.notice,
        metrics=metrics,
        published=[fill_paper_table(paper, metrics) for paper in STUDY_TABLES[recipe.protocol](names)],
        tables=[_split_table(context.data), _left_out_table(context.data)],
        charts=_curves(context.run),
        parts=parts,
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
    """Series that are not used, and why."""
    rows = tuple((case.case, case.left_out) for case in data.cases if case.left_out)
    return Table("left_out", "Series left out", ("series", "reason"), rows)


def _curves(run: StudyRun[StudyRecipe]) -> list[ChartFile]:
    """Training curves of the models that are evaluated in full."""
    return [
        ChartFile(
            model_folder(run, variant, 0) / "curves.svg",
            f"Training of {variant.name}. Only the lowest panel shows whole images.",
        )
        for variant in run.recipe.all_variants
        if variant.name in run.recipe.variants.selected
    ]


def _definitions(context: _Context) -> dict[str, str]:
    """How the figures came about."""
    recipe, job = context.run.recipe, context.job
    size = recipe.preprocessing
    steps = [f"to {size.first_side}²" if size.first_side else "", "0–255"]
    steps += [f"to {size.side}²" + (f" × {size.n_slices}" if size.n_slices else ", slices as they are")]
    steps += ["CLAHE" if size.clahe else "", f"registration {size.registration}"]
    folds = sorted({n for variant in recipe.all_variants for n in folds_of(context.run, variant)})
    of_folds = f"of {recipe.split.n_folds} of the training patients"
    watched = f"fold 0 {of_folds} watches over early stopping"
    if len(folds) > 1:
        watched = f"folds {join_words([str(n) for n in folds])} {of_folds} watch in turn; the networks are averaged"
    networks = (
        f"{name.upper()} {network.kind} {list(network.channels)}, {network.n_steps} steps of {network.batch}"
        for name, network in recipe.networks.items()
    )
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "preprocessing": ", ".join(filter(None, steps)),
        "networks": "; ".join(networks),
        "validation": watched,
        "settings": "all settings are in recipe.json",
    }
