"""Data sets to train on: nnU-Net's raw layout with a table of the cases.

``dataset.json`` names channels and labels; ``imagesTr/CASE_0000.nii.gz`` and on are the channels of a case, any of
which may be missing, ``labelsTr/CASE.nii.gz`` its label map, ``bonesTr/CASE.nii.gz`` its bones and
``outlinesTr/CASE.nii.gz`` an outline of the lesion on one sagittal slice, if any. Cases in ``imagesTs`` and
``labelsTs`` belong to it too.
``cases.csv`` says by its columns ``case``, ``patient`` and, where there is one, ``split`` whose they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.core.errors import DatasetError, FormatError
from osteomet.io.csv_rows import Row, check_unique, read_rows
from osteomet.io.formats import image_stem, is_image_file

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})$")


@dataclass(frozen=True, slots=True)
class RawCase:
    """One case: images by sequence, in order of the channels, the label map, whose it is, and its part of the study.

    The part may be ``""``. ``bones`` is a map of its bones and ``outline`` one of the lesion as drawn on a single
    sagittal slice, if any.
    """

    name: str
    patient: str
    split: str
    images: Mapping[str, Path]
    labels: Path
    bones: Path | None = None
    outline: Path | None = None


@dataclass(frozen=True, slots=True)
class RawDataset:
    """Cases in order of their names; ``labels`` gives the value of each label but background."""

    folder: Path
    sequences: tuple[str, ...]
    labels: Mapping[str, int]
    cases: tuple[RawCase, ...]


def read_raw_dataset(folder: Path) -> RawDataset:
    """List a data set; no image is read.

    Raises
    ------
    DatasetError
        If a file that it needs is missing, a case has no label map or no image, a case is not in the table or twice,
        or a patient is in two parts; the message names the case.
    FormatError
        If ``dataset.json`` is damaged.
    """
    sequences, labels = read_channels(folder / "dataset.json")
    rows = read_cases_table(folder / "cases.csv")
    cases = []
    for end in ("Tr", "Ts"):
        images = images_by_case(folder / f"images{end}", sequences)
        maps = maps_by_case(folder / f"labels{end}")
        bones, outlines = maps_by_case(folder / f"bones{end}"), maps_by_case(folder / f"outlines{end}")
        for name in sorted({*images, *maps}):
            case = _case(name, images.get(name), maps.get(name), rows, folder)
            cases.append(replace(case, bones=bones.get(name), outline=outlines.get(name)))
    if not cases:
        raise DatasetError(f"{folder} holds no case", expected="imagesTr/CASE_0000.nii.gz and labelsTr/CASE.nii.gz")
    _check_patients(cases)
    return RawDataset(folder, sequences, labels, tuple(sorted(cases, key=lambda case: case.name)))


def read_channels(path: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """Channels of a ``dataset.json`` in order, and labels but background."""
    if not path.is_file():
        raise DatasetError(f"{path.parent} is no data set", expected="dataset.json in nnU-Net's raw layout")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        channels = {int(number): str(name) for number, name in content["channel_names"].items()}
        labels = {str(name): int(value) for name, value in content["labels"].items() if int(value)}
        return tuple(channels[n] for n in range(len(channels))), labels
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{path} cannot be used",
            expected="channel_names {0: name, …} and labels {name: value, …}",
            got=f"{type(error).__name__}: {error}",
        ) from error


def read_cases_table(path: Path) -> dict[str, Row]:
    """Rows of a ``cases.csv`` by case."""
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing",
            expected="a table with the columns case and patient",
            remedy="write one: without it series of one patient could stand on both sides of a split",
        )
    rows = read_rows(path, ["case", "patient"])
    check_unique(rows, ["case"], "case")
    return {row.text("case"): row for row in rows}


def images_by_case(folder: Path, sequences: tuple[str, ...]) -> dict[str, dict[str, Path]]:
    """Images of a folder by case and sequence."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _CHANNEL.match(image_stem(path)) if is_image_file(path) else None
        if match is None:
            continue
        channel = int(match["channel"])
        if channel >= len(sequences):
            raise DatasetError(
                f"case “{match['case']}” has a channel that dataset.json does not name",
                expected=f"0000 to {len(sequences) - 1:04d}",
                got=path.name,
            )
        found.setdefault(match["case"], {})[sequences[channel]] = path
    return found


def maps_by_case(folder: Path) -> dict[str, Path]:
    """Label maps of a folder by case."""
    return {image_stem(p): p for p in sorted(folder.iterdir()) if is_image_file(p)} if folder.is_dir() else {}


def _case(
    name: str, images: dict[str, Path] | None, labels: Path | None, rows: Mapping[str, Row], folder: Path
) -> RawCase:
    """One case, whole or refused."""
    if images is None or labels is None:
        what = "no image" if images is None else "no label map"
        raise DatasetError(f"case “{name}” of {folder} has {what}", remedy="add the file, or move the case away")
    if name not in rows:
        raise DatasetError(f"case “{name}” is not in {folder / 'cases.csv'}", remedy="add a row for it")
    row = rows[name]
    return RawCase(name, row.text("patient"), row.cells.get("split", ""), images, labels)


def _check_patients(cases: list[RawCase]) -> None:
    """Refuse a patient who is in two parts."""
    first: dict[str, RawCase] = {}
    for case in cases:
        other = first.setdefault(case.patient, case)
        if other.split != case.split:
            raise DatasetError(
                f"patient “{case.patient}” is in two parts of the study",
                expected="all cases of a patient in one part",
                got=f"{other.name} in “{other.split}”, {case.name} in “{case.split}”",
                remedy="mend the column split of cases.csv",
            )
