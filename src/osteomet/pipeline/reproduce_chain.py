"""A study in two steps, from data to its report: bones first, lesions inside them, a chain for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.pipeline.chain import ChainRun, ChainSplit, open_chain, prepare_chain, train_chain
from osteomet.pipeline.chain_prediction import predict_bones, predict_lesions
from osteomet.pipeline.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.study_page import StudyReport, write_study
from osteomet.pipeline.study_prediction import PartFolders, evaluate_in_full
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.chain import STEPS, ChainRecipe
from osteomet.training.chain_part import ChainCase

BONES, LESIONS, EXTERNAL = "bones test", "lesions test", "lesions external"
_OF_BONES = "liu2021_table4"
_OF_LESIONS = ("liu2021_table5", "liu2021_external")


@dataclass(frozen=True, slots=True, eq=False)
class _Chains:
    """Prepared cases, who is where, and the networks of each sequence."""

    cases: tuple[ChainCase, ...]
    split: ChainSplit
    networks: Mapping[str, Mapping[str, object]]


def reproduce_chain(job: StudyJob, recipe: ChainRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; folders, results and errors are those of `reproduce_study`."""
    source = data_of(job, tell)
    run = open_chain(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    cases, split = prepare_chain(run)
    networks = {name: train_chain(run, cases, split, name) for name in run.sequences}
    resampling, notice = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap), notice_of(job)
    metrics: dict[str, Metric] = {}
    for part, folders in _predict(run, _Chains(cases, split, networks)).items():
        out = job.out / "evaluation" / part.replace(" ", "_")
        found = evaluate_in_full(recipe.protocol, folders, out, resampling, notice)
        metrics |= {f"{part}/{name}": metric for name, metric in found.items()}
    report = StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=notice,
        metrics=metrics,
        published=_published(recipe.protocol, metrics),
        tables=[_split_table(cases, split)],
        charts=_curves(run),
        definitions=_definitions(run, job),
    )
    write_study(report, job.out)
    return metrics


def _predict(run: ChainRun, chains: _Chains) -> dict[str, PartFolders]:
    """Predict bones and lesions of the test patients, and lesions of the external ones, if there are any."""
    found, folder = {}, run.out / "predictions"
    parts = {LESIONS: chains.split.test, EXTERNAL: chains.split.external}
    test = [case for case in chains.cases if case.patient in chains.split.test]
    run.tell("predict", 1, 3, BONES)
    bones = {name: networks["bones"] for name, networks in chains.networks.items()}
    found[BONES] = predict_bones(run, bones, test, folder / "bones_test")
    for number, (part, patients) in enumerate(parts.items(), start=2):
        cases = [case for case in chains.cases if case.patient in patients]
        if cases:
            run.tell("predict", number, 3, part)
            lesions = {name: networks["lesions"] for name, networks in chains.networks.items()}
            found[part] = predict_lesions(run, lesions, cases, folder / part.replace(" ", "_"))
    return found


def _published(protocol: str, metrics: Mapping[str, Metric]) -> list[Table]:
    """Tables of the paper on bones and on lesions; those on lesions once more for the external set."""
    tables = []
    for paper in PROTOCOLS[protocol].tables:
        if paper.name.startswith(_OF_BONES):
            tables.append(fill_paper_table(paper, _of(metrics, BONES)))
        elif paper.name in _OF_LESIONS:
            tables.append(fill_paper_table(paper, _of(metrics, LESIONS)))
            if any(name.startswith(EXTERNAL) for name in metrics):
                table = fill_paper_table(paper, _of(metrics, EXTERNAL))
                title = f"{table.title}: ours on the external set"
                tables.append(replace(table, name=f"{table.name}_on_external", title=title))
    return tables


def _of(metrics: Mapping[str, Metric], part: str) -> dict[str, Metric]:
    """Metrics of one part by their plain names."""
    return {name.removeprefix(f"{part}/"): m for name, m in metrics.items() if name.startswith(f"{part}/")}


def _split_table(cases: tuple[ChainCase, ...], split: ChainSplit) -> Table:
    """Patients, cases and lesions of each part."""
    parts = {"training": split.train, "validation": split.validation, "test": split.test, "external": split.external}
    rows = []
    for part, patients in parts.items():
        mine = [case for case in cases if case.patient in patients]
        n_lesions = sum(case.n_lesions for case in mine)
        rows.append((part, len(patients), len(mine), sum(case.n_lesions > 0 for case in mine), n_lesions))
    columns = ("part", "patients", "cases", "cases with metastases", "lesions")
    return Table("split", "Split", columns, tuple(rows), "No patient is in two parts.")


def _curves(run: ChainRun) -> list[ChartFile]:
    """Training curves of every network."""
    return [
        ChartFile(svg, f"Training of {step} on {name}. Only the lowest panel shows whole images.")
        for name in run.sequences
        for step in STEPS
        if (svg := _svg(run.model_folder(step, name))).exists()
    ]


def _svg(folder: Path) -> Path:
    return folder / "curves.svg"


def _definitions(run: ChainRun, job: StudyJob) -> dict[str, str]:
    """How the figures came about."""
    recipe = run.recipe
    size, kept = recipe.preprocessing, recipe.prediction
    steps = "; ".join(f"{step}: {recipe.step(step).n_steps} steps of {recipe.step(step).batch}" for step in STEPS)
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "preprocessing": f"{size.side}² × {size.n_slices}, z-score",
        "networks": f"3D {recipe.network.kind} {list(recipe.network.channels)}; {steps}",
        "bones": f"the {kept.largest_components} largest components of each structure; all are the mask of step two",
        "lesions": f"probability from {kept.probability}, from {kept.smallest_ml} cm³",
        "M staging": "M1 where either sequence shows a lesion",
        "settings": "all settings are in recipe.json",
    }
