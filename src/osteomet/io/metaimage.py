"""MetaImage: .mha (one file) and, for reading, .mhd with its data file beside it."""

from __future__ import annotations

from pathlib import Path

from osteomet.core.errors import FormatError
from osteomet.core.volume import LabelMap, Volume
from osteomet.io.itk import check_compressed, check_stated, read_itk, to_itk, write_itk
from osteomet.io.sniff import wrong_content
from osteomet.io.stored import StoredImage

_IMAGE_IO = "MetaImageIO"
_SPACING = ("ElementSpacing", "ElementSize")
_AXES = ("TransformMatrix", "Orientation", "Rotation")
_ORIGIN = ("Offset", "Position", "Origin")
_LAST_KEY = "ElementDataFile"


def read_metaimage(path: Path) -> StoredImage:
    """Read one 3D image; spacing, axes and offset must stand in the header.

    Raises
    ------
    FormatError
        If the file is not MetaImage, is truncated or corrupt, or does not hold one greyscale 3D image.
    GeometryError
        If the header leaves out part of the geometry, or it is one that no grid can have.
    """
    header, end = _read_header(path)
    check_stated(header, _SPACING, _AXES, _ORIGIN)
    if header.get("CompressedData", "").lower() == "true":
        in_file = header[_LAST_KEY].upper() == "LOCAL"
        check_compressed(path if in_file else path.parent / header[_LAST_KEY], end if in_file else 0, kind="MetaImage")
    array, grid = read_itk(path, image_io=_IMAGE_IO)
    if array.ndim > 3:
        raise FormatError("a voxel holds several numbers", expected="one", got=str(array.shape[3]))
    return StoredImage(array, grid)


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
