"""Exams to grade: nnU-Net's raw layout with bones beside, with a table of the grades or a folder of images alone.

A data set has ``dataset.json`` with the channels, ``imagesTr/CASE_0000.nii.gz`` and on, ``bonesTr/CASE.nii.gz``, and
``cases.csv`` with the columns ``case``, ``patient`` and ``grade``; cases in ``imagesTs`` belong to it too. Label maps
of lesions are not needed. A folder of new exams has ``CASE_0000.nii.gz`` and on, and ``bones/CASE.nii.gz``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.io.case_folder import list_cases
from osteomet.io.csv_rows import Row
from osteomet.io.raw_dataset import images_by_case, maps_by_case, read_cases_table, read_channels


@dataclass(frozen=True, slots=True)
class ExamCase:
    """One exam: images in the order of the sequences that were asked for, and its bones.

    ``patient`` and ``grade`` are empty for a new exam.
    """

    name: str
    images: tuple[Path, ...]
    bones: Path
    patient: str = ""
    grade: str = ""


def read_graded_exams(folder: Path, sequences: Sequence[str], grades: Sequence[str]) -> tuple[ExamCase, ...]:
    """List the graded exams of a data set, in order of their names; no image is read.

    Parameters
    ----------
    folder
        Of the data set.
    sequences
        Channels that every exam must have.
    grades
        What may stand in the column ``grade``.

    Raises
    ------
    DatasetError
        If a file that it needs is missing, or a case lacks a sequence, its bones, its row or its grade; the message
        names the case.
    FormatError
        If ``dataset.json`` is damaged.
    """
    channels = _channels(folder, sequences)
    rows = read_cases_table(folder / "cases.csv")
    cases = []
    for end in ("Tr", "Ts"):
        bones = maps_by_case(folder / f"bones{end}")
        for name, images in images_by_case(folder / f"images{end}", channels).items():
            if name not in rows:
                raise DatasetError(f"case “{name}” is not in {folder / 'cases.csv'}", remedy="add a row for it")
            files = _in_order(name, images, sequences)
            cases.append(_graded(rows[name], files, _bones_of(name, bones, folder / f"bones{end}"), grades))
    if not cases:
        raise _no_exam(folder)
    return tuple(sorted(cases, key=lambda case: case.name))


def list_new_exams(folder: Path, sequences: Sequence[str]) -> tuple[ExamCase, ...]:
    """List the exams of a folder of images, ``CASE_0000.nii.gz`` for the first of the sequences; no image is read.

    Bones lie in ``bones`` inside the folder; beside ``imagesTr`` of a data set, in ``bonesTr``.

    Raises
    ------
    DatasetError
        If there is no image, or a case lacks a sequence or its bones; the message names the case.
    """
    cases = list_cases(folder, len(sequences))
    beside = folder.name.replace("images", "bones")
    place = folder.parent / beside if folder.name in ("imagesTr", "imagesTs") else folder / "bones"
    bones = maps_by_case(place)
    return tuple(ExamCase(case.name, case.images, _bones_of(case.name, bones, place)) for case in cases)


def list_exams(folder: Path, sequences: Sequence[str]) -> tuple[ExamCase, ...]:
    """List exams to grade: all of a data set, whose ``dataset.json`` names the channels, or a folder of new ones.

    Raises
    ------
    DatasetError
        As `read_graded_exams`, but no table of grades is needed, or as `list_new_exams`.
    FormatError
        If ``dataset.json`` is damaged.
    """
    if not (folder / "dataset.json").is_file():
        return list_new_exams(folder, sequences)
    channels = _channels(folder, sequences)
    cases = []
    for end in ("Tr", "Ts"):
        place = folder / f"bones{end}"
        bones = maps_by_case(place)
        for name, images in images_by_case(folder / f"images{end}", channels).items():
            cases.append(ExamCase(name, _in_order(name, images, sequences), _bones_of(name, bones, place)))
    if not cases:
        raise _no_exam(folder)
    return tuple(sorted(cases, key=lambda case: case.name))


def _channels(folder: Path, sequences: Sequence[str]) -> tuple[str, ...]:
    """Channels of a data set, which must hold the sequences."""
    channels, _ = read_channels(folder / "dataset.json")
    lacking = [name for name in sequences if name not in channels]
    if lacking:
        raise DatasetError(
            f"{folder} lacks {', '.join(lacking)}",
            expected=f"channel_names with {', '.join(sequences)}",
            got=", ".join(channels),
            remedy="name the channels so in dataset.json; for other sequences, copy the recipe and change it",
        )
    return channels


def _no_exam(folder: Path) -> DatasetError:
    return DatasetError(f"{folder} holds no exam", expected="imagesTr/CASE_0000.nii.gz and bonesTr/CASE.nii.gz")


def _in_order(name: str, images: Mapping[str, Path], sequences: Sequence[str]) -> tuple[Path, ...]:
    """Images of a case in the order of the sequences."""
    missing = [sequence for sequence in sequences if sequence not in images]
    if missing:
        raise DatasetError(
            f"case “{name}” has no {' and no '.join(missing)}",
            expected=f"an image of each of {', '.join(sequences)}",
            got=", ".join(images),
            remedy="add it, move the case away, or copy the recipe and leave the sequence out of data.sequences",
        )
    return tuple(images[sequence] for sequence in sequences)


def _bones_of(name: str, bones: Mapping[str, Path], place: Path) -> Path:
    """Bone map of a case."""
    if name not in bones:
        raise DatasetError(
            f"case “{name}” has no map of its bones",
            expected=f"{place / name}.nii.gz, vertebrae with their arches",
            remedy="segment the vertebrae, for example with TotalSpineSeg or SPINEPS, and put the label map there",
        )
    return bones[name]


def _graded(row: Row, images: tuple[Path, ...], bones: Path, grades: Sequence[str]) -> ExamCase:
    """A case with what its row says."""
    grade = row.choice("grade", {grade: grade for grade in grades})
    return ExamCase(row.text("case"), images, bones, row.text("patient"), grade)
