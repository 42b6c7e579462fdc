"""A grading study from data to its report and to grades of new exams, on spines of blocks with dark spots."""

import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.image.spine_blocks import LEVELS, block_spine, upright

from osteomet.core.errors import DatasetError, FormatError, ModelError, UsageError
from osteomet.core.exam_map import Scale, Straighten
from osteomet.core.grader import ResidualNet, SigmoidCnn
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.metrics import Metric
from osteomet.io.exam_cases import list_new_exams, read_graded_exams
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.model_package import ModelPackage, find_package, read_package
from osteomet.io.package_rules import check_description
from osteomet.pipeline.grade import grade_folder
from osteomet.pipeline.studies.grading import open_grading, prepare_grading, train_grader
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study_job import StudyJob
from osteomet.training.grading import GradingRecipe, read_grading

GRID = Grid.from_spacing((12, 50, 84), (5.0, 2.5, 2.5), origin_mm=(-27.5, -65.0, -188.0))
GRADES = ("none", "mild", "apparent")
N_PATIENTS = 9


def small_recipe() -> GradingRecipe:
    study = read_grading("wangd2023")
    steps = (Straighten("straighten", 48, 24, 4.0, 52.0, 2, 16.0), Scale("scale", "z-score"))
    published = replace(study.networks["published"], network=SigmoidCnn("sigmoid CNN", (2, 2), 3, 2))
    residual = replace(
        study.networks["residual"], network=ResidualNet("residual network", (8, 16), 0.0), batch=8, augment=False,
        learning_rate=1e-2, warm_up_steps=5, mixed_precision=False,
    )  # fmt: skip
    smoke = replace(
        study.scales["smoke"], rows=None, columns=None, spacing_mm=None, rounds=3, n_bootstrap=50,
        n_steps={"published": 8, "residual": 50},
    )  # fmt: skip
    return replace(
        study,
        split=replace(study.split, n_folds=3, rounds=3),
        preprocessing=steps,
        networks={"published": published, "residual": residual},
        scales={**study.scales, "smoke": smoke},
    )


def write_exam(folder: Path, case: str, grade: str, rng: np.random.Generator, *, bones_are_whole: bool = True) -> None:
    """Bodies of 300 with no spot, one small dark spot or four large ones; T2 is the negative of T1."""
    bones = block_spine(GRID, upright(*rng.uniform(-4, 4, 2)))
    xyz = GRID.to_xyz_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    values = np.where(bones.array > 0, 300.0, 120.0) + rng.normal(0, 6, GRID.shape)
    n, radius_mm = {"none": (0, 0.0), "mild": (1, 8.0), "apparent": (4, 12.0)}[grade]
    for level in rng.permutation(len(LEVELS))[:n]:
        middle = upright()[level] + [rng.uniform(-9, 9), -24.0, 0.0]
        values[np.linalg.norm(xyz - middle, axis=-1) < radius_mm] = 20.0
    for number, image in enumerate((values, 400 - values)):
        volume = Volume(image.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)
        write_volume(volume, folder / "imagesTr" / f"{case}_{number:04d}.nii.gz")
    kept = bones.array if bones_are_whole else np.where(xyz[..., 1] < -10, bones.array, 0).astype(np.uint8)
    write_labels(LabelMap(kept, GRID, bones.labels), folder / "bonesTr" / f"{case}.nii.gz")


def write_dataset(folder: Path) -> Path:
    """Three patients a grade; the last one's bones are without arches."""
    rng = np.random.default_rng(8)
    for kind in ("imagesTr", "bonesTr"):
        (folder / kind).mkdir(parents=True)
    rows = []
    for number in range(N_PATIENTS):
        case, grade = f"c{number:02d}", GRADES[number % 3]
        write_exam(folder, case, grade, rng, bones_are_whole=number < N_PATIENTS - 1)
        rows.append({"case": case, "patient": f"p{number}", "grade": grade})
    names = block_spine(GRID, upright()).labels
    (folder / "bonesTr" / "labels.json").write_text(json.dumps(dict(names)), encoding="utf-8")
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Study:
    data: Path
    out: Path
    metrics: dict[str, Metric]
    package: ModelPackage


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("grading")
    data, out = write_dataset(folder / "blocks"), folder / "out"
    metrics = reproduce_study(StudyJob(small_recipe(), out, data, "smoke", "cpu"), tell=ignore)
    return Study(data, out, metrics, read_package(out / "models" / "residual" / "package"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_patient_is_graded_once_by_networks_of_others(study: Study) -> None:
    folds = json.loads((study.out / "split.json").read_text(encoding="utf-8"))["folds"]
    assert sorted(p for fold in folds for p in fold) == sorted(f"p{n}" for n in range(N_PATIENTS))
    rows = rows_of(study.out / "predictions" / "residual.csv")
    assert sorted(row["case"] for row in rows) == [f"c{n:02d}" for n in range(N_PATIENTS)]
    assert all(row["patient"] in folds[int(row["fold"])] for row in rows)


def test_an_exam_without_a_map_counts_as_wrong(study: Study) -> None:
    rows = {row["case"]: row for row in rows_of(study.out / "predictions" / "residual.csv")}
    assert rows["c08"]["prediction"] == ""
    right = sum(row["prediction"] == row["reference"] for row in rows.values())
    accuracy = study.metrics["residual/classification.accuracy"].estimate
    assert (accuracy.numerator, accuracy.denominator) == (right, N_PATIENTS)
    left_out = rows_of(study.out / "tables" / "left_out.csv")
    assert [row["exam"] for row in left_out] == ["c08"]
    assert "no vertebral canal was found" in left_out[0]["reason"]


def test_the_residual_network_learns_its_exams(study: Study) -> None:
    """From about ln 3 = 1.1, the loss of chance, to a third of it or less."""
    for fold in range(3):
        losses = [float(row["loss"]) for row in rows_of(study.out / "models" / "residual" / f"fold_{fold}" / "log.csv")]
        assert losses[-1] < 1.1 / 3


def test_pages_show_the_published_figures_and_say_the_scale(study: Study) -> None:
    pages = [study.out / "report.html", *sorted(study.out.glob("evaluation/*/report.html"))]
    assert [page.parent.name for page in pages[1:]] == ["published", "residual"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "0.9721" in text
        assert "0.9645" in text
        assert "Scale smoke" in text
        assert "Simulated" not in text


def test_decisions_change_with_random_weights(study: Study) -> None:
    rows = rows_of(study.out / "tables" / "decisions_residual.csv")
    assert [row["reference"] for row in rows] == list(GRADES)
    likenesses = [float(row["rank correlation with random weights"]) for row in rows]
    assert all(abs(value) < 0.9 for value in likenesses)
    assert {row["level"] for row in rows} <= set(LEVELS)


def test_a_stopped_study_goes_on_where_it_stood(study: Study) -> None:
    """Maps and weights that are there are taken: the network of a round is the member of the package."""
    recipe = small_recipe().scaled("smoke")
    with pytest.raises(UsageError, match="holds a study already"):
        open_grading(recipe, study.data, study.out, device="cpu", resume=False, tell=ignore)
    run = open_grading(recipe, study.data, study.out, device="cpu", resume=True, tell=ignore)
    network = train_grader(run, prepare_grading(run), "residual", 1)
    member = study.package.weights["weights/fold_1.safetensors"]
    assert all(np.array_equal(value.numpy(), member[name]) for name, value in network.state_dict().items())


def test_the_package_grades_new_exams(study: Study, tmp_path: Path) -> None:
    new, out = tmp_path / "new", tmp_path / "grades"
    (new / "bones").mkdir(parents=True)
    for case in ("c01", "c02", "c08"):
        for number in range(2):
            shutil.copy(study.data / "imagesTr" / f"{case}_{number:04d}.nii.gz", new)
        shutil.copy(study.data / "bonesTr" / f"{case}.nii.gz", new / "bones")
    shutil.copy(study.data / "bonesTr" / "labels.json", new / "bones")
    grade_folder(study.package, new, out, device="cpu", progress=ignore)
    rows = {row["case"]: row for row in rows_of(out / "grades.csv")}
    assert list(rows) == ["c01", "c02", "c08"]
    for case in ("c01", "c02"):
        row = rows[case]
        shares = {grade: float(row[f"probability_{grade}"]) for grade in GRADES}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=lambda grade: shares[grade]) == row["prediction"]
        assert row["decisive_level"] in LEVELS
        assert -130 < float(row["decisive_y_mm"]) < 60
        assert (out / f"{case}.png").stat().st_size > 1000
    assert rows["c08"]["prediction"] == ""
    assert "no vertebral canal was found" in rows["c08"]["note"]
    run = grade_folder(study.package, new, out, device="cpu", progress=ignore)
    assert (run.predicted, len(run.kept)) == ((), 3)


def test_the_description_of_a_grader(study: Study) -> None:
    part = study.package.description.grader
    assert part is not None
    assert (part.sequences, part.outputs, part.n_inputs) == (("T1", "T2"), GRADES, 4)
    assert part.weights == tuple(f"weights/fold_{n}.safetensors" for n in range(3))
    assert study.package.description.name == "wangd2023-residual"
    assert "classification.accuracy" in study.package.description.metrics


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (Scale("scale", "z-score"),)}, "one of them “straighten”"),
        ({"outputs": ("none", "none", "mild")}, "named once each"),
        ({"network": ResidualNet("residual network", (12,), 0.0)}, "multiples of 8"),
        ({"weights": ()}, "at least one file of weights"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(study: Study, changes: dict[str, Any], message: str) -> None:
    description = study.package.description
    assert description.grader is not None
    with pytest.raises(ModelError, match=message):
        check_description(replace(description, grader=replace(description.grader, **changes)))


def test_what_is_no_grader_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not grade exams"):
        grade_folder(
            read_package(find_package("default-ct")), study.data, tmp_path / "x", device="cpu", progress=ignore
        )


def test_a_folder_of_something_else_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="holds files of something else"):
        grade_folder(study.package, study.data / "imagesTr", tmp_path, device="cpu", progress=ignore)


@pytest.fixture
def copied(study: Study, tmp_path: Path) -> Path:
    shutil.copytree(study.data, tmp_path / "data")
    return tmp_path / "data"


def read(data: Path) -> None:
    read_graded_exams(data, ("T1", "T2"), GRADES)


def test_a_missing_sequence_is_refused_by_name(copied: Path) -> None:
    (copied / "imagesTr" / "c03_0001.nii.gz").unlink()
    with pytest.raises(DatasetError, match="case “c03” has no T2"):
        read(copied)
    with pytest.raises(DatasetError, match="case “c03” does not have one image for each channel"):
        list_new_exams(copied / "imagesTr", ("T1", "T2"))
    with pytest.raises(DatasetError, match="lacks STIR"):
        read_graded_exams(copied, ("T1", "STIR"), GRADES)


def test_missing_bones_and_rows_are_refused_by_name(copied: Path) -> None:
    table = copied / "cases.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("c05,p5,apparent", "c05,p5,severe"), encoding="utf-8")
    with pytest.raises(DatasetError, match="“grade” has an unknown value"):
        read(copied)
    table.write_text(text.replace("c05,p5,apparent\r\n", "").replace("c05,p5,apparent\n", ""), encoding="utf-8")
    with pytest.raises(DatasetError, match="case “c05” is not in"):
        read(copied)
    table.write_text(text, encoding="utf-8")
    (copied / "bonesTr" / "c02.nii.gz").unlink()
    with pytest.raises(DatasetError, match="case “c02” has no map of its bones"):
        read(copied)


def test_one_patient_of_a_grade_is_refused(copied: Path, tmp_path: Path) -> None:
    table = copied / "cases.csv"
    text = table.read_text(encoding="utf-8").replace("apparent", "mild").replace("c08,p8,mild", "c08,p8,apparent")
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="no patient of grade apparent to learn from"):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", copied, "smoke", "cpu"), tell=ignore)


def test_a_damaged_file_stops_the_run(copied: Path, tmp_path: Path) -> None:
    path = copied / "imagesTr" / "c01_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match="case “c01”"):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", copied, "smoke", "cpu"), tell=ignore)
