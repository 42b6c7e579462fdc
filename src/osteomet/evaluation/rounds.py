"""Annotation rounds on disk, and their agreement as a table and as metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from osteomet.core.errors import DatasetError, GeometryError, OsteometError
from osteomet.core.grid import check_same_grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.observers import RoundAgreement, RoundPair, check_round_name, compare_rounds
from osteomet.evaluation.parts import slug
from osteomet.evaluation.tables import Table
from osteomet.io.dataset import LeftOut
from osteomet.io.formats import image_stem, is_image_file, read_instances


def read_round_folders(
    folder: Path, patients: Mapping[str, str], *, continue_on_error: bool = False
) -> tuple[tuple[RoundPair, ...], tuple[LeftOut, ...]]:
    """Compare the annotation rounds of every case.

    Parameters
    ----------
    folder
        One folder a round, named OBSERVER.NUMBER such as ``A1.2``, with one label map a case, ``CASE.nii.gz`` and the
        like. Every value but 0 is lesion. Files beside the folders are passed over.
    patients
        Patient of each case; one that is missing here is a patient by itself.
    continue_on_error
        Leave out a case whose files cannot be compared, with the reason, instead of raising.

    Returns
    -------
    tuple
        Pairs of rounds in order of cases; cases left out, among them those of one round only. A case need not be in
        every round.

    Raises
    ------
    DatasetError
        If there are fewer than two rounds, a round has a case twice or no label map, or a file is none; of a case the
        message names it.
    GeometryError
        If two rounds of a case are not on one grid.
    InputError
        If a round is not named OBSERVER.NUMBER.
    """
    rounds = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(rounds) < 2:
        expected = "one folder a round, named OBSERVER.NUMBER, such as A1.1 and A2.1"
        raise DatasetError(
            f"{folder}: agreement needs two annotation rounds", expected=expected, got=f"{len(rounds)} folders"
        )
    files = {check_round_name(path.name): _maps(path) for path in rounds}
    pairs: list[RoundPair] = []
    left_out: list[LeftOut] = []
    for case in sorted({case for maps in files.values() for case in maps}):
        mine = {name: maps[case] for name, maps in files.items() if case in maps}
        if len(mine) == 1:
            left_out.append(LeftOut(case, f"case “{case}” was annotated in round {next(iter(mine))} only"))
            continue
        try:
            maps = _read(case, mine)
        except (DatasetError, GeometryError) as error:
            if not continue_on_error:
                raise
            left_out.append(LeftOut(case, str(error)))
            continue
        grid = next(iter(maps.values())).grid
        arrays = {name: one.array for name, one in maps.items()}
        pairs += compare_rounds(arrays, grid, case=case, patient=patients.get(case, case))
    return tuple(pairs), tuple(left_out)


def round_pair_table(pairs: Sequence[RoundPair]) -> Table:
    """One row a case and pair of rounds, as `osteomet.evaluation.observers.read_rounds` reads it."""
    columns = ("case", "patient", "first", "second", "dice", "first_ml", "second_ml")
    rows = tuple((p.case, p.patient, p.first, p.second, p.dice, p.first_ml, p.second_ml) for p in pairs)
    return Table("observer_cases", "Annotation rounds of each case", columns, rows)


def agreement_table(found: Sequence[RoundAgreement]) -> Table:
    """One row a pair of rounds."""
    columns = ("first", "second", "kind", "cases", "both_empty", "dice", "low", "high", "sd")
    columns_ml = ("bias_ml", "lower_limit_ml", "upper_limit_ml", "icc", "icc_low", "icc_high")
    rows = tuple(
        (
            *(one.first, one.second, one.kind, one.n_cases, one.n_both_empty),
            *(one.dice.value, one.dice.low, one.dice.high, one.dice_sd),
            *(e.value for e in (agreement.bias, agreement.lower, agreement.upper)),
            *(one.volume.icc.value, one.volume.icc.low, one.volume.icc.high),
        )
        for one in found
        for agreement in (one.volume.bland_altman,)
    )
    note = "Dice is undefined where both rounds are empty, and takes no part. Volumes: second minus first, ICC(2,1)."
    title = "Agreement between and within observers"
    return Table("observers", title, (*columns, *columns_ml), rows, note)


def agreement_metrics(found: Sequence[RoundAgreement]) -> dict[str, Metric]:
    """Metrics under ``observers.``, with both rounds at the end."""
    metrics: dict[str, Metric] = {}
    for one in found:
        end = f"{slug(one.first)}.{slug(one.second)}"
        metrics[f"observers.dice.{end}"] = Metric(one.dice, sd=one.dice_sd)
        metrics[f"observers.bias_ml.{end}"] = Metric(one.volume.bland_altman.bias, "ml")
        metrics[f"observers.icc.{end}"] = Metric(one.volume.icc)
    return metrics


def _maps(folder: Path) -> dict[str, Path]:
    """Label map of each case of a round."""
    maps: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_image_file(path) and not path.name.startswith("."):
            case = image_stem(path)
            if case in maps:
                got = f"{maps[case].name} and {path.name}"
                raise DatasetError(f"case “{case}” stands twice in {folder}", got=got, remedy="keep one file a case")
            maps[case] = path
    if not maps:
        raise DatasetError(f"{folder}: the annotation round has no label map", expected="CASE.nii.gz and the like")
    return maps


def _read(case: str, files: Mapping[str, Path]) -> dict[str, LabelMap]:
    """Maps of all rounds of a case, on one grid."""
    maps: dict[str, LabelMap] = {}
    for name, path in files.items():
        try:
            maps[name] = read_instances(path)
            first = next(iter(maps))
            check_same_grid(maps[first].grid, maps[name].grid, names=(f"round {first}", f"round {name}"))
        except OsteometError as error:
            kind = GeometryError if isinstance(error, GeometryError) else DatasetError
            what = f"case “{case}”: {error.what}"
            raise kind(what, expected=error.expected, got=error.got, remedy=error.remedy) from error
    return maps
