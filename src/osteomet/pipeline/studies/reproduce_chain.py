"""A study in two steps, from data to its report: bones first, lesions inside them, a chain for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, fill_paper_table
from osteomet.pipeline.studies.chain import (
    ChainData,
    model_folder,
    open_chain,
    prepare_chain,
    sequences_of,
    train_chain,
)
from osteomet.pipeline.studies.chain_patients import BESIDE_MM, observer_results, patient_metrics
from osteomet.pipeline.studies.chain_prediction import predict_bones, predict_lesions
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.pipeline.studies.study_prediction import PartFolders, evaluate_in_full
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.chain import STEPS, ChainRecipe

BONES, LESIONS, EXTERNAL, PATIENTS = "bones test", "lesions test", "lesions external", "patients"
_OF_BONES = ("liu2021_table4_dsc", "liu2021_table4_vs", "liu2021_table4_hd")
_OF_LESIONS = ("liu2021_table5", "liu2021_external")


@dataclass(frozen=True, slots=True, eq=False)
class _Chains:
    """Prepared cases, who is where, and the networks of each sequence by step."""

    data: ChainData
    networks: Mapping[str, Mapping[str, Any]]

    def of(self, step: str) -> dict[str, Any]:
        """Networks of one step by sequence."""
        return {name: networks[step] for name, networks in self.networks.items()}


def reproduce_chain(job: StudyJob, recipe: ChainRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; folders, results and errors are those of `reproduce_study`."""
    source = data_of(job, tell)
    run = open_chain(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    data = prepare_chain(run)
    networks = {name: train_chain(run, data, name) for name in sequences_of(run)}
    resampling, notice = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap), notice_of(job)
    observers, rounds = observer_results(run, data, resampling, simulate=job.data is None)
    found = {PATIENTS: patient_metrics(run, data) | observers}
    for part, folders in _predict(run, _Chains(data, networks)).items():
        out = job.out / "evaluation" / part.replace(" ", "_")
        found[part] = evaluate_in_full(recipe.protocol, folders, out, resampling, notice)
    metrics = {f"{part}/{name}": metric for part, of_part in found.items() for name, metric in of_part.items()}
    report = StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=notice,
        metrics=metrics,
        published=_published(recipe.protocol, found),
        tables=[_split_table(data), *rounds],
        charts=_curves(run),
        parts={part.replace(" ", "_"): f"Evaluation of {part}" for part in found if part != PATIENTS},
        definitions=_definitions(run, job),
    )
    write_study(report, job.out)
    return metrics


def _predict(run: StudyRun[ChainRecipe], chains: _Chains) -> dict[str, PartFolders]:
    """Predict bones and lesions of the test patients, and lesions of the external ones, if there are any."""
    found, folder, split = {}, run.out / "predictions", chains.data.split
    run.tell("predict", 1, 3, BONES)
    found[BONES] = predict_bones(run, chains.of("bones"), chains.data.cases_of(split.test), folder / "bones_test")
    for number, (part, patients) in enumerate({LESIONS: split.test, EXTERNAL: split.external}.items(), start=2):
        cases = chains.data.cases_of(patients)
        if cases:
            run.tell("predict", number, 3, part)
            found[part] = predict_lesions(run, chains.of("lesions"), cases, folder / part.replace(" ", "_"))
    return found


def _published(protocol: str, found: Mapping[str, Mapping[str, Metric]]) -> list[Table]:
    """Tables of the paper: of patients and observers, of bones, and of lesions, once more for the external set."""
    tables = []
    for paper in PROTOCOLS[protocol].tables:
        if paper.name in _OF_BONES:
            tables.append(fill_paper_table(paper, found[BONES]))
        elif paper.name not in _OF_LESIONS:
            tables.append(fill_paper_table(paper, found[PATIENTS]))
        else:
            tables.append(fill_paper_table(paper, found[LESIONS]))
            if EXTERNAL in found:
                table = fill_paper_table(paper, found[EXTERNAL])
                title = f"{table.title}: ours on the external set"
                tables.append(replace(table, name=f"{table.name}_on_external", title=title))
    return tables


def _split_table(data: ChainData) -> Table:
    """Patients, cases and lesions of each part."""
    split = data.split
    parts = {"training": split.train, "validation": split.validation, "test": split.test, "external": split.external}
    rows = []
    for part, patients in parts.items():
        mine = data.cases_of(patients)
        n_lesions = sum(case.n_lesions for case in mine)
        rows.append((part, len(patients), len(mine), sum(case.n_lesions > 0 for case in mine), n_lesions))
    columns = ("part", "patients", "cases", "cases with metastases", "lesions")
    return Table("split", "Split", columns, tuple(rows), "No patient is in two parts.")


def _curves(run: StudyRun[ChainRecipe]) -> list[ChartFile]:
    """Training curves of every network."""
    return [
        ChartFile(
            model_folder(run, step, name) / "curves.svg",
            f"Training of {step} on {name}. Only the lowest panel shows whole images.",
        )
        for name in sequences_of(run)
        for step in STEPS
    ]


def _definitions(run: StudyRun[ChainRecipe], job: StudyJob) -> dict[str, str]:
    """How the figures came about."""
    recipe = run.recipe
    size, kept = recipe.preprocessing, recipe.prediction
    networks = (
        f"{step}: 3D {network.kind} {list(network.channels)}, {network.n_steps} steps of {network.batch}"
        for step, network in recipe.networks.items()
    )
    rounds = f"simulated: A2.2 is the truth; the others are moved along each axis and grown by up to ±{BESIDE_MM} mm"
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "preprocessing": f"{size.side}² × {size.n_slices}, z-score",
        "networks": "; ".join(networks),
        "bones": f"the {kept.largest_components} largest components of each structure; all are the mask of step two",
        "lesions": f"probability from {kept.probability}, from {kept.smallest_ml} cm³",
        "M staging": "M1 where either sequence shows a lesion",
        "patients": "one split serves both steps, so that both tables of patients have the same figures of ours",
        "annotation rounds": rounds if job.data is None else f"the folder rounds of {job.data.name}, if there is one",
        "settings": "all settings are in recipe.json",
    }
