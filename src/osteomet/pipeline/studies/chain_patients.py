"""Who the patients of a study in two steps are, and how far its observers agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from osteomet.core.volume import LabelMap
from osteomet.evaluation.characteristics import characteristics_metrics
from osteomet.evaluation.demographics import PatientRecord, demographics
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.observers import round_agreement
from osteomet.evaluation.parts import count_group
from osteomet.evaluation.rounds import agreement_metrics, agreement_table, read_round_folders
from osteomet.evaluation.tables import Table
from osteomet.io.csv_rows import Row, read_rows
from osteomet.io.formats import read_labels, write_labels
from osteomet.pipeline.studies.chain import ChainData
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.radiomics.perturb import move_surface
from osteomet.training.chain import ChainRecipe
from osteomet.training.chain_part import ChainCase

ROUNDS = "rounds"
"""Folder of annotation rounds in a data set: one folder a round, ``A1.1`` and so on, with a label map a case."""
BESIDE_MM = 1.5
"""How far a simulated observer's outline may be shifted along each axis, and grown or shrunk."""
_ROUNDS_BESIDE = ("A1.1", "A1.2", "A2.1")
_REFERENCE_ROUND = "A2.2"
_SEED = 2021


def patient_metrics(run: StudyRun[ChainRecipe], data: ChainData) -> dict[str, Metric]:
    """Characteristics of the patients of each part, as the study's Tables 2 and 3 have them.

    ``cases.csv`` gives ``age``, ``scanner``, total and free PSA in ng/ml (``t_psa`` and ``f_psa``, or the names that
    phantoms give them) and their ratio ``ft_psa``, where it has them; lesions and their volume are those of the
    references.
    """
    split = data.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test, "external": split.external}
    rows: dict[str, Row] = {}
    for row in read_rows(run.data.folder / "cases.csv", ["case", "patient"]):
        rows.setdefault(row.text("patient"), row)
    records = [
        _record(rows[patient], part, data.cases_of((patient,))) for part, names in parts.items() for patient in names
    ]
    return characteristics_metrics(demographics(records))


def _record(row: Row, part: str, cases: tuple[ChainCase, ...]) -> PatientRecord:
    """What a table and the references say of one patient."""
    total, free = _first(row, "t_psa", "psa_ng_ml"), _first(row, "f_psa", "free_psa_ng_ml")
    ratio = row.optional_number("ft_psa")
    if ratio is None and total and free is not None:
        ratio = free / total
    n_lesions = sum(case.n_lesions for case in cases)
    volume_ml = sum(case.lesion_ml for case in cases) if n_lesions else None
    numbers = {
        "age": row.optional_number("age"),
        "t_psa": total,
        "f_psa": free,
        "ft_psa": ratio,
        "lesion_volume_ml": volume_ml,
    }
    words = {"metastases": "yes" if n_lesions else "no", "lesions": count_group(n_lesions), "scanner": _scanner(row)}
    known = {name: number for name, number in numbers.items() if number is not None}
    return PatientRecord(row.text("patient"), part, known, {name: word for name, word in words.items() if word})


def _first(row: Row, *columns: str) -> float | None:
    """Number in the first of these columns that has one."""
    return next((value for column in columns if (value := row.optional_number(column)) is not None), None)


def _scanner(row: Row) -> str:
    """Scanner as the study writes it, ``3.0 T Achieva``: a phantom's is “Philips Achieva”, its field in a column."""
    name, field_t = row.cells.get("scanner", ""), row.optional_number("field_strength_t")
    return name if not name or field_t is None else f"{field_t:.1f} T {name.split()[-1]}"


def observer_results(
    run: StudyRun[ChainRecipe], data: ChainData, resampling: Resampling, *, simulate: bool
) -> tuple[dict[str, Metric], list[Table]]:
    """Agreement of the annotation rounds of a data set, if it has some; ``simulate`` makes them for phantoms."""
    folder = run.out / ROUNDS if simulate else run.data.folder / ROUNDS
    if simulate:
        _simulate_rounds(run, data, folder)
    if not folder.is_dir():
        return {}, []
    pairs, _ = read_round_folders(folder, {case.name: case.patient for case in run.data.cases})
    found = round_agreement(pairs, rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    return agreement_metrics(found), [agreement_table(found)]


def _simulate_rounds(run: StudyRun[ChainRecipe], data: ChainData, folder: Path) -> None:
    """Rounds of the test cases with lesions: the truth, and outlines a little beside it, each drawn for itself."""
    raw: Mapping[str, Path] = {case.name: case.labels for case in run.data.cases}
    shown = [case for case in data.cases_of(data.split.test) if case.n_lesions]
    for number, name in enumerate((*_ROUNDS_BESIDE, _REFERENCE_ROUND)):
        for index, case in enumerate(shown):
            (folder / name).mkdir(parents=True, exist_ok=True)
            lesions = read_labels(raw[case.case])
            mask = lesions.array > 0
            if name != _REFERENCE_ROUND:
                rng = np.random.default_rng([_SEED, number, index])
                shift_mm, growth_mm = rng.uniform(-BESIDE_MM, BESIDE_MM, 3), rng.uniform(-BESIDE_MM, BESIDE_MM)
                spacing_mm = lesions.grid.spacing_mm
                shift = (shift_mm / spacing_mm).tolist()
                mask = move_surface(mask, spacing_mm, shift_voxels=shift, growth_mm=float(growth_mm))
            drawn = LabelMap(mask.astype(np.uint8), lesions.grid, {"metastasis": 1})
            write_labels(drawn, folder / name / f"{case.case}.nii.gz")
