"""Write phantom cohorts as a data set, and as DICOM where asked."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.core.volume import LabelMap
from osteomet.io.anatomy_folder import AnatomySource, list_anatomies, read_anatomy
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.output import output_folder
from osteomet.io.phase_times import PHASES_FILE
from osteomet.lesions.measure import measure_lesions
from osteomet.phantom.cohorts.case import MIMIC_LABELS, Case
from osteomet.phantom.cohorts.draw import COHORTS, PatientCases, draw_patient
from osteomet.phantom.cohorts.own_bones import check_bones
from osteomet.phantom.cohorts.presets import EXTERNAL, preset_of
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bones_from_labels
from osteomet.pipeline.phantom_dicom import write_studies

_DICOM_STREAM = 1
_KEPT_SUBJECTS = 8
_MAPS = {"labels": "semantic", "instances": "lesions", "bones": "bones", "mimics": "mimics"}
_CASE_COLUMNS = (
    *("case", "patient", "exam", "date", "centre", "scanner", "field_strength_t", "sequences", "sex", "age"),
    *("diagnosis", "primary_site", "psa_ng_ml", "free_psa_ng_ml", "grade", "split", "stack", "displacement_mm"),
)
_LESION_COLUMNS = (
    *("case", "lesion", "type", "treated", "site", "subsite", "true_volume_ml", "volume_ml", "long_axis_mm"),
    *("short_axis_mm", "x_mm", "y_mm", "z_mm"),
)
_LINK_COLUMNS = (
    *("patient", "prior_case", "current_case", "change", "prior_lesions", "current_lesions", "prior_volume_ml"),
    *("current_volume_ml", "volume_ratio", "asked_ratio"),
)
_MARK_COLUMNS = (
    *("reader", "case", "condition", "likelihood", "x_mm", "y_mm", "z_mm"),
    *("size_x_mm", "size_y_mm", "size_z_mm"),
)
_PHASE_COLUMNS = ("case", "channel", "time_s")
Row = dict[str, object]


@dataclass(slots=True)
class _Tables:
    """Rows gathered so far."""

    cases: list[Row] = field(default_factory=list)
    lesions: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    marks: list[Row] = field(default_factory=list)
    phases: list[Row] = field(default_factory=list)


def write_cohort(
    cohort: str,
    out: Path,
    *,
    n_cases: int,
    seed: int,
    dicom: bool,
    anatomy: Path | None,
    overwrite: bool,
    progress: Callable[[int, int], None],
    coarse: float = 1.0,
) -> dict[str, int]:
    """Write a cohort in nnU-Net's raw layout, with more truth beside it.

    ``imagesTr`` holds the images, one file a channel, ``labelsTr`` the kind of lesion at each voxel, ``instancesTr``
    the lesions one by one, ``bonesTr`` the bones by vocabulary id, ``mimicsTr`` what looks like a metastasis, by the
    labels of ``mimics.json``. Cases
    of an external test set lie in the same folders with ``Ts``. ``dicomTr`` has a study an exam where ``dicom`` is
    true. ``cases.csv`` has a row a case, ``lesions.csv`` a row a lesion, ``links.csv`` (pairs) a row for what became of
    each lesion, ``marks.csv`` (readers, and the external part of mr-spine) a row a mark, ``phases.csv`` (ce-dynamic) a
    row a phase with its time. With ``anatomy``, a folder as `osteomet.io.anatomy_folder` reads it, each patient
    is built around the bones of one subject, in turn; all subjects are checked before the first patient is drawn.

    Parameters
    ----------
    n_cases
        Number of patients. A patient has one case or, with several stacks or time points, more.
    progress
        Called with the number of patients done and of all.
    coarse
        Factor on voxel edges, for quick looks.

    Returns
    -------
    dict
        ``patients``, ``cases`` and ``lesions``: how many were written.

    Raises
    ------
    UsageError
        If the number of patients is not positive, the cohort is unknown, the seed negative, or the folder exists.
    InputError
        If the anatomy folder holds no bones, a subject lacks those that the cohort images, or a file cannot be used.
    OutputError
        If the disk is full or refuses to write; nothing is left behind.
    """
    if n_cases < 1:
        raise UsageError(
            "a cohort has at least one case",
            expected="a number of patients above 0",
            got=f"--cases {n_cases}",
            remedy="pass --cases 1 or more",
        )
    preset_of(cohort)
    if seed < 0:
        raise UsageError(
            "a seed is not negative", expected="0 or more", got=f"--seed {seed}", remedy="pass --seed 0 or more"
        )
    tables, bones_of = _Tables(), lru_cache(maxsize=_KEPT_SUBJECTS)(_read_subject)
    with output_folder(out, overwrite=overwrite) as folder:
        sources = () if anatomy is None else list_anatomies(anatomy)[:n_cases]
        for source in sources:
            check_bones(cohort, {bone.owner for bone in bones_of(source).bones}, source=f"the bones of {source.name}")
        (folder / "imagesTr").mkdir()
        for name in _MAPS:
            (folder / f"{name}Tr").mkdir()
        for number in range(n_cases):
            labelled = bones_of(sources[number % len(sources)]) if sources else None
            drawn = draw_patient(cohort, seed=seed, number=number, coarse=coarse, labelled=labelled)
            _write_patient(drawn, folder, tables)
            if dicom:
                rng = np.random.default_rng([seed, number, _DICOM_STREAM])
                write_studies(drawn.cases, folder / "dicomTr", rng)
            progress(number + 1, n_cases)
        _write_tables(tables, cohort, folder)
        _write_dataset(drawn.cases[0], tables, cohort, seed, folder)
        (folder / "mimics.json").write_text(json.dumps(dict(MIMIC_LABELS), indent=2) + "\n", encoding="utf-8")
    return {"patients": n_cases, "cases": len(tables.cases), "lesions": len(tables.lesions)}


def _read_subject(source: AnatomySource) -> LabelledBones:
    """Bones of one subject of an anatomy folder as shapes."""
    maps = read_anatomy(source)
    return bones_from_labels(maps.bones, maps.parts)


def _write_patient(drawn: PatientCases, folder: Path, tables: _Tables) -> None:
    """Write the cases of one patient and gather their rows."""
    for case in drawn.cases:
        _write_case(case, folder)
        tables.cases.append(_case_row(case))
        tables.lesions += _lesion_rows(case)
        tables.phases += _phase_rows(case)
    tables.links += _link_rows(drawn)
    for read in drawn.marks:
        rows = [
            {
                "likelihood": mark.likelihood,
                **dict(zip(("x_mm", "y_mm", "z_mm"), mark.centre_mm, strict=True)),
                **dict(zip(("size_x_mm", "size_y_mm", "size_z_mm"), mark.size_mm, strict=True)),
            }
            for mark in read.marks
        ]
        tables.marks += [
            {"reader": read.reader, "case": read.case, "condition": "unaided", **row} for row in rows or [{}]
        ]


def _write_case(case: Case, folder: Path) -> None:
    """Images and label maps of one case, which appear together or not at all."""
    part = _part(case)
    partial = folder / f".{case.name}"
    partial.mkdir()
    files: list[tuple[Path, Path]] = []
    channels = [image for image in case.images if image.channel]
    for number, image in enumerate(channels):
        name = f"{case.name}_{number:04d}.nii.gz"
        write_volume(image.volume, partial / name)
        files.append((partial / name, folder / f"images{part}" / name))
    for kind, attribute in _MAPS.items():
        labels: LabelMap = getattr(case, attribute)
        path = partial / f"{kind}.nii.gz"
        write_labels(labels, path)
        files.append((path, folder / f"{kind}{part}" / f"{case.name}.nii.gz"))
    for source, target in files:
        target.parent.mkdir(exist_ok=True)
        source.replace(target)
    shutil.rmtree(partial)


def _part(case: Case) -> str:
    """Suffix of the folders of a case: nnU-Net asks for every channel in ``Tr`` alone."""
    return "Ts" if case.exam.split == EXTERNAL else "Tr"


def _case_row(case: Case) -> Row:
    """Who and what a case is."""
    patient, exam = case.patient, case.exam
    roles = dict.fromkeys(image.role.value for image in case.images)
    return {
        "case": case.name,
        "patient": patient.name,
        "exam": exam.name,
        "date": exam.date.isoformat(),
        "centre": exam.centre,
        "scanner": exam.scanner,
        "field_strength_t": exam.field_strength_t,
        "sequences": " ".join(roles),
        "sex": patient.sex,
        "age": patient.age_years,
        "diagnosis": patient.diagnosis,
        "primary_site": patient.primary_site,
        "psa_ng_ml": _rounded(patient.psa_ng_ml, 2),
        "free_psa_ng_ml": _rounded(patient.free_psa_ng_ml, 2),
        "grade": patient.grade,
        "split": exam.split,
        **case.notes,
    }


def _lesion_rows(case: Case) -> list[Row]:
    """True type, site and size of every lesion that the case shows."""
    measured = measure_lesions(case.lesions.array, case.volume)
    rows: list[Row] = []
    for lesion in case.found:
        m = measured[lesion.number]
        rows.append(
            {
                "case": case.name,
                "lesion": lesion.number,
                "type": lesion.type.value,
                "treated": "yes" if lesion.treated else "no",
                "site": lesion.site,
                "subsite": lesion.subsite,
                "true_volume_ml": f"{lesion.volume_ml:.4f}",
                "volume_ml": f"{m.volume_ml:.4f}",
                "long_axis_mm": f"{m.long_axis_mm:.2f}",
                "short_axis_mm": f"{m.short_axis_mm:.2f}",
                **dict(zip(("x_mm", "y_mm", "z_mm"), (f"{v:.2f}" for v in m.centroid_xyz_mm), strict=True)),
            }
        )
    return rows


def _phase_rows(case: Case) -> list[Row]:
    """When each phase of a dynamic series was taken, from the first one on."""
    return [
        {"case": case.name, "channel": image.channel, "time_s": f"{image.time_s:.3f}"}
        for image in case.images
        if image.time_s is not None
    ]


def _link_rows(drawn: PatientCases) -> list[Row]:
    """What became of each lesion; a lesion that a field of view misses has no volume there."""
    linked = drawn.links
    if linked is None:
        return []
    by_name = {case.name: {lesion.number: lesion.volume_ml for lesion in case.found} for case in drawn.cases}
    rows: list[Row] = []
    for link in linked.links:
        prior = _sum(by_name[linked.prior_case], link.prior)
        current = _sum(by_name[linked.current_case], link.current)
        rows.append(
            {
                "patient": linked.patient,
                "prior_case": linked.prior_case,
                "current_case": linked.current_case,
                "change": link.change.value,
                "prior_lesions": " ".join(map(str, link.prior)),
                "current_lesions": " ".join(map(str, link.current)),
                "prior_volume_ml": _rounded(prior, 4),
                "current_volume_ml": _rounded(current, 4),
                "volume_ratio": _rounded(current / prior, 4) if current and prior else None,
                "asked_ratio": _rounded(link.ratio, 4),
            }
        )
    return rows


def _sum(volumes: dict[int, float], numbers: Sequence[int]) -> float | None:
    """Volume of some lesions together; None where one is out of sight, 0 where there is none."""
    return sum(volumes[n] for n in numbers) if all(n in volumes for n in numbers) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _write_tables(tables: _Tables, cohort: str, folder: Path) -> None:
    """Write every table; those of pairs and readers only where the cohort has them."""
    _write_table(folder / "cases.csv", _CASE_COLUMNS, tables.cases)
    _write_table(folder / "lesions.csv", _LESION_COLUMNS, tables.lesions)
    if cohort == "follow-up":
        _write_table(folder / "links.csv", _LINK_COLUMNS, tables.links)
    if tables.phases:
        _write_table(folder / PHASES_FILE, _PHASE_COLUMNS, tables.phases)
    if tables.marks:
        _write_table(folder / "marks.csv", _MARK_COLUMNS, tables.marks)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """CSV with a header, whether or not there are rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_dataset(case: Case, tables: _Tables, cohort: str, seed: int, folder: Path) -> None:
    """Write ``dataset.json``: channels of the whole cohort, labels, and what made it."""
    roles = COHORTS[cohort].roles
    channels = [image.channel for image in case.images if image.channel]
    names = [role.value for role in roles] if len(channels) < len(roles) else channels
    dataset: dict[str, Any] = {
        "channel_names": {str(n): name for n, name in enumerate(names)},
        "labels": {"background": 0, **case.semantic.labels},
        "numTraining": sum(row["split"] != EXTERNAL for row in tables.cases),
        "file_ending": ".nii.gz",
        "description": f"osteomet phantom cohort {cohort}, seed {seed}",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n", encoding="utf-8")
