"""Files of viewers: the documented forms, both coordinate systems, rotated boxes, and what is no mark."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, FormatError
from osteomet.evaluation.mark_files import read_readings
from osteomet.evaluation.marks import AIDED, UNAIDED, BoxMark, PointMark
from osteomet.evaluation.viewer_json import marks_from_json

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"


def write(folder: Path, content: Any, name: str = "case.mrk.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def slicer(*markups: dict[str, Any]) -> dict[str, Any]:
    return {"@schema": SCHEMA, "markups": list(markups)}


def points(system: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Fiducial", "coordinateSystem": system, "coordinateUnits": "mm", "controlPoints": list(rows)}


def annotation(tool: str, handles: list[list[float]], frame: str = "1.2.3", **data: Any) -> dict[str, Any]:
    arrow = {"arrowFirst": data.pop("arrow_first")} if "arrow_first" in data else {}
    return {
        "annotationUID": "u",
        "metadata": {"toolName": tool, "FrameOfReferenceUID": frame, "viewPlaneNormal": [0, 0, 1]},
        "data": {"handles": {"points": handles, **arrow}, "cachedStats": {}, **data},
    }


def test_slicer_points_in_both_coordinate_systems(tmp_path: Path) -> None:
    lps = {"label": "F-1", "description": "0.8", "position": [-10.0, 20.0, 30.0], "positionStatus": "defined"}
    ras = {"label": "F-1", "description": "0.8", "position": [10.0, -20.0, 30.0]}
    expected = (PointMark((-10.0, 20.0, 30.0), 0.8),)
    assert marks_from_json(write(tmp_path, slicer(points("LPS", lps)))) == expected
    assert marks_from_json(write(tmp_path, slicer(points("RAS", ras)))) == expected


def test_slicer_points_that_are_not_placed_or_not_scored(tmp_path: Path) -> None:
    rows = [
        {"position": [1, 2, 3], "description": "sure", "positionStatus": "defined"},
        {"position": [0, 0, 0], "positionStatus": "undefined"},
        {"position": [0, 0, 0], "positionStatus": "preview"},
    ]
    assert marks_from_json(write(tmp_path, slicer(points("LPS", *rows)))) == (PointMark((1, 2, 3), None),)
    assert marks_from_json(write(tmp_path, slicer())) == ()


def test_slicer_box_turned_by_90_degrees(tmp_path: Path) -> None:
    """Row-major orientation whose columns are the axes: object x points along world y."""
    box = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "center": [1, 2, 3],
        "size": [10, 20, 30],
        "orientation": [0, -1, 0, 1, 0, 0, 0, 0, 1],
        "controlPoints": [{"position": [1, 2, 3], "description": "4"}],
    }
    (mark,) = marks_from_json(write(tmp_path, slicer(box)))
    assert isinstance(mark, BoxMark)
    assert (mark.centre_xyz_mm, mark.size_mm, mark.likelihood) == ((1, 2, 3), (10, 20, 30), 4.0)
    assert mark.axes[0] == (0, 1, 0)
    assert mark.axes[1] == (-1, 0, 0)
    ras = box | {"coordinateSystem": "RAS", "center": [-1, -2, 3]}
    (mirrored,) = marks_from_json(write(tmp_path, slicer(ras)))
    assert isinstance(mirrored, BoxMark)
    assert mirrored.centre_xyz_mm == (1, 2, 3)
    assert mirrored.axes[0] == (0, -1, 0)
    assert marks_from_json(write(tmp_path, slicer(box | {"controlPoints": []}))) == ()


def test_slicer_box_with_its_centre_in_one_place_only(tmp_path: Path) -> None:
    shape: dict[str, Any] = {"type": "ROI", "size": [2, 4, 6]}
    by_point = shape | {"controlPoints": [{"position": [1, 2, 3], "locked": True}]}
    by_centre = shape | {"center": [1, 2, 3]}
    expected = BoxMark((1, 2, 3), (2, 4, 6))
    assert marks_from_json(write(tmp_path, slicer(by_point, by_centre))) == (expected, expected)


def test_saved_state_of_cornerstone(tmp_path: Path) -> None:
    state = {
        "1.2.3": {
            "Probe": [annotation("Probe", [[1, 2, 3]], label="0.7")],
            "ArrowAnnotate": [
                annotation("ArrowAnnotate", [[4, 5, 6], [9, 9, 9]], text="3", arrow_first=True),
                annotation("ArrowAnnotate", [[9, 9, 9], [7, 8, 9]], text="maybe", arrow_first=False),
            ],
        }
    }
    expected = (PointMark((1, 2, 3), 0.7), PointMark((4, 5, 6), 3.0), PointMark((7, 8, 9), None))
    assert marks_from_json(write(tmp_path, state)) == expected
    assert marks_from_json(write(tmp_path, state["1.2.3"])) == expected
    assert marks_from_json(write(tmp_path, state["1.2.3"]["Probe"])) == expected[:1]
    assert marks_from_json(write(tmp_path, {})) == ()


def test_rectangle_on_an_oblique_slice(tmp_path: Path) -> None:
    """Corners in the tool's order: bottom left, bottom right, top left, top right."""
    right, up = np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])
    corner = np.array([10.0, 20.0, 30.0])
    corners = [corner, corner + 5 * right, corner + 12 * up, corner + 5 * right + 12 * up]
    (mark,) = marks_from_json(write(tmp_path, [annotation("RectangleROI", [c.tolist() for c in corners], label="")]))
    assert isinstance(mark, BoxMark)
    assert mark.centre_xyz_mm == pytest.approx((11.5, 26.0, 32.0))
    assert mark.size_mm == pytest.approx((5.0, 12.0, 0.0))
    assert mark.axes[0] == pytest.approx(tuple(right))
    assert mark.axes[2] == pytest.approx((-0.8, 0.0, 0.6))
    assert mark.likelihood is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            slicer({"type": "Line", "controlPoints": []}),
            "a shape that is no mark; expected a point list or an ROI; got",
        ),
        (
            slicer(points("XYZ", {"position": [1, 2, 3]})),
            "unknown coordinates; expected LPS or RAS in mm; got XYZ in mm",
        ),
        (slicer(points("LPS") | {"coordinateUnits": ["um", "UCUM", "µm"]}), "unknown coordinates"),
        (
            slicer(points("LPS", {"position": [1, 2]})),
            "the marks are incomplete; expected a file as the viewer wrote it",
        ),
        (slicer(points("LPS", {"label": "F"})), r"the marks are incomplete; .*got KeyError\('position'\)"),
        ([annotation("Length", [[1, 2, 3], [4, 5, 6]])], "a tool that makes no mark; expected Probe, ArrowAnnotate"),
        ([annotation("RectangleROI", [[1, 2, 3]] * 4)], "the marks are incomplete; .*without width or height"),
        ([annotation("RectangleROI", [[1, 2, 3]])], "the marks are incomplete"),
        (
            [annotation("Probe", [[1, 2, 3]], frame=frame) for frame in ("1.2", "1.3")],
            "annotations of several frames of reference; got 1.2, 1.3; remedy: save one file for each study",
        ),
        ({"lesions": 3}, "neither markups of 3D Slicer nor annotations of Cornerstone3D"),
        ("text", "neither markups"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        marks_from_json(write(tmp_path, content))


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(FormatError, match=r"x\.json: not a JSON file that can be read"):
        marks_from_json(path)


def test_folder_of_readers(tmp_path: Path) -> None:
    point = slicer(points("LPS", {"position": [1, 2, 3]}))
    write(tmp_path, point, "R1/c1.mrk.json")
    write(tmp_path, slicer(), "R1/c2.json")
    write(tmp_path, point, "R2/aided/c.1.json")
    readings = read_readings(tmp_path)
    assert [(r.reader, r.condition, r.case, len(r.marks)) for r in readings] == [
        ("R1", UNAIDED, "c1", 1),
        ("R1", UNAIDED, "c2", 0),
        ("R2", AIDED, "c.1", 1),
    ]


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the folder holds no marks; expected READER/CASE\.json"):
        read_readings(tmp_path)
    write(tmp_path, slicer(), "R1/c1.json")
    write(tmp_path, slicer(), "R1/c1.mrk.json")
    with pytest.raises(DatasetError, match="the marks of reader “R1” on case “c1” stand twice"):
        read_readings(tmp_path)
    (tmp_path / "R1" / "c1.json").rename(tmp_path / "c1.json")
    with pytest.raises(DatasetError, match=r"the file lies at an unexpected depth; expected READER/CASE\.json or"):
        read_readings(tmp_path)
