"""Classes of new lesions by a fitted classifier, and maps of what in them decided."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osteomet.core.errors import DatasetError, UsageError
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.inference.classify import LesionClassifier, load_classifier
from osteomet.inference.engine import Device
from osteomet.io.formats import write_volume
from osteomet.io.lesion_cases import list_lesion_images
from osteomet.io.model_package import ModelPackage
from osteomet.io.output import output_file, output_folder
from osteomet.pipeline.lesion_cubes import LesionCube, cut_case
from osteomet.pipeline.studies.study_job import Tell


@dataclass(frozen=True, slots=True)
class ClassifiedLesion:
    """Probability of each class of one lesion, and the more probable class."""

    case: str
    lesion: str
    probabilities: tuple[float, ...]
    prediction: str


def classify_dataset(
    package: ModelPackage,
    data: Path,
    out: Path,
    *,
    maps: Path | None,
    device: Device,
    tell: Tell,
) -> tuple[ClassifiedLesion, ...]:
    """Classify every lesion of a data set.

    Parameters
    ----------
    package
        A classifier.
    data
        Data set with the channels of the classifier and a map of lesions for each case.
    out
        Table to write: ``case``, ``lesion``, a probability for each class, ``prediction``.
    maps
        Folder to make, with an occlusion map of each lesion on the grid of its cube, ``CASE_LESION.nii.gz``; None for
        none.

    Raises
    ------
    UsageError
        If the table or the folder is there already.
    ModelError
        If the package holds no classifier.
    InputError
        If the data set cannot be used; the message names the case.
    """
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="name a new file")
    classifier = load_classifier(package, device=device)
    with output_file(out) as target:
        if maps is None:
            found = _classify(classifier, data, None, tell)
        else:
            with output_folder(maps, overwrite=False) as folder:
                found = _classify(classifier, data, folder, tell)
        _write(found, classifier.part.classes, target)
    return found


def _classify(classifier: LesionClassifier, data: Path, maps: Path | None, tell: Tell) -> tuple[ClassifiedLesion, ...]:
    """Classify the lesions of each case, and explain each where a folder is given."""
    part = classifier.part
    names, cases = list_lesion_images(data, [channel.name for channel in part.channels])
    found = []
    for done, case in enumerate(cases, start=1):
        for cube in cut_case(case, names, side=part.side, edge_mm=part.edge_mm):
            probabilities = tuple(classifier.probabilities(cube.values[None])[0].tolist())
            label = part.classes[probabilities.index(max(probabilities))]
            found.append(ClassifiedLesion(*cube.key, probabilities, label))
            if maps is not None:
                _write_map(classifier, cube, maps)
        tell("cases", done, len(cases), case.case)
    if not found:
        raise DatasetError(f"{data}: no case has a lesion", got=f"{len(cases)} empty maps")
    return tuple(found)


def _write_map(classifier: LesionClassifier, cube: LesionCube, folder: Path) -> None:
    fall = Volume(classifier.occlusion_map(cube.values), cube.grid, Modality.MR, Unit.ONE)
    write_volume(fall, folder / f"{'_'.join(cube.key)}.nii.gz")


def _write(lesions: Sequence[ClassifiedLesion], classes: Sequence[str], path: Path) -> None:
    """Write one row a lesion."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "lesion", *(f"probability_{label}" for label in classes), "prediction"))
        for one in lesions:
            writer.writerow((one.case, one.lesion, *one.probabilities, one.prediction))
