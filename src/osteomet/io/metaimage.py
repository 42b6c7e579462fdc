"""MetaImage: .mha (one file) and, for reading, .mhd with its data file beside it.

The reader is our own, because ITK's cannot be trusted with damaged files: it returns noise without an error where
compressed voxels do not decode, fills in a geometry that the header leaves out, and can bring down the process.

References
----------
MetaIO format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import FormatError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.io.itk import to_itk, write_itk
from osteomet.io.sniff import wrong_content
from osteomet.io.stored import StoredImage, check_single_image, check_stated, damaged

_SPACING = ("ElementSpacing", "ElementSize")
_AXES = ("TransformMatrix", "Orientation", "Rotation")
_ORIGIN = ("Offset", "Position", "Origin")
_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_LAST_KEY = "ElementDataFile"
_LOCAL = "LOCAL"
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""Numpy type of each element type; MetaIO's "long" has four bytes."""


def read_metaimage(path: Path) -> StoredImage:
    """Read one 3D image; spacing, axes and offset must stand in the header.

    Raises
    ------
    FormatError
        If the file is not MetaImage, is truncated or corrupt, does not hold one greyscale 3D image, or keeps its voxels
        in a way that is not supported (text, a list of files).
    GeometryError
        If the header leaves out part of the geometry, or it is one that no grid can have.
    """
    header, end = _read_header(path)
    try:
        shape = check_single_image(tuple(int(n) for n in header["DimSize"].split()))
        _check_supported(header)
        check_stated(header, _SPACING, _AXES, _ORIGIN)
        grid = Grid(shape, _affine(header))
        dtype = np.dtype(_TYPES[header["ElementType"]]).newbyteorder(">" if _is_true(header, *_BIG_ENDIAN) else "<")
    except KeyError as error:
        raise damaged("MetaImage", reason=f"no {error.args[0]}") from error
    except ValueError as error:
        raise damaged("MetaImage", reason=str(error)) from error
    data, start = (path, end) if header[_LAST_KEY] == _LOCAL else (path.parent / header[_LAST_KEY], 0)
    n_bytes = dtype.itemsize * grid.shape[0] * grid.shape[1] * grid.shape[2]
    try:
        voxels = _read_bytes(data, start, n_bytes, compressed=_is_true(header, "CompressedData"))
    except (OSError, ValueError, zlib.error, MemoryError, OverflowError) as error:
        raise damaged("MetaImage", shape=shape, reason=str(error)) from error
    if len(voxels) != n_bytes:
        raise damaged("MetaImage", shape=shape, reason=f"{len(voxels)} of {n_bytes} bytes of voxels")
    return StoredImage(np.frombuffer(voxels, dtype).reshape(shape, order="F"), grid)


def write_metaimage(image: Volume | LabelMap, path: Path) -> None:
    """Write .mha, compressed."""
    write_itk(to_itk(image), path)


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """Keys and values of the text header, and where it ends."""
    header: dict[str, str] = {}
    with path.open("rb") as file:
        while line := file.readline(1 << 16):
            key, equals, value = line.decode("utf-8", errors="replace").partition("=")
            if not equals:
                break
            header[key.strip()] = value.strip()
            if key.strip() == _LAST_KEY:
                return header, file.tell()
        file.seek(0)
        head = file.read(512)
    raise wrong_content(head, expected="MetaImage")


def _check_supported(header: Mapping[str, str]) -> None:
    """Refuse what the format allows and no image of a patient needs."""
    n_channels = header.get("ElementNumberOfChannels", "1")
    if n_channels != "1":
        raise FormatError("a voxel holds several numbers", expected="one", got=n_channels)
    in_several_files = header[_LAST_KEY].startswith("LIST") or "%" in header[_LAST_KEY]
    in_text = header.get("BinaryData", "True").lower() == "false"
    if in_text or in_several_files or header.get("HeaderSize", "0") != "0":
        raise FormatError(
            "the voxels are stored in a way that is not supported",
            expected="binary, in one file, without a header of their own",
            remedy="save the image again, as .mha",
        )


def _affine(header: Mapping[str, str]) -> NDArray[np.float64]:
    """Index to LPS mm; the file lists the direction of the first axis first."""
    affine = np.eye(4)
    affine[:3, :3] = _numbers(header, _AXES, 9).reshape(3, 3).T * _numbers(header, _SPACING, 3)
    affine[:3, 3] = _numbers(header, _ORIGIN, 3)
    return affine


def _numbers(header: Mapping[str, str], spellings: tuple[str, ...], n: int) -> NDArray[np.float64]:
    key = next(key for key in spellings if header.get(key))
    numbers = np.array([float(text) for text in header[key].split()])
    if len(numbers) != n:
        raise ValueError(f"{key} of {len(numbers)} numbers, not {n}")
    return numbers


def _is_true(header: Mapping[str, str], *spellings: str) -> bool:
    return any(header.get(key, "").lower() == "true" for key in spellings)


def _read_bytes(path: Path, start: int, n_bytes: int, *, compressed: bool) -> bytes:
    """Read up to ``n_bytes`` of voxels, or one more where there are; compressed ones are held to their checksum."""
    with path.open("rb") as file:
        file.seek(start)
        if not compressed:
            return file.read(n_bytes)
        decoder = zlib.decompressobj()
        voxels = decoder.decompress(file.read(), n_bytes + 1)
        if not decoder.eof:
            raise zlib.error("compressed voxels that end early or go on too long")
        return voxels
