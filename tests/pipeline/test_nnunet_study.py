"""A study that trains nnU-Net, from data to its report: with a stand-in for nnU-Net, and with nnU-Net where it is."""

import csv
import importlib.util
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Osteomet
from tests.pipeline.nnunet_blocks import PATIENTS, block_recipe, write_blocks

from osteomet.core.errors import DatasetError, ModelError, UsageError
from osteomet.evaluation.metrics import Metric
from osteomet.io.formats import read_labels
from osteomet.pipeline.nnunet_packages import compare_engines, package_best
from osteomet.pipeline.studies import nnunet_study, reproduce_nnunet
from osteomet.pipeline.studies.nnunet_study import best_of, open_nnunet, prepare_nnunet, train_nnunet
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study_job import StudyJob
from osteomet.training.log import Progress, TrainingLog, read_curves
from osteomet.training.nnunet import driver
from osteomet.training.nnunet.jobs import Job, Place, PlanJob, TrainJob
from osteomet.training.nnunet.recipe import CASCADE, NnunetRecipe
from osteomet.training.nnunet.trainer import SUMMARY

DICE = {"2d": 0.3, "3d_lowres": 0.6, "3d_fullres": 0.9, "3d_cascade_fullres": 0.9}
STAGES = {"vertebrae": "Dataset001_vertebrae", "metastases": "Dataset002_metastases"}


def ignore(*_: object) -> None:
    pass


def stand_in(place: Place, job: Job, folder: Path, *, tell: Any) -> None:  # noqa: ARG001
    """Do what nnU-Net does: plans without a 2D network; predictions that are right but for an empty 3d_lowres."""
    if isinstance(job, PlanJob):
        place.prepared.mkdir(parents=True)
        names = [name for name in job.configurations if name != "2d"]
        (place.prepared / "nnUNetPlans.json").write_text(json.dumps({"configurations": {name: {} for name in names}}))
        done = ["fingerprint", "plans", "2d", "3d_lowres", "3d_fullres"]
        (place.prepared / "planned.json").write_text(json.dumps(done))
        return
    assert isinstance(job, TrainJob)
    splits = json.loads((place.prepared / "splits_final.json").read_text())
    for configuration, fold in job.trainings:
        target = place.fold(configuration, fold) / "validation"
        target.mkdir(parents=True)
        for case in splits[fold]["val"] if configuration != "3d_lowres" else ():
            shutil.copy(Path(place.raw) / place.dataset / "labelsTr" / f"{case}.nrrd", target)
        TrainingLog(target.parent, 0).write_progress(Progress(job.n_iterations, 0.5, 0.4, 0.01, 1.0))
        cases = [{"metrics": {"1": {"Dice": DICE[configuration]}}} for _ in splits[fold]["val"]]
        (target / "summary.json").write_text(json.dumps({"metric_per_case": cases}))


@dataclass(frozen=True)
class Study:
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blocks(tmp_path_factory.mktemp("data") / "blocks")


@pytest.fixture
def without_nnunet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnunet_study, "check_installed", ignore)
    monkeypatch.setattr(nnunet_study, "run_job", stand_in)


@pytest.fixture(scope="module")
def imitated(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study with the stand-in."""
    out = tmp_path_factory.mktemp("imitated") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nnunet_study, "check_installed", ignore)
        patch.setattr(nnunet_study, "run_job", stand_in)
        patch.setattr(reproduce_nnunet, "package_best", ignore)
        patch.setattr(reproduce_nnunet, "compare_engines", lambda *_: {"p0a.nrrd": 0.9995})
        metrics = reproduce_study(StudyJob(block_recipe(), out, blocks, "smoke", "cpu"), tell=ignore)
    return Study(out, metrics)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_case_counts_once_and_perfect_labels_are_perfect(imitated: Study) -> None:
    for name in ("vertebrae/3d_fullres/lesion.dice.L5", "metastases/3d_cascade_fullres/detection.pq.sclerotic"):
        assert imitated.metrics[name].estimate.value == 1.0
    assert imitated.metrics["vertebrae/3d_lowres/lesion.dice.L5"].estimate.value == 0.0
    table2 = rows(imitated.out / "tables/edelmers2024_table2_3d_fullres.csv")
    assert table2[0]["Vertebra"] == "C1"
    assert table2[0]["Dice, published"] == "0.94"
    assert next(row for row in table2 if row["Vertebra"] == "L4")["Dice, ours"].startswith("1.000")
    assert (imitated.out / "tables/edelmers2024_table3_3d_cascade_fullres.csv").is_file()
    assert (imitated.out / "tables/edelmers2024_table3_3d_fullres.csv").is_file()
    metrics = json.loads((imitated.out / "evaluation/metastases_3d_fullres/metrics.json").read_text())
    assert metrics["protocol"] == "edelmers2024"


def test_the_best_is_chosen_and_what_was_not_planned_is_said(imitated: Study) -> None:
    table = rows(imitated.out / "tables/configurations.csv")
    found = {(row["stage"], row["configuration"]): (row["Dice"], row[""]) for row in table}
    assert found["vertebrae", "2d"] == ("not planned", "")
    assert found["vertebrae", "3d_lowres"] == ("0.6", "")
    assert found["vertebrae", "3d_fullres"] == ("0.9", "best")  # of equal ones the simpler
    assert found["metastases", CASCADE] == ("0.9", "")
    report = (imitated.out / "report.html").read_text(encoding="utf-8")
    assert "99.950% of the voxels" in report
    assert "fold 0" in report


def test_folds_keep_both_scans_of_a_patient_together(imitated: Study) -> None:
    folds = json.loads((imitated.out / "split.json").read_text())["folds"]
    assert sorted(p for fold in folds for p in fold) == sorted(set(PATIENTS.values()))
    for name in STAGES.values():
        splits = json.loads((imitated.out / "prepared/preprocessed" / name / "splits_final.json").read_text())
        assert sorted(case for split in splits for case in split["val"]) == sorted(PATIENTS)
        for split in splits:
            sides = [{PATIENTS[case] for case in split[side]} for side in ("train", "val")]
            assert not sides[0] & sides[1]


def test_curves_hold_the_real_dice_apart(imitated: Study) -> None:
    fold = imitated.out / "models/Dataset001_vertebrae/nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0"
    assert read_curves(fold)["pseudo_dice"] == [(4, 0.4)]
    assert "Dice of whole images" in (fold / "curves.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_nnunet")
def test_one_fold_alone_leaves_the_cascade_until_its_first_stage_is_done(blocks: Path, tmp_path: Path) -> None:
    told: list[tuple[object, ...]] = []
    recipe = block_recipe().scaled("smoke")
    run = open_nnunet(
        recipe, blocks, tmp_path / "out", device="cpu", resume=False, tell=lambda *line: told.append(line)
    )
    prepare_nnunet(run)
    train_nnunet(run, [1])
    place = run.place("vertebrae")
    assert (place.fold("3d_fullres", 1) / SUMMARY).is_file()
    assert not place.fold(CASCADE, 1).exists()
    assert ("vertebrae: 3d_cascade_fullres", 0, 1, "waits for 3d_lowres of fold 0; train these, then again") in told
    train_nnunet(run, [0])
    train_nnunet(run, [1])
    assert all((place.fold(CASCADE, fold) / SUMMARY).is_file() for fold in range(2))


@pytest.mark.usefixtures("without_nnunet")
def test_a_folder_of_other_settings_and_a_data_set_without_ct_are_refused(blocks: Path, tmp_path: Path) -> None:
    recipe = block_recipe().scaled("smoke")
    open_nnunet(recipe, blocks, tmp_path / "out", device="cpu", resume=False, tell=ignore)
    other = replace(recipe, training=replace(recipe.training, n_epochs=9))
    with pytest.raises(UsageError, match="holds a study with other settings"):
        open_nnunet(other, blocks, tmp_path / "out", device="cpu", resume=True, tell=ignore)
    shutil.copytree(blocks, tmp_path / "mr")
    content = json.loads((blocks / "dataset.json").read_text()) | {"channel_names": {"0": "T1"}}
    (tmp_path / "mr/dataset.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="lacks CT; expected channel_names with CT; got T1"):
        open_nnunet(recipe, tmp_path / "mr", tmp_path / "other", device="cpu", resume=False, tell=ignore)


def test_a_configuration_without_a_figure_is_never_the_best() -> None:
    assert best_of({"2d": float("nan"), "3d_fullres": 0.0}) == "3d_fullres"


def test_the_command_refuses_a_fold_that_is_not_there(osteomet: Osteomet, blocks: Path, tmp_path: Path) -> None:
    outcome = osteomet("train", "edelmers2024", "--data", blocks, "--out", tmp_path / "out", "--fold", "5")
    assert outcome.code == 2
    assert "there is no such fold; expected 0 to 4, or all; got --fold 5" in outcome.err


needs_nnunet = pytest.mark.skipif(
    importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is not installed: pip install 'osteomet[nnunet]'"
)


def trained_recipe() -> NnunetRecipe:
    """Batches enough that networks decide: our engine must then say what nnU-Net says."""
    return block_recipe(n_iterations=20)


@pytest.fixture(scope="module")
def real(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study with nnU-Net itself: both stages, four configurations, two folds."""
    out = tmp_path_factory.mktemp("real") / "study"
    return Study(out, reproduce_study(StudyJob(trained_recipe(), out, blocks, "smoke", "cpu"), tell=ignore))


@needs_nnunet
@pytest.mark.oracle
def test_nnunet_goes_from_data_to_the_report(real: Study) -> None:
    choice = rows(real.out / "tables/configurations.csv")
    assert len(choice) == 8
    assert all(0 <= float(row["Dice"]) <= 1 for row in choice)
    assert sum(row[""] == "best" for row in choice) == 2
    for stage in STAGES:
        for configuration in DICE:
            folder = real.out / "predictions" / stage / configuration / "prediction"
            assert sorted(path.name for path in folder.iterdir()) == [f"{case}.nrrd" for case in PATIENTS]
    log = rows(real.out / "models/Dataset001_vertebrae/nnUNetTrainer__nnUNetPlans__2d/fold_1/log.csv")
    assert [int(row["step"]) for row in log] == [20, 40]


@needs_nnunet
@pytest.mark.oracle
def test_the_package_gives_the_labels_of_nnunet(real: Study, osteomet: Osteomet, tmp_path: Path) -> None:
    (agreement,) = (real.out / "agreement/vertebrae").glob("*/agreement.csv")
    assert all(float(row["agreement"]) >= 0.999 for row in rows(agreement))
    images = real.out / "prepared/raw/Dataset001_vertebrae/imagesTr"
    package = real.out / "packages/edelmers2024-vertebrae"
    outcome = osteomet("predict", "--model", package, "--input", images, "--out", tmp_path / "maps", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    ours = read_labels(tmp_path / "maps/p0a.nii.gz")
    theirs = read_labels(agreement.parent / "p0a.nrrd", ours.labels)
    assert ours.grid.same_as(theirs.grid)
    assert np.mean(ours.array == theirs.array) >= 0.999


@needs_nnunet
@pytest.mark.oracle
def test_a_cascade_gives_the_labels_of_nnunet(real: Study, blocks: Path) -> None:
    recipe = trained_recipe().scaled("smoke")
    run = open_nnunet(recipe, blocks, real.out, device="cpu", resume=True, tell=ignore)
    package = package_best(run, "metastases", CASCADE)
    assert package.description.nnunet is not None
    assert package.description.nnunet.first is not None
    assert min(compare_engines(run, "metastases", CASCADE, package).values()) >= 0.999
    strict = replace(recipe, prediction=replace(recipe.prediction, least_agreement=1.1))
    with pytest.raises(ModelError, match=r"does not give nnU-Net's labels for p0a\.nrrd; expected 110\.00% of the v"):
        compare_engines(replace(run, recipe=strict), "metastases", CASCADE, package)


@needs_nnunet
@pytest.mark.oracle
def test_a_run_that_is_stopped_goes_on(blocks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StopError(Exception):
        pass

    def stop_in_training(task: str, done: int, total: int, remark: str) -> None:  # noqa: ARG001
        if task.endswith("fold 0") and done == 1:
            raise StopError

    recipe = block_recipe("3d_fullres").scaled("smoke")
    run = open_nnunet(recipe, blocks, tmp_path / "out", device="cpu", resume=False, tell=stop_in_training)
    prepare_nnunet(run)
    with pytest.raises(StopError):
        train_nnunet(run, [0])
    fold = run.place("vertebrae").fold("3d_fullres", 0)
    assert (fold / "checkpoint_latest.pth").is_file()
    assert not (fold / SUMMARY).exists()

    jobs: list[Job] = []
    started = driver.run_job

    def listen(place: Place, job: Job, folder: Path, *, tell: Any) -> None:
        jobs.append(job)
        started(place, job, folder, tell=tell)

    monkeypatch.setattr(nnunet_study, "run_job", listen)
    again = open_nnunet(recipe, blocks, tmp_path / "out", device="cpu", resume=True, tell=ignore)
    prepare_nnunet(again)
    train_nnunet(again, [0])
    assert not any(isinstance(job, PlanJob) for job in jobs)
    assert [int(row["step"]) for row in rows(fold / "log.csv")] == [4, 8]
    assert (fold / SUMMARY).is_file()
