"""NIfTI-1 and NIfTI-2 in one file, plain or gzip-compressed: the only place where RAS coordinates appear.

The standard lets a file state its geometry twice. The rules here (``docs/explanation/geometry.md`` gives the reasons):

- A transform counts when its code is above 0; which code it is makes no difference.
- Only one counts: it is used. Both count: the sform is used, and both must put every corner voxel in the same place
  within 1 mm; a file that contradicts itself by more is refused.
- None counts: refused. The standard then knows neither where the patient's left is nor where the image lies.
- ``pixdim[1..3]`` must be positive even where the sform is used: libraries read a zero as 1 mm without a word.
- Units (``xyzt_units``): millimetre, metre and micrometre are converted; unknown is taken as millimetre, as every
  tool does and many writers leave it.

Both transforms are stored as float32: the corners of a scan come back within 0.0001 mm (measured: 0.00004 mm).

References
----------
NIfTI-1 data format, nifti1.h, "3D image (volume) orientation and location in space".
https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import array_from_file
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.io.sniff import wrong_content
from osteomet.io.stored import COMPRESSION_LEVEL, StoredImage, check_single_image, damaged

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_AGREEMENT_MM = 1.0
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_HEADERS: Mapping[int, Any] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_IMAGE: Any = nib.Nifti1Image
_SCANNER = 1
_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())
_LIBRARY_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    HeaderDataError,
    WrapStructError,
    MemoryError,
    np.linalg.LinAlgError,
)


def read_nifti(path: Path) -> StoredImage:
    """Read one 3D image; ``path`` ends in .nii or .nii.gz.

    Raises
    ------
    FormatError
        If the file is not NIfTI, is truncated or corrupt, or does not hold one greyscale 3D image.
    GeometryError
        If the geometry is missing, contradictory, sheared, or has a spacing that is not positive.
    """
    shape = None
    try:
        with _open(path) as stream:
            header = _read_header(stream)
            shape = check_single_image(tuple(int(n) for n in header.get_data_shape()))
            grid = _grid(header, shape)
            array = array_from_file(
                shape, header.get_data_dtype(), stream, header.get_data_offset(), order="F", mmap=False
            )
            _drain(stream)
            slope, intercept = header.get_slope_inter()
    except _LIBRARY_ERRORS as error:
        raise damaged("NIfTI", shape=shape, reason=f"{type(error).__name__}: {error}") from error
    return StoredImage(array, grid, slope=1.0 if slope is None else slope, intercept=intercept or 0.0)


def write_nifti(image: Volume | LabelMap, path: Path) -> None:
    """Write NIfTI-1 with qform and sform alike, both with code 1 (scanner), in millimetres."""
    affine = _RAS_TO_LPS @ image.grid.affine
    nifti = _IMAGE(np.asfortranarray(image.array), affine)
    nifti.set_sform(affine, _SCANNER)
    nifti.set_qform(affine, _SCANNER)
    nifti.header.set_xyzt_units("mm")
    with path.open("wb") as file:
        if not _is_compressed(path):
            nifti.to_stream(file)
            return
        with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as stream:
            nifti.to_stream(stream)


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _open(path: Path) -> io.BufferedIOBase:
    """Stream of the NIfTI bytes; refuse a compressed file without .gz and the reverse."""
    with path.open("rb") as file:
        head = file.read(512)
    if not _is_compressed(path):
        return path.open("rb")
    if not head.startswith(b"\x1f\x8b"):
        raise wrong_content(head, expected="gzip-compressed NIfTI")
    return gzip.GzipFile(path)


def _read_header(stream: io.BufferedIOBase) -> Any:
    """Header as stored, of NIfTI-1 or NIfTI-2; spacing is checked before nibabel can mend it."""
    head = stream.read(max(_HEADERS))
    size = next((n for n in _HEADERS if head[:4] in (n.to_bytes(4, "little"), n.to_bytes(4, "big"))), None)
    if size is None:
        raise wrong_content(head, expected="NIfTI")
    header = _HEADERS[size](head[:size], check=False)
    spacing = header["pixdim"][1:4].astype(float)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise GeometryError(
            "the NIfTI header states no usable spacing",
            expected="pixdim[1..3] above 0",
            got=f"{tuple(spacing.tolist())}",
            remedy="export the image again with its true spacing",
        )
    header.check_fix(logger=_LOG)
    return header


def _grid(header: Any, shape: tuple[int, int, int]) -> Grid:
    """Grid by the rules of this module."""
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        raise GeometryError("the NIfTI header states an unknown unit of length", expected="code 0 to 3", got=str(unit))
    sform, _ = header.get_sform(coded=True)
    qform, _ = header.get_qform(coded=True)
    grids = [Grid(shape, _to_lps_mm(form, _MM_PER_UNIT[unit])) for form in (sform, qform) if form is not None]
    if not grids:
        raise GeometryError(
            "the NIfTI file does not say where the patient's left, back and head are",
            expected="a qform or sform code above 0",
            got="both codes 0",
            remedy="convert the image again from DICOM, or set the sform in the tool that wrote it",
        )
    if len(grids) == 2 and not grids[0].same_as(grids[1], tolerance_mm=_AGREEMENT_MM):
        distance = np.linalg.norm(grids[0].corners_xyz_mm() - grids[1].corners_xyz_mm(), axis=1).max()
        raise GeometryError(
            "the NIfTI file places the image in two different ways",
            expected=f"sform and qform within {_AGREEMENT_MM:g} mm of each other",
            got=f"{distance:.3g} mm apart at a corner: sform {grids[0].describe()}, qform {grids[1].describe()}",
            remedy="decide which is right and set the other to it or to code 0",
        )
    return grids[0]


def _to_lps_mm(ras: NDArray[np.float64], mm_per_unit: float) -> NDArray[np.float64]:
    """Index to LPS mm from index to RAS in the file's unit."""
    return np.asarray(np.diag([mm_per_unit] * 3 + [1.0]) @ _RAS_TO_LPS @ ras)


def _drain(stream: io.BufferedIOBase) -> None:
    """Read to the end, where gzip compares its checksum: a damaged file can decode to the right number of bytes."""
    while stream.read(1 << 20):
        pass
