"""A study that classifies lesions, from data to its report: maps, a signature and networks on the same folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.evaluation.class_metrics import class_metrics, confusion_table
from osteomet.evaluation.classification import ClassificationResult, compare_classifiers, evaluate_classification
from osteomet.evaluation.classified_cases import ClassifiedCases, read_classified
from osteomet.evaluation.comparisons import PairedTest, accuracy_test, area_test, comparison_table, p_metrics
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.parts import slug
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.evaluation.wangh2024_classes import NETWORKS, RADIOMICS, wangh2024_classes_table
from osteomet.io.lesion_cases import channel_names
from osteomet.pipeline.classify import PACKAGE, ClassifyJob, fit_classifier
from osteomet.pipeline.dynamic_maps import MAPS, MapSettings, map_dataset
from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders
from osteomet.pipeline.explain_lesions import explain_lesions
from osteomet.pipeline.map_features import extract_maps
from osteomet.pipeline.signature import fit_from_tables
from osteomet.pipeline.signature_study import FitJob
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, notice_of, open_folder
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.radiomics.names import feature_names
from osteomet.report.chart_style import save_chart
from osteomet.report.curve_charts import roc_chart
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.lesion_study import LesionStudyRecipe

_EVALUATION = "networks_against_radiomics"


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """What every step needs; ``recipe`` is that of the scale, ``maps`` the data set of maps."""

    job: StudyJob
    recipe: LesionStudyRecipe
    maps: Path
    resampling: Resampling
    notice: str
    tell: Tell


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Out-of-fold predictions of both methods, and what they are worth, by method."""

    cases: Mapping[str, ClassifiedCases]
    results: Mapping[str, ClassificationResult]
    tests: tuple[PairedTest, ...]

    @property
    def metrics(self) -> dict[str, Metric]:
        """Metrics by ``METHOD/METRIC``, and p values of the comparison."""
        found = {
            f"{method}/{name}": metric
            for method, result in self.results.items()
            for name, metric in class_metrics(result).items()
        }
        return found | p_metrics(self.tests)


def reproduce_lesions(job: StudyJob, recipe: LesionStudyRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; results and errors are those of `osteomet.pipeline.studies.reproduce`.

    ``OUT`` holds ``data`` (phantoms, where none was given), ``maps``, ``features``, ``signature``, ``classifier``,
    ``evaluation``, ``tables``, ``figures``, ``metrics.json`` and ``report.html``.
    """
    source, scaled = data_of(job, tell), recipe.scaled(job.scale)
    maps = _source_of_maps(source, scaled, job.out)
    open_folder(scaled, job.out, resume=True)
    if not maps.exists():
        map_dataset(source, maps, MapSettings(align=scaled.align), overwrite=False, tell=tell)
    resampling = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap)
    context = _Context(job, scaled, maps, resampling, notice_of(job), tell)
    judged = _judge(context)
    write_study(_report(context, judged), job.out)
    return judged.metrics


def _source_of_maps(source: Path, recipe: LesionStudyRecipe, out: Path) -> Path:
    """Folder of the maps: the data set itself where its channels are maps, else one in the folder of the study."""
    unknown = [name for name in recipe.maps if name not in MAPS]
    if not unknown and not set(recipe.maps) <= set(channel_names(source).values()):
        return out / "maps"
    missing = [name for name in recipe.maps if name not in channel_names(source).values()]
    if missing:
        raise DatasetError(
            f"{source} lacks the map {' and '.join(missing)}",
            expected=f"channel_names with {', '.join(recipe.maps)}, or phases and maps out of {', '.join(MAPS)}",
            got=", ".join(channel_names(source).values()),
        )
    return source


def _judge(context: _Context) -> _Judged:
    """Fit both methods on the same folds, and compare what they said out of fold."""
    classes, resampling = context.recipe.signature.classes, context.resampling
    tables = {NETWORKS: _fit_networks(context), RADIOMICS: _fit_signature(context)}
    cases = {method: read_classified(path, classes) for method, path in tables.items()}
    results = {
        method: evaluate_classification(one, rng=resampling.rng(), n_draws=resampling.n_draws)
        for method, one in cases.items()
    }
    found = compare_classifiers(cases[RADIOMICS], cases[NETWORKS], positive=classes[0], rng=resampling.rng())
    tests = [accuracy_test(RADIOMICS, NETWORKS, found.accuracy)]
    if found.auc is not None:
        tests.append(area_test(RADIOMICS, NETWORKS, f"classification.auc.{classes[0]}", found.auc))
    evaluation = EvaluationJob(
        None,
        None,
        context.job.out / "evaluation" / _EVALUATION,
        context.recipe.protocol,
        table=tables[NETWORKS],
        against=tables[RADIOMICS],
        overwrite=True,
        notice=context.notice,
    )
    evaluate_folders(evaluation, resampling=resampling)
    return _Judged(cases, results, tuple(tests))


def _fit_signature(context: _Context) -> Path:
    """Features of every map, and a signature of them; returns its table out of fold. What is there is kept."""
    recipe, features, out = context.recipe, context.job.out / "features", context.job.out / "signature"
    if not out.exists():
        extract_maps(context.maps, features, recipe.maps, recipe.radiomics, tell=context.tell)
        fit = FitJob(features / "features.csv", context.maps / "cases.csv", out, recipe.signature)
        fit_from_tables(fit, progress=lambda task, done, total: context.tell(f"signature, {task}", done, total, ""))
    return out / "out_of_fold.csv"


def _fit_networks(context: _Context) -> Path:
    """An ensemble of networks for each fold; returns its table out of fold."""
    out = context.job.out / "classifier"
    fit_classifier(
        ClassifyJob(context.maps, out, context.recipe.networks, context.job.device, resume=True), tell=context.tell
    )
    return out / "out_of_fold.csv"


def _report(context: _Context, judged: _Judged) -> StudyReport:
    """Gather what the report shows."""
    recipe, out, metrics = context.recipe, context.job.out, judged.metrics
    figures = out / "figures"
    figures.mkdir(exist_ok=True)
    explained = explain_lesions(
        context.maps,
        out / "classifier" / PACKAGE,
        recipe.networks,
        figures,
        n_each=recipe.n_explained,
        device=context.job.device,
    )
    title = "Radiomics against networks, on the same folds"
    return StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=context.notice,
        metrics=metrics,
        published=[fill_paper_table(wangh2024_classes_table(), metrics)],
        tables=[
            comparison_table(judged.tests, "classifier_comparisons", title),
            _counts(judged.cases[NETWORKS]),
            *(_confusion(method, result) for method, result in judged.results.items()),
            explained.table,
        ],
        charts=[*_charts(judged, out), explained.chart],
        parts={_EVALUATION: f"Evaluation of {NETWORKS} against {RADIOMICS}"},
        definitions=_definitions(context),
    )


def _counts(cases: ClassifiedCases) -> Table:
    """Patients and lesions of each class."""
    rows = []
    for label in cases.classes:
        patients = [p for p, reference in zip(cases.patients, cases.reference, strict=True) if reference == label]
        rows.append((label, len(set(patients)), len(patients)))
    note = "No patient is in two folds."
    return Table("counts", "Patients and lesions", ("class", "patients", "lesions"), tuple(rows), note)


def _confusion(method: str, result: ClassificationResult) -> Table:
    """Confusion matrix of one method."""
    table = confusion_table(result)
    return replace(table, name=f"{table.name}_{slug(method)}", title=f"{method}: {table.title}")


def _charts(judged: _Judged, out: Path) -> list[ChartFile]:
    """Both ROC curves on one plot, and how the signature came about."""
    first = {method: result.per_class[0] for method, result in judged.results.items()}
    curves = {method: (one.roc, one.auc) for method, one in first.items() if one.roc is not None}
    _, svg = save_chart(roc_chart(curves), out / "figures", "roc")
    figures = out / "signature" / "figures"
    return [
        ChartFile(svg, "ROC curves out of fold, areas with intervals."),
        ChartFile(figures / "coefficients.svg", "Signature of all lesions: coefficients of the standardised features."),
        ChartFile(figures / "lasso_path.svg", "Signature of all lesions: path of the LASSO."),
        ChartFile(figures / "lasso_deviance.svg", "Deviance of lesions left out, by which the penalty was chosen."),
    ]


def _definitions(context: _Context) -> dict[str, str]:
    """How the figures came about."""
    recipe, job = context.recipe, context.job
    signature, networks, n_features = recipe.signature, recipe.classifier, len(feature_names(recipe.radiomics))
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "maps": f"{', '.join(recipe.maps)}; motion {'undone' if recipe.align else 'not looked for'}",
        "folds": f"{signature.n_folds} of patients, the same for both methods; mRMR, LASSO, scaling and training see "
        "the others alone",
        "radiomics": f"{n_features} features of each map, {signature.n_candidates} by mRMR; "
        f"repeats: {signature.n_repeats}",
        "networks": f"Inception-ResNet-v2 of width {networks.width:g} with {list(networks.blocks)} blocks on "
        f"{networks.side}³ voxels of {networks.edge_mm:g} mm; {networks.n_members} members, each {networks.n_steps} "
        f"steps of {networks.batch}; repeats: {networks.n_repeats}",
        "segmentation": "lesions are those of the label maps; the study wangh2024-segmentation draws them",
        "settings": "all settings are in recipe.json",
    }
