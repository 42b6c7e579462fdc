"""From folders to records: the whole path, with defects and without."""

import json
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.cases import CaseSettings, evaluate_cases
from osteomet.evaluation.detection import by_site, by_volume, detection_measures, froc_marks, sensitivity_by
from osteomet.evaluation.matching import RULES, match_case
from osteomet.evaluation.segmentation import pooled_measures
from osteomet.io.dataset import pair_cases
from osteomet.io.formats import write_labels
from osteomet.stats.froc import froc_curve

GRID = Grid.from_spacing((16, 16, 16), (1, 1, 2), origin_mm=(5, 5, 5))
Cubes = dict[tuple[int, int, int], int]


def write(path: Path, cubes: Cubes, grid: Grid = GRID) -> None:
    """Map with cubes of 4×4×4 voxels (0.128 ml) at these corners, of these values."""
    array = np.zeros(grid.shape, np.uint8)
    for (i, j, k), value in cubes.items():
        array[i : i + 4, j : j + 4, k : k + 4] = value
    write_labels(LabelMap(array, grid, {f"x{n}": n for n in set(cubes.values())}), path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases of two patients: one lesion found of two, a false positive, a missing prediction."""
    reference, prediction = tmp_path / "labelsTs", tmp_path / "prediction"
    reference.mkdir()
    prediction.mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lytic": 1, "sclerotic": 2}}))
    (tmp_path / "cases.csv").write_text("case,patient,centre\na,p,A\nb,p,A\nc,q,B\n")
    (tmp_path / "lesions.csv").write_text("case,site,x_mm,y_mm,z_mm\na,L3,7,7,9\nc,S1,8,8,9\n")
    write(reference / "a.nii.gz", {(1, 1, 1): 1, (9, 9, 9): 2})
    write(prediction / "a.nii.gz", {(1, 1, 3): 5})
    (prediction / "a.confidence.csv").write_text("instance,confidence,type\n5,0.75,lytic\n")
    write(reference / "b.nii.gz", {})
    write(prediction / "b.nii.gz", {(3, 3, 3): 1})
    (prediction / "b.confidence.csv").write_text("instance,confidence,type\n1,0.5,sclerotic\n")
    write(reference / "c.nii.gz", {(1, 1, 1): 1})
    return reference, prediction


def test_from_folders_to_figures(folders: tuple[Path, Path]) -> None:
    done: list[tuple[int, int]] = []
    result = evaluate_cases(pair_cases(*folders), CaseSettings(), progress=lambda n, total: done.append((n, total)))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert (result.missing, result.left_out) == (("c",), ())
    assert [r.voxels.facts.case for r in result.records] == ["a", "b", "c"]
    assert [r.voxels.predicted for r in result.records] == [True, True, False]
    pooled = pooled_measures([r.voxels for r in result.records])
    assert (pooled.numerators[0], pooled.denominators[0]) == (2 * 32, 3 * 64 + 2 * 64)
    cases = [match_case(r.instances, RULES["any_overlap"]) for r in result.records]
    measures = detection_measures(cases)
    assert (measures.numerators[:2], measures.denominators[:2]) == ((1, 1), (3, 2))
    assert measures.values()["fp_per_case"] == pytest.approx(1 / 3)
    assert sensitivity_by(cases, by_site).values() == {"L3": 1, "S1": 0, "unknown": 0}
    assert sensitivity_by(cases, by_volume).denominators == (3,)
    assert [c.score for c in cases] == [0.75, 0.5, None]
    curve = froc_curve(froc_marks(cases))
    assert curve.sensitivity == pytest.approx([0, 1 / 3, 1 / 3])
    assert curve.fp_per_case == pytest.approx([0, 0, 1 / 3])


def test_any_number_of_workers_gives_the_same(folders: tuple[Path, Path]) -> None:
    paired = pair_cases(*folders)
    one, three = (evaluate_cases(paired, CaseSettings(), n_workers=n) for n in (1, 3))
    assert one == three


def test_cases_that_cannot_be_used_are_named_or_left_out(folders: tuple[Path, Path]) -> None:
    write(folders[1] / "c.nii.gz", {}, Grid.from_spacing((16, 16, 16), (1, 1, 1)))
    write(folders[1] / "z.nii.gz", {})
    with pytest.raises(DatasetError, match="case “z” has a prediction but no reference"):
        pair_cases(*folders)
    paired = pair_cases(*folders, continue_on_error=True)
    with pytest.raises(GeometryError, match="case “c”: reference and prediction differ in geometry"):
        evaluate_cases(paired, CaseSettings())
    result = evaluate_cases(paired, CaseSettings(), continue_on_error=True)
    assert [r.voxels.facts.case for r in result.records] == ["a", "b"]
    assert [left.case for left in result.left_out] == ["c", "z"]
    assert result.missing == ()


def test_when_no_case_can_be_used(folders: tuple[Path, Path]) -> None:
    for name in "abc":
        write(folders[1] / f"{name}.nii.gz", {}, Grid.from_spacing((2, 2, 2), (1, 1, 1)))
    with pytest.raises(DatasetError, match="no case could be evaluated; got case “a”"):
        evaluate_cases(pair_cases(*folders), CaseSettings(), continue_on_error=True)
