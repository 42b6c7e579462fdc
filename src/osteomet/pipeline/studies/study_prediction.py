"""Let the models of a study predict, and evaluate them by its protocol."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.cases import CaseSettings, evaluate_cases
from osteomet.evaluation.metrics import Metric, Resampling, evaluate_lesions
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.image.components import label_components
from osteomet.image.resample import resample_volume
from osteomet.io.dataset import pair_cases
from osteomet.io.formats import read_labels, write_labels
from osteomet.io.raw_dataset import RawCase
from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.stats.intervals import Estimate
from osteomet.training.prepare import Prepared, stack_of, target_grid
from osteomet.training.stacks import predict_stack
from osteomet.training.study import StudyRecipe, Variant

MARKS = "marks.csv"


@dataclass(frozen=True, slots=True)
class PartFolders:
    """References and predictions of the cases of one part of a study, and the marks of readers on them, if any."""

    reference: Path
    prediction: Path
    readers: Path | None


def fresh_folders(folder: Path) -> PartFolders:
    """Make empty folders of one part; what an earlier run left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folders = PartFolders(folder / "reference", folder / "prediction", None)
    for path in (folders.reference, folders.prediction):
        path.mkdir(parents=True)
    return folders


Draw = Callable[[RawCase, Prepared, Path], None]
"""Writes the lesions of one case into a folder of predictions."""


def predict_part(run: StudyRun[StudyRecipe], cases: Iterable[Prepared], folder: Path, draw: Draw) -> PartFolders:
    """Draw the lesions of cases, and set the references beside, as `osteomet evaluate` reads them."""
    folders = fresh_folders(folder)
    by_name = {case.name: case for case in run.data.cases}
    names = []
    for case in cases:
        raw = by_name[case.case]
        draw(raw, case, folders.prediction)
        shutil.copy(raw.labels, folders.reference / raw.labels.name)
        names.append(case.case)
    for name in ("dataset.json", "cases.csv"):
        shutil.copy(run.data.folder / name, folders.reference / name)
    return PartFolders(folders.reference, folders.prediction, _marks(run.data.folder / MARKS, set(names), folder))


def evaluate_in_full(
    protocol: str, folders: PartFolders, out: Path, resampling: Resampling, notice: str
) -> dict[str, Metric]:
    """Evaluate one part with every table and figure of the protocol; returns its metrics."""
    job = EvaluationJob(
        folders.reference,
        folders.prediction,
        out,
        protocol,
        readers=folders.readers,
        overwrite=True,
        notice=notice,
    )
    found = evaluate_folders(job, resampling=resampling)["metrics"]
    return {name: metric_of(entry) for name, entry in found.items()}


def evaluate_in_short(protocol_name: str, folders: PartFolders, resampling: Resampling) -> dict[str, Metric]:
    """Compute the metrics of one part alone."""
    protocol = PROTOCOLS[protocol_name]
    paired = pair_cases(folders.reference, folders.prediction)
    cases = evaluate_cases(paired, CaseSettings(by_label=protocol.by_label))
    return dict(evaluate_lesions(cases, protocol, resampling).metrics)


def draw_by_networks(run: StudyRun[StudyRecipe], variant: Variant, networks: Sequence[Any]) -> Draw:
    """Lesions by the mean of some networks, each as sure as the highest probability in it.

    The probability goes back to the grid of the reference before it becomes lesions, so that nothing of the scaling
    stays in a figure.
    """
    kept = run.recipe.prediction

    def draw(raw: RawCase, case: Prepared, folder: Path) -> None:
        images = stack_of(case, run.prepared, variant.inputs).read_images()
        found = [predict_stack(n, images, dimensions=variant.dimensions, device=run.device)[0] for n in networks]
        grid = read_labels(raw.labels).grid
        lesion = (1 - np.mean(found, axis=0)).astype(np.float32)
        stack = Volume(lesion, target_grid(grid, run.recipe.preprocessing), Modality.MR, Unit.ARBITRARY)
        values = resample_volume(stack, grid, outside=0.0).array
        write_lesions(*lesions_of(values, kept.probability, kept.smallest_voxels), grid, folder, case.case)

    return draw


def write_lesions(
    instances: NDArray[np.uint16], confidences: Sequence[float], grid: Grid, folder: Path, name: str
) -> None:
    """Write lesions, and how sure the networks are of each, as `osteomet.io.dataset` reads them."""
    names = {f"lesion_{n}": n for n in range(1, len(confidences) + 1)}
    write_labels(LabelMap(instances, grid, names), folder / f"{name}.nii.gz")
    with (folder / f"{name}.confidence.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["instance", "confidence"])
        # all digits of a float32: a network is often so sure that four tie, and a tie is one step of a FROC curve
        writer.writerows([n, f"{confidence:.8f}"] for n, confidence in enumerate(confidences, start=1))


def lesions_of(
    probability: NDArray[Any], threshold: float, smallest_voxels: float
) -> tuple[NDArray[np.uint16], list[float]]:
    """Make lesions of probabilities: 26-connected, numbered from 1, each with its highest probability."""
    components, n = label_components(probability >= threshold)
    n_voxels = np.bincount(components.ravel(), minlength=n + 1)
    kept = 1 + np.flatnonzero(n_voxels[1:] >= smallest_voxels)
    number = np.zeros(n + 1, dtype=np.uint16)
    number[kept] = np.arange(1, len(kept) + 1)
    highest = maximum(probability, components, kept) if len(kept) else []
    return number[components], [min(1.0, float(p)) for p in highest]


def _marks(table: Path, cases: set[str], folder: Path) -> Path | None:
    """Copy the rows of the marks that lie on these cases; None where there is none."""
    if not table.is_file():
        return None
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row.get("case") in cases]
        columns = list(reader.fieldnames or ())
    if not rows:
        return None
    with (folder / MARKS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder / MARKS


def metric_of(entry: dict[str, Any]) -> Metric:
    """Metric of an entry of ``metrics.json``."""
    keys = ("value", "low", "high", "numerator", "denominator")
    return Metric(Estimate(*(entry[key] for key in keys)), entry["unit"], entry.get("sd"))
