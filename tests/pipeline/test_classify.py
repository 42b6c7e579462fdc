"""A classifier by command: a data set to a package, a package to probabilities; what leaks, and what is refused."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Osteomet, run_main
from tests.pipeline.lesion_set import CHANNELS, GRID, write_lesions

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.classified_cases import TUMOUR_ORIGINS, read_classified
from osteomet.inference.classify import load_classifier, randomised_classifier
from osteomet.io.formats import read_volume, write_labels, write_volume
from osteomet.io.lesion_cases import list_lesion_images
from osteomet.io.model_package import read_package
from osteomet.nn.occlusion import likeness
from osteomet.pipeline import classify
from osteomet.pipeline.classify import ClassifyJob, fit_classifier, read_lesion_set
from osteomet.pipeline.lesion_cubes import cut_case
from osteomet.radiomics.folds import deal_repeats, folds_rng
from osteomet.stats.roc import auc
from osteomet.training.bags import Bagged, Cubes
from osteomet.training.classifier_recipe import ClassifierRecipe

N_PATIENTS = 18
RECIPE = ClassifierRecipe(
    side=16, edge_mm=3.0, blocks=(1, 1, 1), n_members=2, n_folds=3, n_steps=30, learning_rate=0.01
)
SETTINGS = """
side = 16
edge_mm = 3.0
blocks = [1, 1, 1]
n_members = 2
n_folds = 3
n_steps = 30
learning_rate = 0.01
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ignore(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lesions(tmp_path_factory.mktemp("classify") / "lesions", n_patients=N_PATIENTS)


@pytest.fixture(scope="module")
def fitted(data: Path) -> Path:
    """A classifier by command."""
    (data.parent / "recipe.toml").write_text(SETTINGS)
    out = data.parent / "fitted"
    arguments = ("--data", data, "--task", "lesion", "--settings", data.parent / "recipe.toml", "--device", "cpu")
    assert run_main("classify", "fit", *arguments, "--out", out) == 0
    return out


def test_bright_lesions_are_told_out_of_fold(fitted: Path) -> None:
    document = json.loads((fitted / "metrics.json").read_text())
    area = document["metrics"]["classification.auc.metastasis"]
    assert area["value"] > 0.9
    cases = read_classified(fitted / "out_of_fold.csv", TUMOUR_ORIGINS)
    assert len(cases.cases) == N_PATIENTS + 1  # the first patient has two lesions
    assert cases.cases[:2] == ("c00#1", "c00#2")
    assert cases.probability is not None
    truth = [reference == "metastasis" for reference in cases.reference]
    assert area["value"] == pytest.approx(auc(cases.probability[:, 0], truth).value)
    assert {"roc.svg", "calibration.svg", "confusion_matrix.svg"} <= {p.name for p in (fitted / "figures").iterdir()}


def test_no_patient_is_on_two_sides(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[set[int], set[int]]] = []
    whole = read_lesion_set(data, RECIPE, tell=ignore)
    learnt: set[int] = set()

    def note_training(cubes: Cubes, *_: Any, **__: Any) -> Bagged:
        learnt.clear()
        learnt.update(cubes.patients.tolist())
        return Bagged((), ())

    class Oracle:
        def probabilities(self, cubes: np.ndarray) -> np.ndarray:
            known = {cube.tobytes(): int(p) for cube, p in zip(whole.cubes.values, whole.cubes.patients, strict=True)}
            seen.append((set(learnt), {known[cube.tobytes()] for cube in cubes}))
            return np.full((len(cubes), 2), 0.5)

    monkeypatch.setattr(classify, "fit_bagged", note_training)
    monkeypatch.setattr(classify, "make_classifier", lambda *_, **__: Oracle())
    monkeypatch.setattr(classify, "write_classifier", lambda *_: read_package_stub())
    fit_classifier(ClassifyJob(data, tmp_path / "out", replace(RECIPE, n_repeats=2), "cpu"), tell=ignore)
    assert len(seen) == 2 * RECIPE.n_folds
    for trained, judged in seen:
        assert not trained & judged
        assert trained | judged == set(range(N_PATIENTS))
    for repeat in (seen[:3], seen[3:]):
        assert sorted(patient for _, judged in repeat for patient in judged) == list(range(N_PATIENTS))


def read_package_stub() -> Any:
    class Package:
        sha256 = "0"

    return Package()


def test_folds_are_those_of_a_signature_of_the_same_seed(fitted: Path) -> None:
    table = rows(fitted / "tables" / "folds.csv")
    patients = np.unique([row["patient"] for row in table], return_inverse=True)[1]
    truth = np.array([row["reference"] == "metastasis" for row in table])
    expected, _ = deal_repeats(patients, truth, RECIPE.n_folds, 1, rng=np.random.default_rng(RECIPE.seed).spawn(4)[0])
    assert [int(row["fold"]) - 1 for row in table] == expected[0].tolist()
    again, _ = deal_repeats(patients, truth, RECIPE.n_folds, 3, rng=folds_rng(RECIPE.seed))
    np.testing.assert_array_equal(again[0], expected[0])  # more repeats do not change the first


def test_shuffled_labels_are_not_told_out_of_fold_although_they_are_learnt(tmp_path: Path) -> None:
    data = write_lesions(tmp_path / "shuffled", n_patients=N_PATIENTS, shuffled=True)
    recipe = replace(RECIPE, n_members=1, n_steps=60)
    metrics = fit_classifier(ClassifyJob(data, tmp_path / "out", recipe, "cpu"), tell=ignore)["metrics"]
    area = metrics["classification.auc.metastasis"]
    assert area["low"] < 0.5 < area["high"]
    # The networks of all lesions know the shuffled labels by heart: had a fold leaked, the area would be high.
    lesions = read_lesion_set(data, recipe, tell=ignore)
    classifier = load_classifier(read_package(tmp_path / "out" / "package"), device="cpu")
    by_heart = auc(classifier.probabilities(lesions.cubes.values)[:, 0], lesions.cubes.truth).value
    assert by_heart is not None
    assert by_heart > area["high"]


def test_the_package_predicts_what_its_networks_do(
    fitted: Path, data: Path, tmp_path: Path, osteomet: Osteomet
) -> None:
    package = read_package(fitted / "package")
    part = package.description.classifier
    assert part is not None
    assert [channel.name for channel in part.channels] == list(CHANNELS)
    assert len(part.weights) == RECIPE.n_members
    data = write_lesions(tmp_path / "lesions", n_patients=2)
    arguments = ("--model", fitted / "package", "--input", data, "--device", "cpu")
    found = osteomet("classify", "predict", *arguments, "--out", tmp_path / "said.csv", "--maps", tmp_path / "maps")
    assert found.code == 0
    table = rows(tmp_path / "said.csv")
    names, cases = list_lesion_images(data)
    cubes = [cube for case in cases for cube in cut_case(case, names, side=RECIPE.side, edge_mm=RECIPE.edge_mm)]
    expected = load_classifier(package, device="cpu").probabilities(np.stack([cube.values for cube in cubes]))
    assert [(row["case"], row["lesion"]) for row in table] == [cube.key for cube in cubes]
    assert len(table) == 3
    said = [[float(row["probability_metastasis"]), float(row["probability_primary"])] for row in table]
    np.testing.assert_allclose(said, expected, atol=1e-6)
    assert all(sum(pair) == pytest.approx(1) for pair in said)
    maps = sorted(path.name for path in (tmp_path / "maps").glob("*.nii.gz"))
    assert maps == ["c00_1.nii.gz", "c00_2.nii.gz", "c01_1.nii.gz"]
    first = read_volume(tmp_path / "maps" / "c00_1.nii.gz", modality=Modality.MR)
    assert first.grid.spacing_mm == (3.0, 3.0, 3.0)
    assert osteomet("model", "show", fitted / "package").code == 0


def test_maps_point_at_the_lesion_and_change_with_the_weights(fitted: Path, data: Path) -> None:
    lesions = read_lesion_set(data, RECIPE, tell=ignore)
    package = read_package(fitted / "package")
    part = package.description.classifier
    assert part is not None
    classifier = load_classifier(package, device="cpu")
    others = randomised_classifier(part, [package.weights[name] for name in part.weights], seed=5, device="cpu")
    bright = [row for row, truth in enumerate(lesions.cubes.truth) if truth][:4]
    alike = []
    for row in bright:
        cube = lesions.cubes.values[row]
        shown = classifier.occlusion_map(cube)
        inside = cube[-1] > 0.5
        assert shown[inside].mean() > 3 * abs(shown[~inside].mean())  # what is bright speaks for a metastasis
        alike.append(likeness(shown, others.occlusion_map(cube)))
    assert all(one is not None and one < 0.5 for one in alike)


def test_a_stopped_fit_goes_on(fitted: Path, data: Path) -> None:
    job = ClassifyJob(data, fitted, RECIPE, "cpu", resume=True)
    log = fitted / "models" / "repeat_1_fold_1" / "member_0" / "log.csv"
    before, lines = (fitted / "out_of_fold.csv").read_bytes(), log.read_bytes()
    fit_classifier(job, tell=ignore)
    assert (fitted / "out_of_fold.csv").read_bytes() == before
    assert log.read_bytes() == lines  # which say how many seconds each step took
    with pytest.raises(Exception, match="holds a study with other settings"):
        fit_classifier(replace(job, recipe=replace(RECIPE, seed=1)), tell=ignore)
    with pytest.raises(Exception, match="holds a study already; remedy: go on with --resume"):
        fit_classifier(replace(job, resume=False), tell=ignore)


def drop_channel(folder: Path) -> None:
    (folder / "imagesTr" / "c03_0001.nii.gz").unlink()


def unknown_class(folder: Path) -> None:
    table = folder / "cases.csv"
    table.write_text(table.read_text().replace("p02,metastasis", "p02,osteoma"))


def one_class(folder: Path) -> None:
    table = folder / "cases.csv"
    table.write_text(table.read_text().replace("primary bone tumour", "metastasis"))


def no_class(folder: Path) -> None:
    table = folder / "cases.csv"
    table.write_text(table.read_text().replace("c05,p05,primary bone tumour\n", ""))


def constant_image(folder: Path) -> None:
    volume = Volume(np.full(GRID.shape, 2.0, dtype=np.float32), GRID, Modality.MR, Unit.ONE)
    write_volume(volume, folder / "imagesTr" / "c04_0000.nii.gz")


def other_geometry(folder: Path) -> None:
    grid = Grid.from_spacing(GRID.shape, (2.0, 2.0, 4.0), origin_mm=(0.0, 5.0, 300.0))
    write_labels(LabelMap(np.ones(GRID.shape, np.uint8), grid, {"lesion": 1}), folder / "instancesTr" / "c06.nii.gz")


def no_lesion(folder: Path) -> None:
    for path in (folder / "instancesTr").iterdir():
        write_labels(LabelMap(np.zeros(GRID.shape, np.uint8), GRID, {}), path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_channel, r"case “c03” of the data set; expected an image of channel 1; got none"),
        (unknown_class, r"osteoma"),
        (one_class, r"too few patients of the class “primary” for 3 folds; expected at least 3; got 0"),
        (no_class, r"the table has no row for case “c05”"),
        (constant_image, r"case “c04”: the image “wash_in” has the same value everywhere; got 2"),
        (other_geometry, r"case “c06”: the image “wash_in” and the map of lesions differ in geometry"),
        (no_lesion, r"no case has a lesion; got 10 empty maps"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, spoil: Any, message: str, osteomet: Osteomet) -> None:
    spoil(write_lesions(tmp_path / "lesions", n_patients=10))
    (tmp_path / "recipe.toml").write_text("side = 8\nn_folds = 3")
    arguments = ("--data", tmp_path / "lesions", "--task", "lesion", "--settings", tmp_path / "recipe.toml")
    found = osteomet("classify", "fit", *arguments, "--out", tmp_path / "out")
    assert found.code == 3
    assert re.search(message, found.err)
    assert not (tmp_path / "out").exists()


def test_a_mask_of_one_voxel_has_a_cube(tmp_path: Path) -> None:
    data = write_lesions(tmp_path / "lesions", n_patients=6)
    mask = np.zeros(GRID.shape, np.uint8)
    mask[12, 7, 3] = 1
    write_labels(LabelMap(mask, GRID, {"lesion": 1}), data / "instancesTr" / "c01.nii.gz")
    recipe = replace(RECIPE, side=8, edge_mm=2.0)
    cube = read_lesion_set(data, recipe, tell=ignore).cubes.values[2]
    # An even side puts the voxel's centre between eight voxels of 2 mm; slices are 4 mm apart.
    assert cube[-1].sum() * 8 == pytest.approx(GRID.voxel_volume_mm3, rel=0.3)
    assert cube[-1, 3:5, 3:5, 3:5].sum() == pytest.approx(cube[-1].sum(), rel=0.5)


def test_a_model_of_another_kind_does_not_classify(data: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    found = osteomet("classify", "predict", "--model", "default-ct", "--input", data, "--out", tmp_path / "x.csv")
    assert found.code == 4
    assert "model 'default-ct' does not classify lesions; expected a package that" in found.err
    assert not (tmp_path / "x.csv").exists()


def test_images_of_other_names_are_refused(fitted: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    data = write_lesions(tmp_path / "lesions", n_patients=2)
    (data / "dataset.json").write_text('{"channel_names": {"0": "wash_in", "1": "outflow"}}')
    found = osteomet("classify", "predict", "--model", fitted / "package", "--input", data, "--out", tmp_path / "x.csv")
    assert found.code == 3
    assert "lacks the channel “peak”; expected wash_in, peak; got wash_in, outflow" in found.err
