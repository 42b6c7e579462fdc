"""A study in two steps from data to its report, on blocks of bone with bright lesions."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.metrics import Metric
from osteomet.io.formats import read_labels, write_labels, write_volume
from osteomet.pipeline.reproduce import reproduce_study
from osteomet.pipeline.study_job import StudyJob
from osteomet.training import recipe as recipe_module
from osteomet.training.chain import ChainRecipe, read_chain
from osteomet.training.chain_part import bone_classes

SHAPE = (32, 32, 8)
GRID = Grid.from_spacing(SHAPE, (4.0, 4.0, 6.0))
BLOCKS = {"sacrum": slice(12, 20), "ilium_left": slice(22, 30), "ilium_right": slice(2, 10)}
N_PATIENTS, N_EXTERNAL = 10, 2


def small_recipe() -> ChainRecipe:
    study = read_chain("liu2021")
    smoke = replace(study.scales["smoke"], side=32, n_slices=8, n_steps_bones=60, n_steps_lesions=60, n_bootstrap=50)
    bones = replace(study.bones, structures=("sacrococcyx", "ilium"))
    return replace(study, bones=bones, scales={**study.scales, "smoke": smoke})


def write_dataset(folder: Path) -> Path:
    """Three dark blocks of bone; every other patient has a lesion in an ilium; the external centre lacks T1-IP."""
    rng = np.random.default_rng(3)
    labels = {name: STRUCTURES[name].id for name in BLOCKS}
    rows = []
    for patient in range(N_PATIENTS + N_EXTERNAL):
        is_external = patient >= N_PATIENTS
        end, case = ("Ts" if is_external else "Tr"), f"p{patient}"
        for kind in ("images", "labels", "bones"):
            (folder / f"{kind}{end}").mkdir(parents=True, exist_ok=True)
        bones, lesions = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        for name, columns in BLOCKS.items():
            bones[columns, 10:24, 1:7] = labels[name]
        if patient % 2 == 0:
            j = int(rng.integers(11, 18))
            lesions[3:8, j : j + 5, 2:5] = 1
        for number, sequence in enumerate(("DWI", "T1-IP")[: 1 if is_external else 2]):
            contrast = 600.0 if sequence == "DWI" else -250.0
            image = 600.0 - 300 * (bones > 0) + contrast * lesions + rng.normal(0, 15, SHAPE)
            volume = Volume(image.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)
            write_volume(volume, folder / f"images{end}" / f"{case}_{number:04d}.nii.gz")
        write_labels(LabelMap(lesions, GRID, {"metastasis": 1}), folder / f"labels{end}" / f"{case}.nii.gz")
        write_labels(LabelMap(bones, GRID, labels), folder / f"bones{end}" / f"{case}.nii.gz")
        (folder / f"bones{end}" / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
        rows.append({"case": case, "patient": case, "split": "external" if is_external else "train"})
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"channel_names": {"0": "DWI", "1": "T1-IP"}, "labels": {"background": 0, "metastasis": 1}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Study:
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("chain")
    data, out = write_dataset(folder / "blocks"), folder / "out"
    return Study(out, reproduce_study(StudyJob(small_recipe(), out, data, "smoke", "cpu"), tell=ignore))


def value(study: Study, name: str) -> float:
    found = study.metrics[name].estimate.value
    assert found is not None, name
    return found


def test_no_patient_is_in_two_parts(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    assert sorted(p for part in split.values() for p in part) == sorted(f"p{n}" for n in range(12))
    assert [len(split[part]) for part in ("train", "validation", "test", "external")] == [8, 1, 1, 2]


def test_bones_are_learnt_by_structure(study: Study) -> None:
    assert value(study, "bones test/lesion.dice.sacrococcyx") > 0.7
    assert value(study, "bones test/lesion.dice.ilium") > 0.7


def test_each_sequence_is_a_case_of_its_patient(study: Study) -> None:
    tables = sorted(study.out.glob("predictions/lesions_*/reference/cases.csv"))
    rows = []
    for table in tables:
        with table.open(encoding="utf-8") as file:
            rows += [(row["case"], row["patient"], row["sequence"]) for row in csv.DictReader(file)]
    external = [row for row in rows if row[1] in ("p10", "p11")]
    assert external == [("p10_DWI", "p10", "DWI"), ("p11_DWI", "p11", "DWI")]
    assert sorted(sequence for *_, sequence in set(rows) - set(external)) == ["DWI", "T1-IP"]


def test_lesions_lie_in_the_bones_that_were_found(study: Study) -> None:
    found = sorted(study.out.glob("predictions/lesions_*/prediction/*.nii.gz"))
    assert len(found) == 4
    for path in found:
        lesions = read_labels(path)
        case, _, sequence = path.name.removesuffix(".nii.gz").partition("_")
        mask = np.load(study.out / "prepared" / f"{case}.{sequence}.mask.npy")
        # the stack has the side and the slices of the case, so voxels correspond
        assert not (lesions.array > 0)[~mask].any()


def test_the_page_has_the_tables_of_bones_and_lesions(study: Study) -> None:
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "Table 4. Segmentation performance of pelvic bony structures, DSC" in page
    assert "ours on the external set" in page
    for part in ("bones_test", "lesions_test", "lesions_external"):
        assert f"evaluation/{part}/report.html" in page
    assert page.count("data:image/svg+xml") == 4


def test_classes_follow_the_structures_and_join_both_sides() -> None:
    ids = np.array([[[20, 26, 27, 31, 32, 45]]], dtype=np.uint8)
    names = {s.name: s.id for s in STRUCTURES.values()}
    bones = LabelMap(ids, Grid.from_spacing((1, 1, 6), (1.0, 1.0, 1.0)), names)
    assert bone_classes(bones, ("ilium", "sacrococcyx")).array.ravel().tolist() == [0, 2, 2, 1, 1, 0]


def test_a_case_without_bones_is_named(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    (data / "bonesTr" / "p4.nii.gz").unlink()
    with pytest.raises(DatasetError, match=r"case “p4” lacks a map of its bones; remedy: add the file"):
        reproduce_study(StudyJob(small_recipe(), tmp_path / "out", data, "smoke", "cpu"), tell=ignore)


def test_a_wrong_structure_or_side_is_named(tmp_path: Path) -> None:
    text = (Path(recipe_module.__file__).parents[1] / "recipes" / "liu2021.toml").read_text(encoding="utf-8")
    for old, new, message in (
        ('"pubis"', '"tibia"', r"expected bones\.structures: some of .*pubis; got tibia"),
        ("side = 224", "side = 220", r"expected network\.channels: sides that 8 divides at scale full"),
        ("smallest_ml", "smallest", r"got prediction\.smallest"),
    ):
        path = tmp_path / "r.toml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            read_chain(str(path))


@pytest.mark.slow
def test_liu2021_runs_on_phantoms(tmp_path: Path) -> None:
    metrics = reproduce_study(StudyJob(read_chain("liu2021"), tmp_path / "out", None, "smoke", "cpu"), tell=ignore)
    assert {name.split("/")[0] for name in metrics} == {"bones test", "lesions test", "lesions external"}
    for page in (tmp_path / "out").rglob("report.html"):
        assert "Simulated images: the phantom cohort mr-pelvis" in page.read_text(encoding="utf-8")
