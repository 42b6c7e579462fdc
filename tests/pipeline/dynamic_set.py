"""Dynamic series of lesions of two classes, for tests of maps and of what is made of them."""

import csv
import json
from pathlib import Path

import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume

GRID = Grid.from_spacing((26, 24, 10), (2.0, 2.0, 4.0), origin_mm=(-20.0, 5.0, 300.0))
TIMES_S = (0.0, 12.0, 24.0, 36.0, 60.0)
"""The medium arrives between the second phase and the third."""
CURVES = {"metastasis": (0.0, 0.0, 1.5, 1.8, 1.0), "primary bone tumour": (0.0, 0.0, 0.5, 0.8, 1.2)}
BASELINE = 100.0


def write_series(folder: Path, *, n_patients: int) -> Path:
    """Every second patient has a metastasis, which enhances fast and empties; a vessel enhances in all."""
    rng = np.random.default_rng(2)
    for name in ("imagesTr", "instancesTr"):
        (folder / name).mkdir(parents=True)
    rows, phases = [], []
    for patient in range(n_patients):
        diagnosis = list(CURVES)[patient % 2]
        lesion = np.zeros(GRID.shape, dtype=np.uint8)
        i, j = (int(n) for n in rng.integers(6, 12, 2))
        lesion[i : i + 6, j : j + 6, 3:7] = 1
        for channel, time in enumerate(TIMES_S):
            signal = np.full(GRID.shape, BASELINE)
            signal[lesion > 0] *= 1 + CURVES[diagnosis][channel]
            signal[:2, :2] *= 1 + 3.0 * (channel >= 2)
            signal += rng.normal(0, 3.0, GRID.shape)
            volume = Volume(signal.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)
            write_volume(volume, folder / "imagesTr" / f"c{patient:02d}_{channel:04d}.nii.gz")
            phases.append({"case": f"c{patient:02d}", "channel": f"phase-{channel + 1:02d}", "time_s": time})
        write_labels(LabelMap(lesion, GRID, {"lesion_1": 1}), folder / "instancesTr" / f"c{patient:02d}.nii.gz")
        rows.append({"case": f"c{patient:02d}", "patient": f"p{patient:02d}", "diagnosis": diagnosis})
    for name, table in (("cases.csv", rows), ("phases.csv", phases)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    names = {n: f"phase-{n + 1:02d}" for n in range(len(TIMES_S))}
    content = {"channel_names": names, "labels": {"background": 0, "lesion": 1}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
