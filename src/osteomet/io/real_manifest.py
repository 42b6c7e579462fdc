"""A manifest says what is known about real scans, so that a model can be judged on them.

TOML, one ``[[scan]]`` each; paths start at ``folder``, which starts at the manifest:

.. code-block:: toml

    folder = "scans"

    [[scan]]
    name = "patient 1"
    image = "patient1.nii.gz"            # or a folder with one DICOM series
    complete = true                      # no lesion but those in boxes: any other call is false
    most_false = 1                       # how many false calls are borne
    boxes = "boxes.csv"                  # boxes of lesions
    bones = "patient1_bones.nii.gz"      # label map on the grid of the image
    convention = "totalsegmentator"      # whose ids it carries
    judge = ["L1", "L2", "sacrum"]       # which of its bones are judged

The table of boxes has the columns ``image_path`` (file name of the image), ``x``, ``y``, ``z`` (centre, LPS mm), and
``width``, ``height``, ``depth`` (mm along x, y and z).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from osteomet.core.errors import FormatError, InputError
from osteomet.core.vocabulary import LabelConvention, SequenceRole
from osteomet.io.csv_rows import read_rows

_BOX_COLUMNS = ("image_path", "x", "y", "z", "width", "height", "depth")


@dataclass(frozen=True, slots=True)
class RealScan:
    """One real scan and what is known about it; the module says what the fields mean."""

    name: str
    image: Path
    role: SequenceRole = SequenceRole.CT
    complete: bool = False
    most_false: int | None = None
    boxes: Path | None = None
    bones: Path | None = None
    convention: LabelConvention | None = None
    judge: tuple[str, ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The file."""

    scan: tuple[RealScan, ...]
    folder: str = "."

    __pydantic_config__ = ConfigDict(extra="forbid")


def read_manifest(path: Path) -> tuple[RealScan, ...]:
    """Read a manifest; the paths of its scans are whole afterwards. Whether they lead to files is not looked at.

    Raises
    ------
    InputError
        If there is no such file.
    FormatError
        If it is not TOML, a key is missing, unknown or of the wrong type, or two scans share a name.
    """
    manifest = _parse(path)
    folder = path.parent / manifest.folder
    names = [scan.name for scan in manifest.scan]
    if len(set(names)) != len(names):
        raise FormatError(f"{path}: two scans share a name", got=", ".join(names))
    for scan in manifest.scan:
        if (scan.bones is None) != (scan.convention is None):
            raise FormatError(
                f"{path}: {scan.name} names a map of bones without whose ids it carries, or the reverse",
                expected=f"bones, and a convention of {', '.join(LabelConvention)}",
            )
    return tuple(_placed(scan, folder) for scan in manifest.scan)


def read_boxes(scan: RealScan) -> NDArray[np.float64]:
    """Boxes of the lesions of a scan, lowest and highest corner in LPS mm, shape (n, 2, 3); none without a table."""
    if scan.boxes is None:
        return np.zeros((0, 2, 3))
    boxes = []
    for row in read_rows(scan.boxes, _BOX_COLUMNS):
        if row.text("image_path") == scan.image.name:
            centre = np.array([row.number(axis) for axis in "xyz"])
            half = np.array([row.number(side) for side in ("width", "height", "depth")]) / 2
            if (half <= 0).any():
                raise row.error("a box has positive sides", got=str((2 * half).tolist()))
            boxes.append((centre - half, centre + half))
    if not boxes:
        raise InputError(
            f"{scan.boxes} has no box for {scan.name}", expected=f"rows whose image_path is {scan.image.name}"
        )
    return np.array(boxes)


def _parse(path: Path) -> _Manifest:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(_Manifest).validate_python(table)
    except OSError as error:
        raise InputError(f"{path}: the manifest cannot be read", got=error.strerror or str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path}: the manifest is not TOML", got=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise FormatError(f"{path}: the manifest has a wrong key", got=f"{key}: {first['msg']}") from error


def _placed(scan: RealScan, folder: Path) -> RealScan:
    """The same with whole paths."""
    boxes, bones = (None if place is None else folder / place for place in (scan.boxes, scan.bones))
    return replace(scan, image=folder / scan.image, boxes=boxes, bones=bones)
