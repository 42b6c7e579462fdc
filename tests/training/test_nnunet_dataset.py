"""Data sets of both stages, the deal of patients into folds, and data that cannot be used."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.nnunet_blocks import GRID, LABELS, PATIENTS, SHAPE, block_recipe, write_blocks, write_table

from osteomet.core.errors import DatasetError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.io.formats import read_labels, write_labels
from osteomet.io.raw_dataset import RawCase, read_raw_dataset
from osteomet.training.nnunet.dataset import StageCase, check_classes, write_stage_case
from osteomet.training.nnunet.deal import cases_of_fold, deal_patients
from osteomet.training.nnunet.recipe import NnunetSplit

RECIPE = block_recipe().scaled("smoke")


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return write_blocks(tmp_path / "blocks")


def first(folder: Path) -> RawCase:
    return read_raw_dataset(folder).cases[0]


def test_vertebrae_become_classes_in_the_order_of_the_recipe(blocks: Path, tmp_path: Path) -> None:
    found = write_stage_case(first(blocks), RECIPE, "vertebrae", tmp_path / "raw")
    assert found == StageCase("p0a", "p0", 3, round(14 * 12 * 29 * 0.08, 3), ("sacrum", "L5", "L4"))
    labels = read_labels(tmp_path / "raw/labelsTr/p0a.nrrd", RECIPE.vertebrae.labels)
    assert [int(labels.array[10, 10, k]) for k in (0, 4, 14, 20, 30)] == [0, 1, 0, 2, 3]
    assert labels.grid.same_as(GRID)
    assert (tmp_path / "raw/imagesTr/p0a_0000.nrrd").is_file()


def test_the_coccyx_counts_as_sacrum_and_other_bones_as_nothing(blocks: Path, tmp_path: Path) -> None:
    array = np.zeros(SHAPE, dtype=np.uint8)
    codes = {name: STRUCTURES[name].id for name in ("coccyx", "L5", "T13")}
    for number, code in enumerate(codes.values()):
        array[2 + 3 * number] = code
    write_labels(LabelMap(array, GRID, codes), blocks / "bonesTr/p0a.nrrd")
    (blocks / "bonesTr/labels.json").write_text(json.dumps(codes), encoding="utf-8")
    found = write_stage_case(first(blocks), RECIPE, "vertebrae", tmp_path / "raw")
    assert found is not None
    assert found.classes == ("sacrum", "L5")
    labels = read_labels(tmp_path / "raw/labelsTr/p0a.nrrd", RECIPE.vertebrae.labels)
    assert [int(labels.array[i, 0, 0]) for i in (2, 5, 8)] == [1, 2, 0]


def test_a_case_belongs_to_a_stage_that_it_has_something_for(blocks: Path, tmp_path: Path) -> None:
    (blocks / "bonesTr/p0a.nrrd").unlink()
    assert write_stage_case(first(blocks), RECIPE, "vertebrae", tmp_path / "raw") is None
    write_labels(LabelMap(np.zeros(SHAPE, np.uint8), GRID, LABELS), blocks / "labelsTr/p0a.nrrd")
    assert write_stage_case(first(blocks), RECIPE, "metastases", tmp_path / "lesions") is None
    assert not (tmp_path / "lesions/imagesTr").exists()


def test_another_geometry_is_told_with_its_case(blocks: Path, tmp_path: Path) -> None:
    other = Grid.from_spacing(SHAPE, (4.0, 4.0, 5.0), origin_mm=(-60.0, -56.0, 15.0))
    path = blocks / "labelsTr/p0a.nrrd"
    write_labels(LabelMap(read_labels(path, LABELS).array, other, LABELS), path)
    message = "case “p0a”: its image and its label map differ in geometry; .*remedy: resample one"
    with pytest.raises(GeometryError, match=message):
        write_stage_case(first(blocks), RECIPE, "metastases", tmp_path / "raw")


def test_a_missing_label_map_is_told_with_its_case(blocks: Path) -> None:
    (blocks / "labelsTr/p1.nrrd").unlink()
    with pytest.raises(DatasetError, match=r"case “p1” of .* has no label map; remedy: add the file"):
        read_raw_dataset(blocks)


def test_a_patient_in_two_parts_is_told(blocks: Path) -> None:
    rows = {case: (patient, "train") for case, patient in PATIENTS.items()}
    write_table(blocks, {**rows, "p0b": ("p0", "external")})
    with pytest.raises(DatasetError, match=r"patient “p0” is in two parts of the study; .*remedy: mend the column"):
        read_raw_dataset(blocks)


def test_a_class_that_no_case_shows_is_told() -> None:
    cases = [StageCase("a", "a", 1, 1.0, ("L5", "L4"))]
    with pytest.raises(DatasetError, match=r"no case shows sacrum; .*or copy the recipe and leave it out of vertebrae"):
        check_classes(cases, RECIPE, "vertebrae")
    with pytest.raises(DatasetError, match=r"no case for the stage metastases; .*shows a metastasis in labelsTr"):
        check_classes([], RECIPE, "metastases")


CLASSES = {"vertebrae": ("L4", "L5"), "metastases": ("lytic", "sclerotic")}
SPLIT = NnunetSplit(n_folds=2, n_candidates=200, seed=1)


def cases_of(shown: dict[str, tuple[str, ...]]) -> dict[str, tuple[StageCase, ...]]:
    """Two scans of each patient in either stage; ``shown`` gives the lesions of each."""
    vertebrae = tuple(StageCase(f"{p}_{n}", p, 2, 30.0, ("L4", "L5")) for p in shown for n in range(2))
    lesions = tuple(StageCase(f"{p}_{n}", p, len(s), 1.0, s) for p, s in shown.items() if s for n in range(2))
    return {"vertebrae": vertebrae, "metastases": lesions}


def test_no_patient_is_on_both_sides_and_every_network_sees_every_class() -> None:
    both = ("lytic", "sclerotic")
    shown = {"a": ("lytic",), "b": ("lytic",), "c": ("sclerotic",), "d": ("sclerotic",), "e": (), "f": both}
    cases = cases_of(shown)
    folds = deal_patients(cases, CLASSES, SPLIT)  # type: ignore[arg-type]
    assert sorted(patient for fold in folds for patient in fold) == sorted(shown)
    for stage, part in cases.items():
        patient_of = {case.case: case.patient for case in part}
        for number in range(2):
            split = cases_of_fold(part, folds, number)
            assert sorted(split["train"] + split["val"]) == sorted(patient_of)
            assert not {patient_of[c] for c in split["train"]} & {patient_of[c] for c in split["val"]}
            seen = {name for case in part if case.case in split["train"] for name in case.classes}
            assert seen == set(CLASSES[stage])
    assert deal_patients(cases, CLASSES, SPLIT) == folds  # type: ignore[arg-type]


def test_a_class_of_one_patient_alone_is_told() -> None:
    shown = {"a": ("lytic",), "b": ("lytic",), "c": ("sclerotic",), "d": ("lytic",)}
    message = "would have no sclerotic to learn from; .*got 1 patients with sclerotic out of 4; remedy: bring more"
    with pytest.raises(DatasetError, match=message):
        deal_patients(cases_of(shown), CLASSES, SPLIT)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="fewer patients than folds"):
        deal_patients(cases_of({"a": ("lytic", "sclerotic")}), CLASSES, replace(SPLIT, n_folds=3))  # type: ignore[arg-type]
