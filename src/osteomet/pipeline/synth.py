"""Write phantom cohorts as a data set, and as DICOM where asked."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.core.volume import LabelMap
from osteomet.io.anatomy_folder import AnatomySource, list_anatomies, read_anatomy
from osteomet.io.dicom_writer import write_ct_series
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.output import output_folder
from osteomet.lesions.measure import measure_lesions
from osteomet.phantom.cohort import Case, draw_case
from osteomet.phantom.labelled_anatomy import LabelledBones, bones_from_labels

SEMANTIC_LABELS = {"lytic": 1, "sclerotic": 2}


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
) -> None:
    """Write a cohort in nnU-Net's raw layout, with instances, bones and a table of the lesions beside it.

    ``imagesTr`` holds the scans, ``labelsTr`` lytic and sclerotic voxels, ``instancesTr`` the lesions one by one,
    ``bonesTr`` the bones by vocabulary id, ``dicomTr`` a series a case where ``dicom`` is true. ``cases.csv`` has a row
    a patient, ``lesions.csv`` a row a lesion with its true type, site, volume and axes. With ``anatomy``, a folder as
    `osteomet.io.anatomy_folder` reads it, each case is built around the bones of one subject, in turn.

    Raises
    ------
    UsageError
        If the number of cases is not positive, the cohort is unknown or the folder exists.
    InputError
        If the anatomy folder holds no bones, or a file in it cannot be used.
    """
    if n_cases < 1:
        raise UsageError("a cohort has at least one case", got=f"--cases {n_cases}")
    subjects = [] if anatomy is None else [_Subject(source) for source in list_anatomies(anatomy)]
    with output_folder(out, overwrite=overwrite) as folder:
        for name in ("imagesTr", "labelsTr", "instancesTr", "bonesTr"):
            (folder / name).mkdir()
        lesion_rows: list[dict[str, object]] = []
        for number in range(n_cases):
            labelled = subjects[number % len(subjects)].bones if subjects else None
            case = draw_case(cohort, seed=seed, number=number, labelled=labelled)
            _write_case(case, folder)
            if dicom:
                rng = np.random.default_rng([seed, number, 1])
                write_ct_series(case.phantom.volume, folder / "dicomTr" / case.name, rng=rng)
            lesion_rows += _lesion_rows(case)
            progress(number + 1, n_cases)
        names = [f"case_{number:04d}" for number in range(n_cases)]
        _write_table(
            folder / "cases.csv", [{"case": n, "patient": n, "centre": "phantom", "split": "train"} for n in names]
        )
        _write_table(folder / "lesions.csv", lesion_rows)
        dataset = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **SEMANTIC_LABELS},
            "numTraining": n_cases,
            "file_ending": ".nii.gz",
            "description": f"osteomet phantom cohort {cohort}, seed {seed}",
        }
        (folder / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Subject:
    """One subject of an anatomy folder; its bones are read when they are first needed."""

    source: AnatomySource

    @cached_property
    def bones(self) -> LabelledBones:
        maps = read_anatomy(self.source)
        return bones_from_labels(maps.bones, maps.parts)


def _write_case(case: Case, folder: Path) -> None:
    """Image and the three label maps of one case."""
    phantom = case.phantom
    write_volume(phantom.volume, folder / "imagesTr" / f"{case.name}_0000.nii.gz")
    semantic = LabelMap(phantom.truth.lesion_kinds, phantom.volume.grid, SEMANTIC_LABELS)
    write_labels(semantic, folder / "labelsTr" / f"{case.name}.nii.gz")
    write_labels(case.lesions, folder / "instancesTr" / f"{case.name}.nii.gz")
    write_labels(case.bones, folder / "bonesTr" / f"{case.name}.nii.gz")


def _lesion_rows(case: Case) -> list[dict[str, object]]:
    """True type, site and size of every lesion that the scan shows."""
    measured = measure_lesions(case.lesions.array, case.phantom.volume)
    return [
        {
            "case": case.name,
            "lesion": number,
            "type": case.types[number].value,
            "site": case.sites[number],
            "volume_ml": f"{m.volume_ml:.4f}",
            "long_axis_mm": f"{m.long_axis_mm:.2f}",
            "short_axis_mm": f"{m.short_axis_mm:.2f}",
            **dict(zip(("x_mm", "y_mm", "z_mm"), (f"{v:.2f}" for v in m.centroid_xyz_mm), strict=True)),
        }
        for number, m in sorted(measured.items())
    ]


def _write_table(path: Path, rows: list[dict[str, object]]) -> None:
    """CSV with a header; an empty table has no columns to name and is left empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
