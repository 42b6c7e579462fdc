"""Marks from the JSON of viewers: markups of 3D Slicer, annotations of Cornerstone3D (the OHIF viewer)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, InputError
from osteomet.core.lesion import PointMm
from osteomet.evaluation.marks import BoxMark, Mark, PointMark

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
_POINT_TOOLS = ("Probe", "ArrowAnnotate")
_RECTANGLE = "RectangleROI"


def marks_from_json(path: Path) -> tuple[Mark, ...]:
    """Read the marks in a viewer's file.

    Parameters
    ----------
    path
        A ``.mrk.json`` file of 3D Slicer: point lists and boxes (ROI), in LPS or RAS as the file says, mm; the
        likelihood is the **description** of a point, of the first control point for a box. Or the annotation state of
        Cornerstone3D, on which the OHIF viewer stands, as ``saveAnnotations()`` returns it: Probe and ArrowAnnotate
        (the tip) are points, RectangleROI a box without thickness; the likelihood is the annotation's **label** or, as
        ArrowAnnotate keeps it, its text. Coordinates there are those of the DICOM patient, LPS mm.

    Returns
    -------
    tuple of Mark
        Empty for a file without marks. Text that is no number leaves a mark without likelihood; a point that was
        not placed yet, or only previewed, is no mark.

    Raises
    ------
    FormatError
        If the file is no JSON, of neither form, or holds a shape that is neither point nor box, or annotations of
        more than one frame of reference.

    References
    ----------
    Slicer markups schema 1.0.3, https://slicer.readthedocs.io/en/latest/developer_guide/modules/markups.html.
    Cornerstone3D annotation state,
    https://www.cornerstonejs.org/docs/concepts/cornerstone-tools/annotation/state.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: not a JSON file that can be read", got=str(error)) from error
    try:
        if isinstance(content, dict) and isinstance(content.get("markups"), list):
            return tuple(mark for markup in content["markups"] for mark in _slicer_marks(markup, path))
        return tuple(_cornerstone_mark(annotation, path) for annotation in _annotations(content, path))
    except FormatError:
        raise
    except (InputError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(
            f"{path}: the marks are incomplete", expected="a file as the viewer wrote it", got=repr(error)
        ) from error


def _slicer_marks(markup: dict[str, Any], path: Path) -> Iterator[Mark]:
    """Points of a point list, or the box of an ROI."""
    system = markup.get("coordinateSystem", "LPS")
    unit = markup.get("coordinateUnits", "mm")
    if system not in ("LPS", "RAS") or (unit if isinstance(unit, str) else unit[0]) != "mm":
        raise FormatError(f"{path}: unknown coordinates", expected="LPS or RAS in mm", got=f"{system} in {unit}")
    to_lps = _RAS_TO_LPS if system == "RAS" else np.eye(3)
    points = [p for p in markup.get("controlPoints", []) if p.get("positionStatus", "defined") == "defined"]
    kind = markup["type"]
    if kind == "Fiducial":
        for point in points:
            yield PointMark(_point(to_lps @ _vector(point["position"])), _likelihood(point.get("description")))
    elif kind == "ROI" and (points or "controlPoints" not in markup):
        centre = markup["center"] if "center" in markup else points[0]["position"]
        axes = to_lps @ np.array(markup.get("orientation", np.eye(3).ravel()), dtype=np.float64).reshape(3, 3)
        likelihood = _likelihood(points[0].get("description")) if points else None
        yield _box(to_lps @ _vector(centre), _vector(markup["size"]), axes, likelihood)
    elif kind != "ROI":
        raise FormatError(f"{path}: a shape that is no mark", expected="a point list or an ROI", got=str(kind))


def _annotations(content: Any, path: Path) -> list[dict[str, Any]]:
    """Annotations of a saved state, a frame of reference or a tool of it."""
    found: list[dict[str, Any]] = []
    waiting = [content]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, list):
            waiting = [*item, *waiting]
        elif isinstance(item, dict) and "metadata" in item and "data" in item:
            found.append(item)
        elif isinstance(item, dict) and all(isinstance(value, dict | list) for value in item.values()):
            waiting = [*item.values(), *waiting]
        else:
            raise FormatError(f"{path}: neither markups of 3D Slicer nor annotations of Cornerstone3D")
    frames = {item["metadata"].get("FrameOfReferenceUID") for item in found}
    if len(frames) > 1:
        raise FormatError(
            f"{path}: annotations of several frames of reference",
            got=", ".join(sorted(map(str, frames))),
            remedy="save one file for each study",
        )
    return found


def _cornerstone_mark(annotation: dict[str, Any], path: Path) -> Mark:
    """Point or rectangle of one annotation."""
    tool, data = annotation["metadata"]["toolName"], annotation["data"]
    handles = data["handles"]
    points = [_vector(point) for point in handles["points"]]
    likelihood = _likelihood(data.get("label") or data.get("text", ""))
    if tool in _POINT_TOOLS:
        tip = 0 if tool == "Probe" or handles.get("arrowFirst", True) else 1
        return PointMark(_point(points[tip]), likelihood)
    if tool != _RECTANGLE:
        expected = ", ".join((*_POINT_TOOLS, _RECTANGLE))
        raise FormatError(f"{path}: a tool that makes no mark", expected=expected, got=str(tool))
    first, second, third, fourth = points
    edges = second - first, third - first
    lengths = [float(np.linalg.norm(edge)) for edge in edges]
    if min(lengths) == 0:
        raise ValueError("a rectangle without width or height")
    across = [edge / length for edge, length in zip(edges, lengths, strict=True)]
    axes = np.stack([*across, np.cross(across[0], across[1])], axis=1)
    return _box((first + second + third + fourth) / 4, np.array([*lengths, 0.0]), axes, likelihood)


def _box(
    centre: NDArray[np.float64], size: NDArray[np.float64], axes: NDArray[np.float64], likelihood: float | None
) -> BoxMark:
    """Box whose axes are the columns of a matrix."""
    x, y, z = (_point(column) for column in axes.T)
    return BoxMark(_point(centre), _point(size), likelihood, (x, y, z))


def _vector(values: Any) -> NDArray[np.float64]:
    """Three numbers."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (3,):
        raise ValueError(f"three coordinates expected, got {values}")
    return vector


def _point(vector: NDArray[np.float64]) -> PointMm:
    """The same three numbers as a tuple."""
    x, y, z = (float(v) for v in vector)
    return x, y, z


def _likelihood(text: str | None) -> float | None:
    """Finite number that a text is, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
