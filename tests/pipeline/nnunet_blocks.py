"""Blocks that stand for vertebrae, with a dark and a bright cube in them, for tests that train nnU-Net."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume
from osteomet.training.nnunet.recipe import ConfigurationName, NnunetRecipe, read_nnunet

SHAPE = (30, 28, 40)
GRID = Grid.from_spacing(SHAPE, (4.0, 4.0, 5.0), origin_mm=(-60.0, -56.0, 10.0))
BLOCKS = {"sacrum": slice(3, 13), "L5": slice(15, 24), "L4": slice(26, 36)}
PATIENTS = {"p0a": "p0", "p0b": "p0", "p1": "p1", "p2": "p2", "p3": "p3"}
LABELS = {"lytic": 1, "sclerotic": 2}


def block_recipe(*configurations: ConfigurationName, n_iterations: int = 4) -> NnunetRecipe:
    """Let the study run in seconds on blocks."""
    study = read_nnunet("edelmers2024")
    settings = {
        "split": {"n_folds": 2},
        "plans": {"gpu_memory_gb": 0.002, "base_features": 4},
        "training": {"n_epochs": 2, "n_iterations": n_iterations, "n_validation_iterations": 1, "checkpoint_every": 1},
        "prediction": {"least_agreement": 0.999},
        "vertebrae": {"classes": list(BLOCKS)},
    }
    smoke = replace(study.scales["smoke"], n_bootstrap=20, settings=settings)
    return replace(
        study,
        plans=replace(study.plans, configurations=configurations or study.plans.configurations),
        vertebrae=replace(study.vertebrae, reported=()) if configurations else study.vertebrae,
        metastases=replace(study.metastases, reported=()) if configurations else study.metastases,
        scales={**study.scales, "smoke": smoke},
    )


def write_blocks(folder: Path) -> Path:
    """Five scans of four patients, as NRRD; two scans are of one patient."""
    rng = np.random.default_rng(7)
    codes = {name: STRUCTURES[name].id for name in BLOCKS}
    for kind in ("imagesTr", "labelsTr", "bonesTr"):
        (folder / kind).mkdir(parents=True)
    for number, case in enumerate(PATIENTS):
        bones, lesions = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        for name, rows in BLOCKS.items():
            bones[8:22, 8:20, rows] = codes[name]
        lesions[10 : 15 + number % 2, 10:15, 17:21] = LABELS["lytic"]
        lesions[14:19, 10:15, 28 : 33 + number % 2] = LABELS["sclerotic"]
        values = -50 + 400 * (bones > 0) - 300 * (lesions == 1) + 500 * (lesions == 2) + rng.normal(0, 20, SHAPE)
        volume = Volume(values.astype(np.int16), GRID, Modality.CT, Unit.HU)
        write_volume(volume, folder / "imagesTr" / f"{case}_0000.nrrd")
        write_labels(LabelMap(lesions, GRID, LABELS), folder / "labelsTr" / f"{case}.nrrd")
        write_labels(LabelMap(bones, GRID, codes), folder / "bonesTr" / f"{case}.nrrd")
    (folder / "bonesTr" / "labels.json").write_text(json.dumps(codes), encoding="utf-8")
    write_table(folder, {case: (patient, "train") for case, patient in PATIENTS.items()})
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, **LABELS}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_table(folder: Path, rows: dict[str, tuple[str, str]]) -> None:
    """Write ``cases.csv``: patient and part of each case."""
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "patient", "split"])
        writer.writerows((case, *row) for case, row in rows.items())
