"""The segmentation half of wangh2024 on small dynamic series: a network and region growing, in one table."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.metrics import Metric
from osteomet.io.formats import read_labels, write_labels, write_volume
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study_job import StudyJob
from osteomet.training.study import StudyRecipe, read_study

SHAPE = (32, 32, 6)
GRID = Grid.from_spacing(SHAPE, (2.0, 2.0, 4.0))
N_PATIENTS = 8
SHARES = (0.0, 0.4, 1.0, 0.8)
"""Of its strongest enhancement, in each phase."""


def small_recipe() -> StudyRecipe:
    study = read_study("wangh2024-segmentation")
    network = {"channels": [8, 16], "batch": 4, "n_steps": 40, "learning_rate": 1e-2, "evaluations": 2}
    changes: dict[str, Any] = {
        "preprocessing": {"side": 32},
        "networks": {"2d": network},
        "training": {"warm_up_steps": 2},
    }
    smoke = replace(study.scales["smoke"], n_bootstrap=50, settings=changes)
    return replace(study, scales={**study.scales, "smoke": smoke})


def write_dataset(folder: Path) -> Path:
    """Patients with one exam or two; a tumour of 8 × 8 × 4 voxels enhances by 200, all else by 20."""
    rng = np.random.default_rng(4)
    for kind in ("images", "labels"):
        (folder / f"{kind}Tr").mkdir(parents=True)
    rows = []
    for patient in range(N_PATIENTS):
        for exam in range(1 + patient % 2):
            case = f"p{patient}_{exam}"
            tumour = np.zeros(SHAPE, np.uint8)
            i, j = (int(n) for n in rng.integers(6, 18, 2))
            tumour[i : i + 8, j : j + 8, 1:5] = 1 + patient % 2
            for number, share in enumerate(SHARES):
                image = 100 + share * np.where(tumour > 0, 200.0, 20.0) + rng.normal(0, 4, SHAPE)
                volume = Volume(image.astype(np.float32), GRID, Modality.MR, Unit.ARBITRARY)
                write_volume(volume, folder / "imagesTr" / f"{case}_{number:04d}.nii.gz")
            labels = LabelMap(tumour, GRID, {"metastasis": 1, "primary_tumour": 2})
            write_labels(labels, folder / "labelsTr" / f"{case}.nii.gz")
            rows.append({"case": case, "patient": f"p{patient}", "split": "train"})
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {
        "channel_names": {str(n): f"phase {n + 1}" for n in range(len(SHARES))},
        "labels": {"background": 0, "metastasis": 1, "primary_tumour": 2},
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Study:
    data: Path
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("wangh2024")
    data, out = write_dataset(folder / "blocks"), folder / "out"
    return Study(data, out, reproduce_study(StudyJob(small_recipe(), out, data, "smoke", "cpu"), tell=ignore))


def value(study: Study, name: str) -> float:
    found = study.metrics[name].estimate.value
    assert found is not None, name
    return found


def test_both_methods_find_the_blocks(study: Study) -> None:
    assert value(study, "region growing/internal/lesion.dice") > 0.95
    assert value(study, "2D peak enhancement/internal/lesion.dice") > 0.8


def test_the_figures_of_a_method_agree_with_each_other(study: Study) -> None:
    """Of one case Dice is 2 IoU / (1 + IoU); of means that holds as a bound, as the function is concave."""
    for method in ("region growing", "2D peak enhancement"):
        iou, dice = (value(study, f"{method}/internal/lesion.{name}") for name in ("iou", "dice"))
        assert iou <= dice <= 2 * iou / (1 + iou) + 1e-9
        assert value(study, f"{method}/internal/lesion.accuracy") >= dice


def test_exams_of_a_patient_are_on_one_side(study: Study) -> None:
    split = json.loads((study.out / "split.json").read_text(encoding="utf-8"))
    parts = [*split["folds"], split["test"], split["external"]]
    assert sorted(p for part in parts for p in part) == [f"p{n}" for n in range(N_PATIENTS)]
    tested = {
        path.name.partition("_")[0] for path in study.out.glob("predictions/region_growing/internal/reference/*_*")
    }
    assert tested == set(split["test"])


def test_table_2_has_both_methods_beside_the_published_figures(study: Study) -> None:
    with (study.out / "tables" / "wangh2024_table2_study.csv").open(encoding="utf-8") as file:
        rows = {row["Model"]: row for row in csv.DictReader(file)}
    assert rows["Improved U-Net method, published"]["Dice (%)"] == "98.384"
    assert rows["Region growing algorithm, published"]["IoU (%)"] == "87.007"
    for title, method in (
        ("Improved U-Net method", "2D peak enhancement"),
        ("Region growing algorithm", "region growing"),
    ):
        dice = value(study, f"{method}/internal/lesion.dice")
        assert rows[f"{title}, ours"]["Dice (%)"].startswith(f"{100 * dice:.1f}")
    page = (study.out / "report.html").read_text(encoding="utf-8")
    for folder in ("region_growing_internal", "2d_peak_enhancement_internal"):
        assert f"evaluation/{folder}/report.html" in page
        assert (study.out / "evaluation" / folder / "report.html").is_file()


def test_an_outline_of_the_user_is_where_growing_starts(study: Study, tmp_path: Path) -> None:
    """Outlines that lie elsewhere grow elsewhere: nothing of the tumour is found. One on another grid is refused."""
    data, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    (data / "outlinesTr").mkdir()
    for path in data.glob("labelsTr/*.nii.gz"):
        outline = np.zeros(SHAPE, np.uint8)
        outline[1:2, 1:4, 1:3] = 1
        write_labels(LabelMap(outline, GRID, {"outline": 1}), data / "outlinesTr" / path.name)
    job = StudyJob(small_recipe(), out, data, "smoke", "cpu")
    (out / "models").parent.mkdir()
    for name in ("models", "prepared", "recipe.json"):
        (out / name).symlink_to(study.out / name)
    found = reproduce_study(job, tell=ignore)
    assert found["region growing/internal/lesion.dice"].estimate.value == 0.0
    for path in data.glob("outlinesTr/*.nii.gz"):
        other = Grid.from_spacing(SHAPE, (2.0, 2.0, 5.0))
        write_labels(LabelMap(read_labels(path).array, other, {"outline": 1}), path)
    with pytest.raises(GeometryError, match="its label map and its outline differ in geometry"):
        reproduce_study(job, tell=ignore)


@pytest.mark.slow
def test_it_runs_on_phantoms(tmp_path: Path) -> None:
    job = StudyJob(read_study("wangh2024-segmentation"), tmp_path / "out", None, "smoke", "cpu")
    metrics = reproduce_study(job, tell=ignore)
    assert {name.split("/")[0] for name in metrics} == {"2D peak enhancement", "region growing"}
    for page in (tmp_path / "out").rglob("report.html"):
        assert "Simulated images: the phantom cohort ce-dynamic" in page.read_text(encoding="utf-8")
