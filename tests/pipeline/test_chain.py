"""A study in two steps from data to its report, on blocks of bone with bright lesions."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.io.formats import read_labels, write_labels, write_volume
from osteomet.pipeline.studies.chain import open_chain, prepare_chain
from osteomet.pipeline.studies.chain_patients import observer_results
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study_job import StudyJob
from osteomet.training import recipe as recipe_module
from osteomet.training.chain import ChainRecipe, read_chain
from osteomet.training.chain_part import bone_classes

SHAPE = (32, 32, 8)
GRID = Grid.from_spacing(SHAPE, (4.0, 4.0, 6.0))
BLOCKS = {"sacrum": slice(12, 20), "ilium_left": slice(22, 30), "ilium_right": slice(2, 10)}
N_PATIENTS, N_EXTERNAL = 10, 2


def small_recipe() -> ChainRecipe:
    study = read_chain("liu2021")
    changes: dict[str, Any] = {
        "preprocessing": {"side": 32, "n_slices": 8},
        "networks": {
            name: {"channels": [8, 16], "n_steps": 60, "learning_rate": 1e-2, "evaluations": 2}
            for name in ("bones", "lesions")
        },
    }
    smoke = replace(study.scales["smoke"], n_bootstrap=50, settings=changes)
    data = replace(study.data, structures=("sacrococcyx", "ilium"))
    return replace(study, data=data, scales={**study.scales, "smoke": smoke})


def write_dataset(folder: Path) -> Path:
    """Three dark blocks of bone; every other patient has a lesion in an ilium; the external centre lacks T1-IP.

    Every third patient was scanned twice. Of `p0` there are two annotation rounds, a voxel of five apart.
    """
    rng = np.random.default_rng(3)
    labels = {name: STRUCTURES[name].id for name in BLOCKS}
    rows = []
    for patient in range(N_PATIENTS + N_EXTERNAL):
        is_external = patient >= N_PATIENTS
        end = "Ts" if is_external else "Tr"
        for kind in ("images", "labels", "bones"):
            (folder / f"{kind}{end}").mkdir(parents=True, exist_ok=True)
        for case in case_names(patient):
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
            if case == "p0":
                for shift, name in enumerate(("A1.1", "A2.1")):
                    (folder / "rounds" / name).mkdir(parents=True)
                    drawn = LabelMap(np.roll(lesions, shift, axis=0), GRID, {"metastasis": 1})
                    write_labels(drawn, folder / "rounds" / name / f"{case}.nii.gz")
            split = "external" if is_external else "train"
            rows.append({"case": case, "patient": f"p{patient}", "split": split, "age": 60 + patient, "t_psa": 10})
        (folder / f"bones{end}" / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"channel_names": {"0": "DWI", "1": "T1-IP"}, "labels": {"background": 0, "metastasis": 1}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def case_names(patient: int) -> list[str]:
    return [f"p{patient}", f"p{patient}_again"][: 2 if patient % 3 == 1 and patient < N_PATIENTS else 1]


def ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Study:
    data: Path
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("chain")
    data, out = write_dataset(folder / "blocks"), folder / "out"
    return Study(data, out, reproduce_study(StudyJob(small_recipe(), out, data, "smoke", "cpu"), tell=ignore))


def value(study: Study, name: str) -> float:
    found = study.metrics[name].estimate.value
    assert found is not None, name
    return found


def test_no_patient_is_in_two_parts(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    assert sorted(p for part in split.values() for p in part) == sorted(f"p{n}" for n in range(12))
    assert [len(split[part]) for part in ("train", "validation", "test", "external")] == [8, 1, 1, 2]
    tested = {p.name.split("_")[0] for p in study.out.glob("predictions/lesions_test/reference/p*")}
    assert tested == set(split["test"])
    for name in ("DWI", "T1-IP"):
        masks = {p.name.partition(".")[0] for p in study.out.glob(f"prepared/*.{name}.mask.npy")}
        assert masks >= {case for n in range(N_PATIENTS) for case in case_names(n)}


def test_bones_are_learnt_by_structure(study: Study) -> None:
    assert value(study, "bones test/lesion.dice.sacrococcyx") > 0.7
    assert value(study, "bones test/lesion.dice.ilium") > 0.7


def test_each_sequence_is_a_case_of_its_patient(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    for part, sequences in (("test", ("DWI", "T1-IP")), ("external", ("DWI",))):
        with (study.out / f"predictions/lesions_{part}/reference/cases.csv").open(encoding="utf-8") as file:
            rows = [(row["case"], row["patient"], row["sequence"]) for row in csv.DictReader(file)]
        cases = [(case, f"p{n}") for n in range(12) if f"p{n}" in split[part] for case in case_names(n)]
        assert sorted(rows) == sorted((f"{case}_{s}", patient, s) for case, patient in cases for s in sequences)


def test_lesions_lie_in_the_bones_that_were_found(study: Study) -> None:
    found = sorted(study.out.glob("predictions/lesions_*/prediction/*.nii.gz"))
    assert len(found) >= 4
    for path in found:
        lesions = read_labels(path)
        case, _, sequence = path.name.removesuffix(".nii.gz").rpartition("_")
        mask = np.load(study.out / "prepared" / f"{case}.{sequence}.mask.npy")
        # the stack has the side and the slices of the case, so voxels correspond
        assert not (lesions.array > 0)[~mask].any()


def test_the_tables_of_patients_are_filled_from_the_split_that_was_drawn(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    with (study.out / "tables" / "liu2021_table3.csv").open(encoding="utf-8") as file:
        rows = {row["Characteristic"]: row for row in csv.DictReader(file)}
    numbers = {part: [int(name[1:]) for name in names] for part, names in split.items()}
    for title, part in (("Training set", "train"), ("Testing set", "test"), ("External", "external")):
        ages = [60.0 + n for n in numbers[part]]
        spread = f" ± {np.std(ages, ddof=1):.2f}" if len(ages) > 1 else ""
        assert rows["Age (mean ± SD)"][f"{title}, ours"] == f"{np.mean(ages):.2f}{spread}"
        assert rows["No. of patients"][f"{title}, ours"] == str(len(ages))
    with_lesions = sum(n % 2 == 0 for n in numbers["train"])
    assert rows["With bone metastases"]["Training set, ours"] == str(with_lesions)
    assert rows["No. of patients"]["Training set, published"] == "266"
    volume = rows["Volume of metastases (cm³)"]["External, ours"]
    assert volume.startswith(f"{5 * 5 * 3 * 4 * 4 * 6 / 1000:.2f}")  # of p10 alone: voxels of 4 × 4 × 6 mm


def test_annotation_rounds_of_the_data_set_are_compared(study: Study) -> None:
    """Of five planes four coincide."""
    assert value(study, "patients/observers.dice.A1_1.A2_1") == pytest.approx(0.8)
    with (study.out / "tables" / "liu2021_observers.csv").open(encoding="utf-8") as file:
        rows = {row["Rounds"]: row for row in csv.DictReader(file)}
    assert rows["A1.1 against A2.1"]["ours"] == "0.80"
    assert rows["A1.1 against A2.1"]["DWI"] == "0.90 ± 0.08"
    assert rows["A2.1 against A2.2"]["ours"] == "–"


def test_rounds_of_phantoms_lie_a_little_beside_the_truth(study: Study, tmp_path: Path) -> None:
    """Simulated on the test cases with lesions: A2.2 is the truth, and no other round is far from it."""
    run = open_chain(small_recipe().scaled("smoke"), study.data, study.out, device="cpu", resume=True, tell=ignore)
    data = prepare_chain(run)
    shown = replace(data, split=replace(data.split, test=("p0", "p2")))
    metrics, tables = observer_results(replace(run, out=tmp_path), shown, Resampling(n_draws=50), simulate=True)
    assert {f.parent.name for f in tmp_path.glob("rounds/*/p0.nii.gz")} == {"A1.1", "A1.2", "A2.1", "A2.2"}
    truth = read_labels(study.data / "labelsTr" / "p2.nii.gz").array
    assert bool((read_labels(tmp_path / "rounds" / "A2.2" / "p2.nii.gz").array == truth).all())
    dice = [m.estimate.value for name, m in metrics.items() if name.startswith("observers.dice")]
    assert len(dice) == 6
    assert all(d is not None and 0.5 < d <= 1 for d in dice)
    assert min(d for d in dice if d is not None) < 1
    assert [table.name for table in tables] == ["observers"]


def test_the_page_has_the_tables_of_bones_and_lesions(study: Study) -> None:
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "Table 2. Characteristics of patients" in page
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
        ('"pubis"', '"tibia"', r"expected data\.structures: some of .*pubis; got tibia"),
        ("side = 224", "side = 220", r"expected networks\.bones\.channels: sides that 8 divides at scale full"),
        (
            'kind = "nearest',
            'kind = "residual attention',
            r"expected networks\.bones\.kind: nearest U-Net; got residual",
        ),
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
