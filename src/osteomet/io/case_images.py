"""Read the images of one case of a paired data set, and refuse what cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.core.grid import check_same_grid
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.io.csv_rows import check_unique, read_rows
from osteomet.io.dataset import CaseFacts, CasePair, LesionNote, MapFiles, note_of
from osteomet.io.formats import read_instances, read_labels, read_volume
from osteomet.io.naming import naming_case


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """One label map as read.

    ``map`` holds labels, or one value for each lesion where ``is_instances``; ``names`` are the labels that it, or the
    type of its lesions, may have; ``notes`` are what tables say about its lesions; ``scored`` when a table gives the
    confidence of each.
    """

    map: LabelMap
    names: tuple[str, ...]
    is_instances: bool = False
    notes: tuple[LesionNote, ...] = ()
    scored: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CaseImages:
    """Reference and prediction of one case on one grid.

    ``prediction`` is None where it is missing; ``probability`` holds values from 0 to 1, None where there is none.
    """

    facts: CaseFacts
    reference: LesionMap
    prediction: LesionMap | None
    probability: Volume | None = None


def read_case(pair: CasePair) -> CaseImages:
    """Read the images of one case.

    Raises
    ------
    GeometryError
        If reference, prediction and probability are not on one grid, or a file does not say where its voxels lie.
    DatasetError
        If a file cannot be read as what it must be (colour, fractions, negative values, damage), a semantic value or
        name of the prediction is unknown to the reference, a probability lies outside 0 to 1, or the confidences do not
        belong to the instances. Every message names the case.
    """
    with naming_case(pair.facts.case):
        reference = _read_map(pair.reference)
        if pair.prediction is None:
            return CaseImages(pair.facts, reference, None)
        prediction = _read_map(pair.prediction)
        check_same_grid(reference.map.grid, prediction.map.grid, names=("reference", "prediction"))
        _check_known(reference, prediction, named=pair.reference.names is not None)
        probability = None
        if pair.prediction.probability is not None:
            probability = _read_probability(pair.prediction.probability)
            check_same_grid(reference.map.grid, probability.grid, names=("reference", "probability map"))
        return CaseImages(pair.facts, reference, prediction, probability)


def _read_map(files: MapFiles) -> LesionMap:
    """Map with its notes; a segmentation of 3D Slicer names its labels itself."""
    if not files.is_instances:
        labels = read_labels(files.path, None if files.path.name.lower().endswith(".seg.nrrd") else files.names)
        return LesionMap(labels, _in_order(labels.labels), notes=files.notes)
    instances = read_instances(files.path)
    notes = {note.id: note for note in files.notes if note.id is not None}
    if files.confidence is not None:
        for number, note in _read_confidence(files.confidence, instances).items():
            notes[number] = _merged(notes.get(number), note)
    types = {note.type for note in notes.values() if note.type}
    names = _in_order(files.names or {}) or tuple(sorted(types))
    scored = files.confidence is not None
    return LesionMap(instances, names, is_instances=True, notes=tuple(notes.values()), scored=scored)


def _in_order(labels: Mapping[str, int]) -> tuple[str, ...]:
    """Names in order of label."""
    return tuple(sorted(labels, key=lambda name: labels[name]))


def _read_confidence(path: Path, instances: LabelMap) -> dict[int, LesionNote]:
    """Confidence of every instance by its number; table and map must have the same instances."""
    rows = read_rows(path, ["instance", "confidence"])
    check_unique(rows, ["instance"], "instance")
    notes = {int(row.number("instance")): note_of(row, id_column="instance") for row in rows if row.text("confidence")}
    present = set(instances.labels.values())
    if set(notes) != present:
        without, unknown = sorted(present - set(notes)), sorted(set(notes) - present)
        raise DatasetError(
            f"{path.name} does not belong to the label map beside it",
            expected="one row for each value of the map",
            got=f"no row for {without[:10]}, no voxel of {unknown[:10]}",
        )
    return notes


def _merged(note: LesionNote | None, scored: LesionNote) -> LesionNote:
    """What the confidence table says, and the other table where that one is silent."""
    if note is None:
        return scored
    return replace(
        scored,
        type=scored.type or note.type,
        site=scored.site or note.site,
        cause=scored.cause or note.cause,
        xyz_mm=note.xyz_mm,
    )


def _check_known(reference: LesionMap, prediction: LesionMap, *, named: bool) -> None:
    """Refuse labels of the prediction that the reference does not know; names that nobody gave are not compared."""
    if reference.is_instances or prediction.is_instances or not named or set(prediction.names) <= set(reference.names):
        return
    unknown = [name for name in prediction.map.present() if name not in reference.map.labels]
    if unknown:
        raise DatasetError(
            "the prediction has labels that the reference does not know",
            expected=", ".join(reference.map.labels),
            got=", ".join(unknown),
            remedy="give both the same names in dataset.json",
        )


def _read_probability(path: Path) -> Volume:
    """Probability map with values from 0 to 1."""
    volume = read_volume(path, modality=Modality.MR)
    low, high = float(volume.array.min()), float(volume.array.max())
    if low < 0 or high > 1:
        raise DatasetError(
            f"{path.name} holds no probabilities", expected="values from 0 to 1", got=f"{low:.4g} to {high:.4g}"
        )
    return volume
