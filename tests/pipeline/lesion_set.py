"""A data set of lesions in two classes, for tests of what classifies them."""

import csv
import json
from pathlib import Path

import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume

GRID = Grid.from_spacing((24, 24, 10), (2.0, 2.0, 4.0), origin_mm=(-20.0, 5.0, 300.0))
CHANNELS = ("wash_in", "peak")
BRIGHT = 3.0
"""How many standard deviations of the noise a metastasis stands out in the first channel."""


def write_lesions(folder: Path, *, n_patients: int, shuffled: bool = False) -> Path:
    """Every second patient has metastases, bright in the first channel; the first one has two lesions.

    With ``shuffled`` the table of cases gives the classes to the patients at random.
    """
    rng = np.random.default_rng(11)
    for name in ("imagesTr", "instancesTr"):
        (folder / name).mkdir(parents=True)
    rows = []
    for patient in range(n_patients):
        is_metastasis = patient % 2 == 0
        lesions = np.zeros(GRID.shape, dtype=np.uint8)
        for number in range(2 if patient == 0 else 1):
            i, j = (int(n) for n in rng.integers(5, 10, 2))
            lesions[i + 8 * number : i + 8 * number + 4, j : j + 5, 4:7] = number + 1
        for channel in range(len(CHANNELS)):
            values = rng.standard_normal(GRID.shape)
            values[lesions > 0] += BRIGHT * (is_metastasis and channel == 0)
            volume = Volume(values.astype(np.float32), GRID, Modality.MR, Unit.ONE)
            write_volume(volume, folder / "imagesTr" / f"c{patient:02d}_{channel:04d}.nii.gz")
        names = {f"lesion_{n}": n for n in range(1, int(lesions.max()) + 1)}
        write_labels(LabelMap(lesions, GRID, names), folder / "instancesTr" / f"c{patient:02d}.nii.gz")
        diagnosis = "metastasis" if is_metastasis else "primary bone tumour"
        rows.append({"case": f"c{patient:02d}", "patient": f"p{patient:02d}", "diagnosis": diagnosis})
    if shuffled:
        for row, diagnosis in zip(rows, rng.permutation([row["diagnosis"] for row in rows]), strict=True):
            row["diagnosis"] = str(diagnosis)
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"channel_names": dict(enumerate(CHANNELS)), "labels": {"background": 0, "lesion": 1}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
