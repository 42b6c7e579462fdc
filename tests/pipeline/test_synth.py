"""Phantom cohorts as a data set: the table equals the maps, and the same seed gives the same bytes."""

import csv
import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import LumbarPhantom

from osteomet.core.errors import InputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.io.formats import read_labels, write_labels
from osteomet.phantom import cohort
from osteomet.phantom.cohort import Case
from osteomet.phantom.labelled_anatomy import LabelledBones
from osteomet.pipeline import synth
from osteomet.pipeline.synth import write_cohort


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, of the unpacked content for .gz."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


@pytest.fixture(autouse=True)
def around(lumbar: LumbarPhantom, monkeypatch: pytest.MonkeyPatch) -> list[list[int] | None]:
    """Draw the shared small phantom in place of whole trunks; the second case has no metastasis.

    Keep the ids of the labelled bones around which each case was asked for.
    """
    seen: list[list[int] | None] = []

    def draw(name: str, *, seed: int, number: int, labelled: LabelledBones | None = None) -> Case:
        assert (name, seed) == ("ct-spine", 5)
        seen.append(None if labelled is None else [bone.owner for bone in labelled.bones])
        deposits = lumbar.body.deposits if number == 0 else ()
        body = LumbarPhantom(replace(lumbar.body, deposits=deposits), lumbar.low_mm, lumbar.high_mm)
        phantom = body.render(body.grid())
        return cohort._as_case(f"case_{number:04d}", phantom, list(deposits))

    monkeypatch.setattr(synth, "draw_case", draw)
    return seen


def write(out: Path, *, n_cases: int = 2, dicom: bool = False, anatomy: Path | None = None) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    write_cohort(
        "ct-spine",
        out,
        n_cases=n_cases,
        seed=5,
        dicom=dicom,
        anatomy=anatomy,
        overwrite=False,
        progress=lambda done, total: seen.append((done, total)),
    )
    return seen


def test_the_table_equals_the_label_maps(tmp_path: Path) -> None:
    assert write(tmp_path / "set") == [(1, 2), (2, 2)]
    with (tmp_path / "set" / "lesions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["case"] for row in rows} == {"case_0000"}
    instances = read_labels(tmp_path / "set" / "instancesTr" / "case_0000.nii.gz")
    kinds = read_labels(tmp_path / "set" / "labelsTr" / "case_0000.nii.gz")
    assert {int(row["lesion"]) for row in rows} == {int(v) for v in np.unique(instances.array) if v}
    for row in rows:
        inside = instances.array == int(row["lesion"])
        assert float(row["volume_ml"]) == pytest.approx(inside.sum() * instances.grid.voxel_volume_ml, abs=1e-4)
        centre = instances.grid.to_xyz_mm(np.argwhere(inside)).mean(axis=0)
        np.testing.assert_allclose([float(row[f"{axis}_mm"]) for axis in "xyz"], centre, atol=0.0051)
        assert set(np.unique(kinds.array[inside])) == {2}
    np.testing.assert_array_equal(kinds.array > 0, instances.array > 0)
    assert not read_labels(tmp_path / "set" / "labelsTr" / "case_0001.nii.gz").array.any()


def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", n_cases=1, dicom=True)
    write(tmp_path / "b", n_cases=1, dicom=True)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    n_slices = read_labels(tmp_path / "a" / "labelsTr" / "case_0000.nii.gz").grid.shape[2]
    assert len(list((tmp_path / "a" / "dicomTr" / "case_0000").iterdir())) == n_slices
    for name in ("imagesTr/case_0000_0000.nii.gz", "labelsTr/case_0000.nii.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("n_cases", [0, -3])
def test_a_cohort_without_cases_is_refused(n_cases: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"a cohort has at least one case; got --cases {n_cases}"):
        write(tmp_path / "set", n_cases=n_cases)
    assert not (tmp_path / "set").exists()


def test_subjects_of_an_anatomy_folder_take_turns(tmp_path: Path, around: list[list[int] | None]) -> None:
    grid = Grid.from_spacing((12, 12, 12), (2.0, 2.0, 2.0))
    for name, bone in (("a", "L1"), ("b", "L5")):
        array = np.zeros(grid.shape, dtype=np.uint8)
        array[3:9, 3:9, 3:9] = 1
        (tmp_path / "bones" / name).mkdir(parents=True)
        write_labels(LabelMap(array, grid, {"bone": 1}), tmp_path / "bones" / name / f"vertebrae_{bone}.nii.gz")
    write(tmp_path / "set", n_cases=3, anatomy=tmp_path / "bones")
    assert around == [[STRUCTURES["L1"].id], [STRUCTURES["L5"].id], [STRUCTURES["L1"].id]]


def test_an_anatomy_folder_without_bones_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bones").mkdir()
    with pytest.raises(InputError, match=r"holds no bones; expected label maps.*an empty folder; remedy: name maps"):
        write(tmp_path / "set", anatomy=tmp_path / "bones")
    assert not (tmp_path / "set").exists()
