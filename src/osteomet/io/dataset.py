"""Pair reference and predicted label maps by file name, with what tables say about cases and lesions.

Layout of a folder of label maps, reference or prediction alike:

- ``CASE.nii.gz`` (or another image format): one map a case. Its values are labels named by ``dataset.json`` or
  ``labels.json`` (`osteomet.io.label_names.names_beside`), there or in the other folder, and its lesions are connected
  components.
- ``CASE.confidence.csv`` with the columns ``instance`` and ``confidence`` (may have ``type``, ``site``, ``cause``): the
  map beside it is **instance-valued**, each value one lesion. So is every map of a folder named ``instances…``.
- ``CASE_probability.nii.gz``: probability of a lesion at each voxel, on the same grid.
- ``lesions.csv`` with the column ``case`` (may have ``lesion``, ``type``, ``site``, ``cause``, and the place ``x_mm``,
  ``y_mm``, ``z_mm``, LPS): in the folder or, where that is named ``labels…`` or ``instances…``, in the one above.
- ``cases.csv`` with the column ``case`` (may have ``patient``, ``centre``, ``scanner`` and any other): likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.io.csv_rows import Row, read_rows
from osteomet.io.formats import image_stem, is_image_file
from osteomet.io.label_names import names_beside

PROBABILITY_SUFFIX = "_probability"
"""End of the file name, without image suffix, of a probability map."""


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Who and what a case is: its patient, and the other cells of its row in ``cases.csv`` by column."""

    case: str
    patient: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LesionNote:
    """What a table says about one lesion; None where it does not say.

    ``id`` is the value of its voxels in an instance-valued map, ``xyz_mm`` a point in it (LPS mm), ``cause`` what a
    review found behind a false positive, ``confidence`` lies between 0 and 1.
    """

    id: int | None = None
    type: str | None = None
    site: str | None = None
    cause: str | None = None
    confidence: float | None = None
    xyz_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class MapFiles:
    """One label map on disk with what belongs to it.

    ``is_instances`` when each value of the map is one lesion; ``names`` is the label of each name in a semantic map,
    None where neither folder names them.
    """

    path: Path
    is_instances: bool
    names: Mapping[str, int] | None
    notes: tuple[LesionNote, ...]
    confidence: Path | None
    probability: Path | None


@dataclass(frozen=True, slots=True)
class CasePair:
    """Files of one case; ``prediction`` is None where it is missing, which counts as an empty prediction."""

    facts: CaseFacts
    reference: MapFiles
    prediction: MapFiles | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that is not evaluated, and why."""

    case: str
    reason: str


@dataclass(frozen=True, slots=True)
class PairedCases:
    """Cases in order of their names, and those left out."""

    pairs: tuple[CasePair, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Cases without a prediction."""
        return tuple(pair.facts.case for pair in self.pairs if pair.prediction is None)


def pair_cases(
    reference: Path, prediction: Path, *, table: Path | None = None, continue_on_error: bool = False
) -> PairedCases:
    """Pair the label maps of two folders by file name without image suffix; no image is read.

    Parameters
    ----------
    reference, prediction
        Folders laid out as this module says; their image formats may differ.
    table
        Table of the cases; where None, ``cases.csv`` of the reference, and without one every case is a patient.
    continue_on_error
        Leave out cases that cannot be paired, with the reason, instead of raising.

    Returns
    -------
    PairedCases
        Rows of the table without a reference map are passed over: a table may describe a whole data set.

    Raises
    ------
    DatasetError
        If a folder is missing, the reference has no label map, a case stands twice (two files, or two rows of the
        table), a prediction has no reference, or a case is not in the table; the message names the case. With
        ``continue_on_error`` only for folders and when no case is left.
    FormatError
        If a table or a file of label names is damaged.
    """
    references, predictions = _Folder.read(reference), _Folder.read(prediction)
    references, predictions = references.named_like(predictions), predictions.named_like(references)
    if not references.maps:
        raise DatasetError(f"{reference}: the reference folder has no label map", expected="CASE.nii.gz and the like")
    rows = _case_rows(references, table)
    pairs: list[CasePair] = []
    left_out: list[LeftOut] = []
    for case in sorted({*references.maps, *predictions.maps}):
        try:
            mine = references.files(case)
            if mine is None:
                raise DatasetError(
                    f"case “{case}” has a prediction but no reference",
                    got=str(predictions.maps[case][0]),
                    remedy=f"add the reference to {reference}, or move the prediction away",
                )
            pairs.append(CasePair(_facts(case, rows), mine, predictions.files(case)))
        except DatasetError as error:
            if not continue_on_error:
                raise
            left_out.append(LeftOut(case, str(error)))
    if not pairs:
        raise DatasetError("no case can be evaluated", got=left_out[0].reason, remedy="mend the cases named")
    return PairedCases(tuple(pairs), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of label maps: paths of the maps of each case, names of labels, notes on the lesions of each case."""

    path: Path
    maps: Mapping[str, tuple[Path, ...]]
    names: Mapping[str, int] | None
    notes: Mapping[str, tuple[LesionNote, ...]]

    @classmethod
    def read(cls, path: Path) -> _Folder:
        """List a folder and read the tables that belong to it."""
        if not path.is_dir():
            raise DatasetError(f"{path}: no such folder", expected="a folder of label maps, one a case")
        maps: dict[str, tuple[Path, ...]] = {}
        for file in sorted(path.iterdir()):
            stem = image_stem(file)
            if is_image_file(file) and not stem.startswith(".") and not stem.endswith(PROBABILITY_SUFFIX):
                maps[stem] = (*maps.get(stem, ()), file)
        above = path.parent if path.name.startswith("instances") else path
        table = _table_of(path, "lesions.csv")
        return cls(path, maps, names_beside(above, ""), _lesion_notes(table) if table else {})

    def named_like(self, other: _Folder) -> _Folder:
        """Take the names of the other folder where this one has none."""
        return replace(self, names=other.names if self.names is None else self.names)

    def files(self, case: str) -> MapFiles | None:
        """What the folder has of a case, None where it has no map; raise `DatasetError` where it has two."""
        paths = self.maps.get(case, ())
        if not paths:
            return None
        if len(paths) > 1:
            raise DatasetError(
                f"case “{case}” stands twice in {self.path}",
                got=" and ".join(p.name for p in paths),
                remedy="keep one file a case",
            )
        confidence = self.path / f"{case}.confidence.csv"
        probability = [
            p for p in self.path.glob("*") if is_image_file(p) and image_stem(p) == case + PROBABILITY_SUFFIX
        ]
        return MapFiles(
            path=paths[0],
            is_instances=confidence.is_file() or self.path.name.startswith("instances"),
            names=self.names,
            notes=self.notes.get(case, ()),
            confidence=confidence if confidence.is_file() else None,
            probability=probability[0] if probability else None,
        )


def _table_of(folder: Path, name: str) -> Path | None:
    """Table that belongs to a folder of label maps, or None."""
    places = [folder, folder.parent] if folder.name.startswith(("labels", "instances")) else [folder]
    return next((place / name for place in places if (place / name).is_file()), None)


def case_table(reference: Path, table: Path | None = None) -> Path | None:
    """Table of the cases of a reference folder: ``table`` where given, else the ``cases.csv`` that belongs to it."""
    return table or _table_of(reference, "cases.csv")


def _case_rows(references: _Folder, table: Path | None) -> Mapping[str, tuple[Row, ...]] | None:
    """Rows of each case, None without a table."""
    path = case_table(references.path, table)
    if path is None:
        return None
    rows: dict[str, tuple[Row, ...]] = {}
    for row in read_rows(path, ["case"]):
        case = row.text("case")
        rows[case] = (*rows.get(case, ()), row)
    return rows


def _facts(case: str, rows: Mapping[str, tuple[Row, ...]] | None) -> CaseFacts:
    """Facts of a case from its one row."""
    if rows is None:
        return CaseFacts(case, case, {})
    mine = rows.get(case, ())
    if not mine:
        raise DatasetError(f"case “{case}” is not in the table of cases", remedy="add a row for it")
    if len(mine) > 1:
        lines = " and ".join(str(row.line) for row in mine)
        raise DatasetError(f"case “{case}” stands twice in {mine[0].path}", got=f"lines {lines}")
    columns = {name: cell for name, cell in mine[0].cells.items() if name not in ("case", "patient") and cell}
    return CaseFacts(case, mine[0].cells.get("patient") or case, columns)


def _lesion_notes(table: Path) -> dict[str, tuple[LesionNote, ...]]:
    """Notes of each case from ``lesions.csv``; an empty file has none."""
    notes: dict[str, tuple[LesionNote, ...]] = {}
    if table.stat().st_size == 0:
        return notes
    for row in read_rows(table, ["case"]):
        case = row.text("case")
        notes[case] = (*notes.get(case, ()), note_of(row, id_column="lesion"))
    return notes


def note_of(row: Row, *, id_column: str) -> LesionNote:
    """Turn a row of a table of lesions into a note.

    Raises
    ------
    DatasetError
        If the id is not a whole number from 1, the confidence does not lie between 0 and 1, or a place is no number.
    """
    place = tuple(row.optional_number(column) for column in ("x_mm", "y_mm", "z_mm"))
    x, y, z = place
    number, confidence = row.optional_number(id_column), row.optional_number("confidence")
    if number is not None and (number < 1 or number != int(number)):
        raise row.error(f"the cell “{id_column}” names no lesion", expected="a whole number from 1", got=f"{number:g}")
    if confidence is not None and not 0 <= confidence <= 1:
        raise row.error("a confidence is no probability", expected="a number from 0 to 1", got=f"{confidence:g}")
    type_, site, cause = (row.cells.get(column) or None for column in ("type", "site", "cause"))
    return LesionNote(
        id=None if number is None else int(number),
        type=type_,
        site=site,
        cause=cause,
        confidence=confidence,
        xyz_mm=None if x is None or y is None or z is None else (x, y, z),
    )
