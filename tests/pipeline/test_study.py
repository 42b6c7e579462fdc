"""A study from data to its report, on stacks whose lesions are bright squares; and what stops it."""

import csv
import errno
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from osteomet.core.errors import DatasetError, GeometryError, OutputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.metrics import Metric
from osteomet.io.formats import read_labels, write_labels, write_volume
from osteomet.io.raw_dataset import read_raw_dataset
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study import folds_of, model_folder, open_study, prepare_study
from osteomet.pipeline.studies.study_job import StudyJob, Tell
from osteomet.pipeline.studies.study_prediction import draw_by_networks, lesions_of
from osteomet.training import prepare
from osteomet.training.checkpoint import CHECKPOINT
from osteomet.training.study import StudyRecipe, read_study

NUMPY_SAVE = np.save
SHAPE = (32, 40, 5)
SAGITTAL = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
SEQUENCES = ("T1", "CE", "FO")
N_PATIENTS, N_EXTERNAL = 8, 2


def small_recipe() -> StudyRecipe:
    study = read_study("kim2024")
    network = {"channels": [8, 16], "batch": 8, "n_steps": 30, "learning_rate": 1e-2, "evaluations": 2}
    changes: dict[str, Any] = {
        "preprocessing": {"first_side": 40, "side": 32, "n_slices": 8, "registration": "none"},
        "networks": {"2d": network, "3d": network | {"batch": 2, "n_steps": 3}},
    }
    smoke = replace(study.scales["smoke"], n_bootstrap=50, settings=changes)
    variants = replace(study.variants, inputs=(("T1",), ("FO",), ("T1", "CE")), selected=("2D T1+CE",))
    return replace(study, variants=variants, scales={**study.scales, "smoke": smoke})


def write_dataset(folder: Path) -> Path:
    """Patients with two stacks each; T1 is dark and CE bright where the lesions are; the external centre lacks FO."""
    rng = np.random.default_rng(5)
    grid = Grid.from_spacing(SHAPE, (2.0, 2.0, 5.0), direction=SAGITTAL)
    rows: list[dict[str, object]] = []
    marks: list[dict[str, object]] = []
    for patient in range(N_PATIENTS + N_EXTERNAL):
        is_external = patient >= N_PATIENTS
        end = "Ts" if is_external else "Tr"
        for kind in ("images", "labels"):
            (folder / f"{kind}{end}").mkdir(parents=True, exist_ok=True)
        for stack in range(2):
            case = f"p{patient}_s{stack}"
            lesions = np.zeros(SHAPE, np.uint8)
            i, j = (int(n) for n in rng.integers(4, 20, 2))
            lesions[i : i + 8, j : j + 8, 1:4] = 1
            for number, sequence in enumerate(SEQUENCES[: 2 if is_external else 3]):
                contrast = -300.0 if sequence == "T1" else 300.0
                image = 500 + contrast * lesions + rng.normal(0, 20, SHAPE)
                volume = Volume(image.astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)
                write_volume(volume, folder / f"images{end}" / f"{case}_{number:04d}.nii.gz")
            write_labels(LabelMap(lesions, grid, {"metastasis": 1}), folder / f"labels{end}" / f"{case}.nii.gz")
            rows.append({"case": case, "patient": f"p{patient}", "split": "external" if is_external else "train"})
            if is_external:
                x, y, z = (round(float(v), 1) for v in grid.to_xyz_mm((i + 3.5, j + 3.5, 2)))
                box = {"x_mm": x, "y_mm": y, "z_mm": z, "size_x_mm": 15, "size_y_mm": 16, "size_z_mm": 16}
                marks += [{"reader": f"r{n}", "case": case, "likelihood": 80, **box} for n in range(2)]
    write_csv(folder / "cases.csv", rows)
    write_csv(folder / "marks.csv", marks)
    content = {
        "channel_names": dict(enumerate(SEQUENCES)),
        "labels": {"background": 0, "metastasis": 1},
        "numTraining": 2 * N_PATIENTS,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ignore(*_: object) -> None:
    pass


def stop_in(task: str) -> Tell:
    """A listener that ends the run in the middle of a task, as somebody who presses Ctrl-C does."""

    def tell(name: str, done: int, total: int, remark: str) -> None:  # noqa: ARG001
        if name.startswith(task):
            raise KeyboardInterrupt

    return tell


@dataclass(frozen=True)
class Study:
    data: Path
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    data, out = write_dataset(folder / "squares"), folder / "out"
    job = StudyJob(small_recipe(), out, data, "smoke", "cpu")
    for task in ("prepare", "2D FO", "evaluate 2D T1+CE"):
        with pytest.raises(KeyboardInterrupt):
            reproduce_study(job, tell=stop_in(task))
    return Study(data, out, reproduce_study(job, tell=ignore))


def test_no_patient_is_on_two_sides(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    parts = [*split["folds"], split["test"], split["external"]]
    assert sorted(p for part in parts for p in part) == [f"p{n}" for n in range(N_PATIENTS + N_EXTERNAL)]
    assert split["external"] == ["p8", "p9"]
    assert len(split["test"]) == 2


def test_every_model_is_evaluated_where_its_sequences_are(study: Study) -> None:
    parts = {tuple(name.split("/")[:2]) for name in study.metrics}
    names = [f"{n}D {inputs}" for n in (2, 3) for inputs in ("T1", "FO", "T1+CE")]
    assert parts == {(name, "internal") for name in names} | {("2D T1+CE", "external")}
    sensitivity = study.metrics["2D T1+CE/external/detection.sensitivity"].estimate
    assert sensitivity.denominator == 2 * N_EXTERNAL
    assert study.metrics["2D T1+CE/internal/detection.sensitivity"].estimate.denominator == 4


def test_bright_squares_are_learnt(study: Study) -> None:
    dice = study.metrics["2D T1+CE/external/lesion.dice"].estimate.value
    assert dice is not None
    assert dice > 0.6


def test_readers_of_the_data_set_are_read(study: Study) -> None:
    assert study.metrics["2D T1+CE/external/readers.sensitivity"].estimate.value == 1.0


def test_tables_stand_beside_the_published_figures(study: Study) -> None:
    with (study.out / "tables" / "kim2024_table2_study.csv").open(encoding="utf-8") as file:
        rows = {row["Model"]: row["Dice coefficient"] for row in csv.DictReader(file)}
    assert rows["T1 + CE, published"] == "0.699 (0.695–0.702)"
    value = study.metrics["2D T1+CE/external/lesion.dice"].estimate.value
    assert rows["T1 + CE, ours"].startswith(f"{value:.3f}")
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "Scale smoke" in page
    assert "Simulated images" not in page
    assert "0.828 (497/600)" in page
    for name in ("2d_t1_ce_internal", "2d_t1_ce_external"):
        assert f"evaluation/{name}/report.html" in page
        assert "Scale smoke" in (study.out / "evaluation" / name / "report.html").read_text(encoding="utf-8")


def test_curves_and_events_lie_beside_each_model(study: Study) -> None:
    for model in study.out.glob("models/*/fold_0"):
        names = {path.name.partition(".tf")[0] for path in model.iterdir()}
        assert {"log.csv", "validation.csv", "curves.png", "checkpoint.safetensors", "events.out"} <= names


def test_stacks_of_a_patient_are_on_one_side_of_every_training(study: Study) -> None:
    """Every patient has two stacks; what a fold learns from, is watched by and is tested on shares no patient."""
    run = open_study(small_recipe().scaled("smoke"), study.data, study.out, device="cpu", resume=True, tell=ignore)
    data = prepare_study(run)
    variant = run.recipe.all_variants[0]
    for fold, watching in enumerate(data.split.folds):
        learning = [p for n, patients in enumerate(data.split.folds) if n != fold for p in patients]
        sides = [data.cases_of(patients, variant) for patients in (learning, watching, data.split.test)]
        names = [{case.patient for case in side} for side in sides]
        assert not (names[0] & names[1] | names[0] & names[2] | names[1] & names[2])
        assert [len(side) for side in sides] == [2 * len(patients) for patients in names]


class Sure(nn.Module):
    """A network that is so sure of a lesion everywhere."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.logits = torch.tensor([1 - probability, probability]).log()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits[None, :, None, None].expand(len(image), -1, *image.shape[2:])


@pytest.mark.parametrize(("second", "confidences"), [(0.9, [0.55]), (0.7, [])])
def test_networks_of_several_folds_are_averaged(
    second: float, confidences: list[float], study: Study, tmp_path: Path
) -> None:
    """0.2 and 0.9 are 0.55 on average, a lesion; 0.2 and 0.7 are 0.45, none."""
    run = open_study(small_recipe().scaled("smoke"), study.data, study.out, device="cpu", resume=True, tell=ignore)
    case, variant = prepare_study(run).cases[0], run.recipe.all_variants[0]
    draw_by_networks(run, variant, [Sure(0.2), Sure(second)])(run.data.cases[0], case, tmp_path)
    with (tmp_path / f"{case.case}.confidence.csv").open(encoding="utf-8") as file:
        found = [float(row["confidence"]) for row in csv.DictReader(file)]
    assert found == pytest.approx(confidences, abs=1e-5)


def test_every_fold_that_was_trained_takes_part(study: Study, tmp_path: Path) -> None:
    run = open_study(small_recipe().scaled("smoke"), study.data, study.out, device="cpu", resume=True, tell=ignore)
    variant, elsewhere = run.recipe.all_variants[0], replace(run, out=tmp_path)
    assert folds_of(run, variant) == (0,)
    assert folds_of(elsewhere, variant) == (0,)
    folder = model_folder(elsewhere, variant, 3)
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).touch()
    assert folds_of(elsewhere, variant) == (0, 3)


def test_a_second_run_goes_on_from_what_is_there(study: Study) -> None:
    job = StudyJob(small_recipe(), study.out, study.data, "smoke", "cpu")
    recipe = small_recipe()
    variants = replace(recipe.variants, inputs=(("T1", "CE"),), dimensions=(2,), selected=())
    with pytest.raises(UsageError, match="holds a study with other settings"):
        reproduce_study(replace(job, recipe=replace(recipe, variants=variants)), tell=ignore)
    before = (study.out / "models" / "2d_t1_ce" / "fold_0" / "log.csv").read_bytes()
    again = reproduce_study(job, tell=ignore)
    assert (study.out / "models" / "2d_t1_ce" / "fold_0" / "log.csv").read_bytes() == before
    assert again == study.metrics


def test_a_shift_by_more_than_half_a_lesion_leaves_a_series_out() -> None:
    """Of a lesion eight voxels long, a shift by two keeps six eighths, one by five three eighths."""
    grid = Grid.from_spacing((20, 20, 4), (1.0, 1.0, 4.0))
    lesions = np.zeros(grid.shape, np.uint8)
    lesions[6:14, 5:10, 1:3] = 1
    label_map = LabelMap(lesions, grid, {"metastasis": 1})
    for n, share in ((0, 1.0), (2, 0.75), (5, 0.375)):
        registered = Grid.from_spacing(grid.shape, grid.spacing_mm, origin_mm=(float(n), 0.0, 0.0))
        assert prepare.lesion_overlap(label_map, grid, registered) == pytest.approx(share)


def test_lesions_are_components_with_their_highest_probability() -> None:
    probability = np.zeros((10, 10, 3))
    probability[1:4, 1:5, 1] = 0.6
    probability[2, 2, 1] = 0.9
    probability[7:9, 7:9, 1] = 0.8
    instances, confidences = lesions_of(probability, 0.5, 10)
    assert confidences == [0.9]
    assert int(instances.sum()) == 12
    assert lesions_of(probability, 0.95, 1)[1] == []


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def rewrite(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove("labelsTr/p3_s1.nii.gz"), r"case “p3_s1” of .* has no label map; remedy: add the file"),
        (remove("cases.csv"), r"cases\.csv is missing; .* remedy: write one: without it series of one patient"),
        (rewrite("cases.csv", "p2_s1,p2,train\n", ""), r"case “p2_s1” is not in .*cases\.csv"),
        (rewrite("cases.csv", "p2_s1,p2,train", "p2_s1,p2,external"), r"patient “p2” is in two parts of the study"),
        (
            rewrite("dataset.json", '"2": "FO"', '"2": "T2"'),
            r"lacks FO; expected channel_names with T1, FO, CE; got T1, CE, T2",
        ),
    ],
)
def test_a_bad_data_set_stops_with_the_case(harm: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    harm(data)
    with pytest.raises(DatasetError, match=message):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", data, "smoke", "cpu"), tell=ignore)
    assert not (tmp_path / "out" / "models").exists()


def test_a_label_map_on_another_grid_is_named(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    other = Grid.from_spacing(SHAPE, (2.0, 2.0, 5.0))
    write_labels(LabelMap(np.zeros(SHAPE, np.uint8), other, {"metastasis": 1}), data / "labelsTr" / "p1_s0.nii.gz")
    with pytest.raises(GeometryError, match="case “p1_s0”: T1 and its label map differ in geometry"):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", data, "smoke", "cpu"), tell=ignore)


def test_a_data_set_without_a_lesion_is_refused_before_it_trains(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    for path in data.glob("labelsT?/*.nii.gz"):
        labels = read_labels(path)
        write_labels(LabelMap(np.zeros_like(labels.array), labels.grid, labels.labels), path)
    with pytest.raises(DatasetError, match="no case to train 2D T1, fold 0 on shows metastasis; remedy: look whether"):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", data, "smoke", "cpu"), tell=ignore)
    assert not list((tmp_path / "out").glob("models/*/*/log.csv"))


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up at the fourth prepared case; the three before are kept, and none of it is half written."""
    data = write_dataset(tmp_path / "data")
    saved: list[Path] = []

    def save(path: Path, array: NDArray[Any]) -> None:
        if len(saved) == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(path)
        NUMPY_SAVE(path, array)

    job = StudyJob(small_recipe(), tmp_path / "out", data, "smoke", "cpu")
    monkeypatch.setattr(np, "save", save)
    with pytest.raises(OutputError, match=r"out could not be written; .*No space left on device; remedy: free space, "):
        reproduce_study(job, tell=ignore)
    assert len(list((tmp_path / "out" / "prepared").glob("*.json"))) == 3
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        reproduce_study(job, tell=stop_in("2D T1"))
    assert len(list((tmp_path / "out" / "prepared").glob("*.json"))) == 2 * (N_PATIENTS + N_EXTERNAL)


def test_the_layout_is_read(tmp_path: Path) -> None:
    found = read_raw_dataset(write_dataset(tmp_path / "data"))
    assert found.sequences == SEQUENCES
    assert len(found.cases) == 2 * (N_PATIENTS + N_EXTERNAL)
    assert list(found.cases[-1].images) == ["T1", "CE"]
    assert found.cases[0].labels.name == "p0_s0.nii.gz"


@pytest.mark.slow
def test_kim2024_runs_on_phantoms(tmp_path: Path) -> None:
    """All fourteen models, every table filled, and every page says that the images are simulated."""
    metrics = reproduce_study(StudyJob(read_study("kim2024"), tmp_path / "out", None, "smoke", "cpu"), tell=ignore)
    assert len({name.split("/")[0] for name in metrics}) == 14
    pages = list((tmp_path / "out").rglob("report.html"))
    assert len(pages) == 7
    assert metrics["2D T1+CE/internal/lesion.dice"].estimate.value != 0
    for page in pages:
        assert "Simulated images: the phantom cohort mr-spine" in page.read_text(encoding="utf-8")
    assert metrics["2D T1+CE/external/readers.sensitivity"].estimate.value is not None
