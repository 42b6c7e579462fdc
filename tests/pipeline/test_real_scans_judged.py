"""Judging on real scans, by analyses drawn by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.judged_model import GRID, LEFT, RIGHT, Drawn, Script, analysis_of, block, toy_package

from osteomet.core.errors import FormatError
from osteomet.core.findings import Exam
from osteomet.core.vocabulary import LabelConvention, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels
from osteomet.io.model_package import find_package, read_package
from osteomet.io.real_manifest import RealScan, read_manifest
from osteomet.pipeline.judging import real_scans
from osteomet.pipeline.judging.model_cohort import CohortJob
from osteomet.pipeline.judging.real_scans import RealResult, judge_scan, run_real_scans
from osteomet.pipeline.judging.validation_text import real_text

ROOT = Path(__file__).parents[2]
DATA, OURS = ROOT.parent / "shared" / "data", ROOT / "benchmarks" / "real_scans.toml"
HU = Volume(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, Unit.HU)
SAYS_NOTHING = Exam(None, None, None)


def sclerotic(*places: tuple[int, int, int, int, int, int]) -> Script:
    return Script((), tuple(Drawn(place, LesionType.SCLEROTIC, 0.9) for place in places), SAYS_NOTHING, level="L3")


def scan_with_boxes(tmp_path: Path, *rows: str) -> RealScan:
    (tmp_path / "boxes.csv").write_text("\n".join(["image_path,x,y,z,width,height,depth", *rows]) + "\n")
    return RealScan("one", tmp_path / "one.nii.gz", complete=True, most_false=1, boxes=tmp_path / "boxes.csv")


def test_a_call_that_covers_the_centre_of_a_box_finds_it(tmp_path: Path) -> None:
    # The block LEFT has its centre at -21.25, -21.25, 108.75 mm, and sides of 10 mm.
    scan = scan_with_boxes(tmp_path, "one.nii.gz,-20,-20,110,60,60,60")
    result = judge_scan(scan, analysis_of(sclerotic(LEFT, RIGHT), HU))
    assert (result.n_boxed, result.n_found, result.n_calls, result.n_false) == (1, 1, 2, 1)


@pytest.mark.parametrize(("shift_mm", "found"), [(5.0, 1), (6.0, 0)])
def test_boxes_that_overlap_enough(tmp_path: Path, shift_mm: float, found: int) -> None:
    # Boxes of 10 mm shifted along one axis by s overlap with (10 - s) / (10 + s): 1/3 at 5 mm, 1/4 at 6 mm. The call
    # is hollow at the centre of the box.
    scan = scan_with_boxes(tmp_path, f"one.nii.gz,{-21.25 + shift_mm},-21.25,108.75,10,10,10")
    analysis = analysis_of(sclerotic(LEFT), HU)
    array = np.array(analysis.lesions.array)
    array[4:6, 3:5, 3:5] = 0
    hollow = replace(analysis, lesions=LabelMap(array, GRID, analysis.lesions.labels))
    assert judge_scan(scan, hollow).n_found == found


def test_calls_are_false_only_where_everything_is_known(tmp_path: Path) -> None:
    analysis = analysis_of(sclerotic(LEFT, RIGHT), HU)
    assert judge_scan(RealScan("two", tmp_path / "x", complete=True), analysis).n_false == 2
    assert judge_scan(RealScan("two", tmp_path / "x"), analysis).n_false is None


def test_calls_on_metal_are_counted(tmp_path: Path) -> None:
    array = np.zeros(GRID.shape, np.int16)
    array[block(LEFT)] = 2600
    metal = replace(HU, array=array)
    assert judge_scan(RealScan("two", tmp_path / "x"), analysis_of(sclerotic(LEFT, RIGHT), metal)).n_on_metal == 1


def test_bones_by_the_ids_of_another_tool(tmp_path: Path) -> None:
    # Ids 29 and 28 of TotalSegmentator are L3 and L4; the model calls all 8 ml of L3 rightly and nothing L4.
    array = np.zeros(GRID.shape, np.uint8)
    array[16:24, 0:8, 16:24] = 29
    array[0:8, 16:24, 16:24] = 28
    path = tmp_path / "bones.nii.gz"
    write_labels(LabelMap(array, GRID, {"a": 28, "b": 29}), path)
    scan = RealScan("two", tmp_path / "x", bones=path, convention=LabelConvention.TOTALSEGMENTATOR)
    result = judge_scan(scan, analysis_of(sclerotic(), HU))
    assert {bone.name: (bone.dice, bone.called) for bone in result.bones} == {"L3": (1.0, "L3"), "L4": (0.0, None)}
    assert [level.name for level in result.wrong] == ["L4"]
    assert result.mean_dice == 0.5
    only = judge_scan(replace(scan, judge=("L3",)), analysis_of(sclerotic(), HU))
    assert only.mean_dice == 1.0
    with pytest.raises(FormatError, match="has no T1 to judge; expected L3, L4"):
        judge_scan(replace(scan, judge=("T1",)), analysis_of(sclerotic(), HU))


def test_scans_that_are_not_there_or_not_read_say_so(tmp_path: Path) -> None:
    (tmp_path / "mr.nii.gz").write_bytes(b"")
    scans = [RealScan("gone", tmp_path / "gone.nii.gz"), RealScan("mr", tmp_path / "mr.nii.gz", SequenceRole.T2)]
    (tmp_path / "out").mkdir()
    job = CohortJob(0, 7, "cpu", tmp_path)
    results = run_real_scans(toy_package(tmp_path / "toy"), tmp_path / "out", scans, job, progress=lambda *_: None)
    assert [result.skipped for result in results] == ["gone.nii.gz is not there", "the model does not read MR"]
    assert "| gone | not judged: gone.nii.gz is not there | – |" in real_text(results)


def test_the_table() -> None:
    results = [
        RealResult("a", n_boxed=2, n_found=1, n_calls=3, n_false=2, most_false=1),
        RealResult("b", n_calls=4, n_on_metal=1),
    ]
    text = real_text(results)
    assert "1 of 2 boxed lesions are found" in text
    assert "| a | 1/2 | 3 | 2 (at most 1) | 0 | – | – |" in text
    assert "| b | – | 4 | – | 1 | – | – |" in text


def test_our_own_manifest_can_be_read() -> None:
    scans = read_manifest(OURS)
    assert sum(scan.boxes is not None for scan in scans) == 2
    assert len({scan.name for scan in scans}) == len(scans)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans at {DATA}")
def test_a_real_scan_is_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = read_manifest(OURS)
    package = read_package(find_package("default-ct"))
    job = CohortJob(0, 7, "cpu", tmp_path / "cache")
    (result,) = run_real_scans(package, tmp_path, [first], job, progress=lambda *_: None)
    assert (result.skipped, result.n_boxed, result.n_calls) == ("", 1, len(result.calls))
    monkeypatch.setattr(real_scans, "analyze_scan", None)
    assert run_real_scans(package, tmp_path, [first], job, progress=lambda *_: None) == (result,)
