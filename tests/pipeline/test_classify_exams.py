"""Graders of exams by command: fitted to a data set of one's own, applied to others, and what is refused."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Osteomet, run_main
from tests.pipeline.test_grading import GRADES, N_PATIENTS, write_dataset

from osteomet.io.exam_cases import list_exams
from osteomet.io.model_package import read_package

RECIPE = """
version = 1
task = "grading study"
name = "mine"
title = "Blocks"
protocol = "wangd2023"
cohort = "graded"
data = { sequences = ["T2", "T1"], grades = ["none", "mild", "apparent"] }
split = { n_folds = 3, rounds = 3, seed = 1 }
augmentation = { rotation_deg = 0.0, translation = 0.0, zoom = [1.0, 1.0] }
explanation = { exams = 1, window = 4 }

[[preprocessing]]
step = "straighten"
rows = 48
columns = 24
spacing_mm = 4.0
front_mm = 52.0
planes = 2
plane_spacing_mm = 16.0

[[preprocessing]]
step = "scale"
method = "z-score"

[networks.small]
title = "small residual network"
network = { kind = "residual network", channels = [8, 16], dropout = 0.0 }
optimiser = "adamw"
learning_rate = 1e-2
schedule = "cosine"
warm_up_steps = 5
weight_decay = 0.05
n_steps = 50
batch = 8
ema_decay = 0.99
mixed_precision = false
augment = false
seed = 52

[scales.smoke]
patients = 12
phantom_coarse = 2.0
n_bootstrap = 50

[scales.small]
patients = 12
phantom_coarse = 2.0
n_bootstrap = 50

[scales.full]
patients = 12
phantom_coarse = 2.0
n_bootstrap = 50
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the data set of the grading study and a grader fitted to it by command."""
    folder = tmp_path_factory.mktemp("exams")
    write_dataset(folder / "data")
    (folder / "recipe.toml").write_text(RECIPE)
    arguments = ("--data", folder / "data", "--task", "exam", "--settings", folder / "recipe.toml", "--device", "cpu")
    assert run_main("classify", "fit", *arguments, "--out", folder / "fitted") == 0
    return folder


def test_every_exam_is_graded_out_of_fold(fitted: Path) -> None:
    document = json.loads((fitted / "fitted" / "metrics.json").read_text(encoding="utf-8"))
    table = rows(fitted / "fitted" / "predictions" / "small.csv")
    assert sorted(row["case"] for row in table) == [f"c{n:02d}" for n in range(N_PATIENTS)]
    right = sum(row["prediction"] == row["reference"] for row in table)
    accuracy = document["metrics"]["small/classification.accuracy"]
    assert (accuracy["numerator"], accuracy["denominator"]) == (right, N_PATIENTS)
    assert list(document["left_out"]) == ["c08"]  # without arches
    assert "no vertebral canal was found" in document["left_out"]["c08"]
    package = read_package(fitted / "fitted" / "models" / "small" / "package")
    assert document["packages"] == {"small": {"name": "mine-small", "sha256": package.sha256}}
    assert package.description.training_command == "osteomet classify fit --data DATASET --task exam --out DIR"
    part = package.description.grader
    assert part is not None
    assert (part.sequences, len(part.weights)) == (("T2", "T1"), 3)


def predict(folder: Path, source: Path, out: Path, *more: object) -> tuple[object, ...]:
    model = folder / "fitted" / "models" / "small" / "package"
    return ("classify", "predict", "--model", model, "--input", source, "--out", out, "--device", "cpu", *more)


def test_exams_are_graded_whatever_the_order_of_their_channels(
    fitted: Path, tmp_path: Path, osteomet: Osteomet
) -> None:
    """A data set says which channel is which; in a folder of images they stand in the order of the model, T2 first."""
    outcome = osteomet(*predict(fitted, fitted / "data", tmp_path / "a.csv", "--maps", tmp_path / "maps", "--json"))
    assert outcome.code == 0, outcome.err
    first = rows(tmp_path / "a.csv")
    assert [exam["case"] for exam in json.loads(outcome.out)["exams"]] == [row["case"] for row in first]
    new = tmp_path / "new"
    (new / "bones").mkdir(parents=True)
    for case in ("c01", "c08"):
        for number in range(2):
            shutil.copy(
                fitted / "data" / "imagesTr" / f"{case}_{number:04d}.nii.gz", new / f"{case}_{1 - number:04d}.nii.gz"
            )
        shutil.copy(fitted / "data" / "bonesTr" / f"{case}.nii.gz", new / "bones")
    shutil.copy(fitted / "data" / "bonesTr" / "labels.json", new / "bones")
    assert osteomet(*predict(fitted, new, tmp_path / "b.csv")).code == 0
    second = {row["case"]: row for row in rows(tmp_path / "b.csv")}
    assert {row["case"]: row for row in first if row["case"] in second} == second
    for row in first[:-1]:
        shares = np.array([float(row[f"probability_{grade}"]) for grade in GRADES])
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == GRADES[int(shares.argmax())]
    assert (first[-1]["case"], first[-1]["prediction"]) == ("c08", "")
    assert "no vertebral canal was found" in first[-1]["note"]
    assert {path.name for path in (tmp_path / "maps").glob("*.png")} == {f"c{n:02d}.png" for n in range(N_PATIENTS - 1)}


def test_what_cannot_be_graded_is_refused(fitted: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    outcome = osteomet(*predict(fitted, fitted / "data", fitted / "recipe.toml"))
    assert (outcome.code, "exists already" in outcome.err) == (2, True)
    data = tmp_path / "data"
    shutil.copytree(fitted / "data", data)
    text = (data / "dataset.json").read_text()
    (data / "dataset.json").write_text(text.replace('"T2"', '"STIR"'))
    outcome = osteomet(*predict(fitted, data, tmp_path / "c.csv"))
    assert (outcome.code, "lacks T2" in outcome.err) == (3, True)
    assert not (tmp_path / "c.csv").exists()
    again = ("--data", fitted / "data", "--task", "exam", "--settings", fitted / "recipe.toml")
    outcome = osteomet("classify", "fit", *again, "--out", fitted / "fitted")
    assert (outcome.code, "holds a study already" in outcome.err) == (2, True)


def test_cases_of_both_parts_of_a_data_set_are_listed(fitted: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(fitted / "data", data)
    for kind in ("images", "bones"):
        (data / f"{kind}Ts").mkdir()
        for path in sorted((data / f"{kind}Tr").glob("c00*")):
            shutil.move(path, data / f"{kind}Ts")
    assert [case.name for case in list_exams(data, ("T1",))] == [f"c{n:02d}" for n in range(N_PATIENTS)]
