"""The one door to image files: a volume or a label map, in or out, by the suffix of its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from osteomet.core.errors import FormatError, InputError, OsteometError
from osteomet.core.volume import LabelMap, Modality, Unit, Volume, present_labels
from osteomet.io.label_names import names_beside
from osteomet.io.metaimage import read_metaimage, write_metaimage
from osteomet.io.nifti import read_nifti, write_nifti
from osteomet.io.nrrd import read_nrrd, write_nrrd, write_segmentation
from osteomet.io.output import output_file
from osteomet.io.stored import StoredImage, to_intensities, to_labels

_Image = TypeVar("_Image", Volume, LabelMap)

_READERS: Mapping[str, Callable[[Path], StoredImage]] = MappingProxyType(
    {
        ".nii.gz": read_nifti,
        ".nii": read_nifti,
        ".seg.nrrd": read_nrrd,
        ".nrrd": read_nrrd,
        ".mha": read_metaimage,
        ".mhd": read_metaimage,
    }
)
_VOLUME_WRITERS: Mapping[str, Callable[[Volume, Path], None]] = MappingProxyType(
    {".nii.gz": write_nifti, ".nii": write_nifti, ".nrrd": write_nrrd, ".mha": write_metaimage}
)
_LABEL_WRITERS: Mapping[str, Callable[[LabelMap, Path], None]] = MappingProxyType(
    {
        ".nii.gz": write_nifti,
        ".nii": write_nifti,
        ".seg.nrrd": write_segmentation,
        ".nrrd": write_nrrd,
        ".mha": write_metaimage,
    }
)


def is_image_file(path: Path) -> bool:
    """Whether the name ends in a suffix that `read_volume` and `read_labels` know; the file is not opened.

    Examples
    --------
    >>> is_image_file(Path("case/CT.NII.GZ")), is_image_file(Path("report.pdf"))
    (True, False)
    """
    return _suffix(path) is not None


def image_stem(path: Path) -> str:
    """File name without its image suffix.

    Examples
    --------
    >>> image_stem(Path("out/bones.nii.gz"))
    'bones'
    """
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else path.stem


def read_volume(path: Path, *, modality: Modality) -> Volume:
    """Read a scalar image.

    Parameters
    ----------
    path
        A .nii, .nii.gz, .nrrd, .mha or .mhd file, upper or lower case.
    modality
        What the file holds; none of these formats says. CT is taken to be in HU.

    Returns
    -------
    Volume
        int16 where all values are whole numbers that fit, else float32; scaling in the header is applied.

    Raises
    ------
    InputError
        If there is no such file or it cannot be opened.
    FormatError
        If the suffix is unknown, or the file is not what its suffix says, is truncated or corrupt, holds NaN, colour,
        several volumes, or a segmentation.
    GeometryError
        If the file does not state where the voxels lie, contradicts itself, or is sheared.
    """
    with _about(path):
        stored = _read(path)
        if stored.names is not None:
            raise FormatError(
                "the file is a segmentation",
                expected="an image",
                got=f"segments {', '.join(stored.names)}",
                remedy="pass the image that was segmented",
            )
        unit = Unit.HU if modality is Modality.CT else Unit.ARBITRARY
        return Volume(to_intensities(stored), stored.grid, modality, unit)


def read_labels(path: Path, labels: Mapping[str, int] | None = None) -> LabelMap:
    """Read a label map.

    Parameters
    ----------
    path
        A .nii, .nii.gz, .nrrd, .seg.nrrd, .mha or .mhd file.
    labels
        Label of each name. Where None, the names come from the file (a segmentation of 3D Slicer), else from
        ``labels.json`` or ``dataset.json`` beside it (`osteomet.io.label_names.names_beside`), else each label n that
        is present is called ``label_n``.

    Returns
    -------
    LabelMap
        Unsigned integers; whole numbers stored as floating point are accepted.

    Raises
    ------
    InputError
        If there is no such file or it cannot be opened.
    FormatError
        As in `read_volume`, and if a value is negative, a fraction, or has no name, or segments overlap.
    GeometryError
        If the file does not state where the voxels lie, contradicts itself, or is sheared.
    """
    with _about(path):
        stored = _read(path)
        array = to_labels(stored)
        names = labels if labels is not None else stored.names
        if names is None:
            names = names_beside(path.parent, image_stem(path))
        if names is None:
            names = {f"label_{label}": label for label in present_labels(array)}
        return LabelMap(array, stored.grid, names)


def read_instances(path: Path) -> LabelMap:
    """Read a map in which each value n is one lesion, called ``lesion_n`` whatever names lie beside the file.

    Raises what `read_labels` raises.
    """
    with _about(path):
        stored = _read(path)
        array = to_labels(stored)
        return LabelMap(array, stored.grid, {f"lesion_{n}": n for n in present_labels(array)})


def write_volume(volume: Volume, path: Path) -> None:
    """Write a scalar image as .nii, .nii.gz, .nrrd or .mha; it appears whole or not at all.

    Notes
    -----
    NRRD and MetaImage bring every voxel back to its place exactly; NIfTI, whose affine is float32, within 0.0001 mm.
    """
    _write(volume, path, _VOLUME_WRITERS)


def write_labels(labels: LabelMap, path: Path) -> None:
    """Write a label map as .nii, .nii.gz, .nrrd, .mha or .seg.nrrd; it appears whole or not at all.

    Only .seg.nrrd, which 3D Slicer opens as a segmentation, keeps the names; beside others write ``labels.json``.
    """
    _write(labels, path, _LABEL_WRITERS)


def _suffix(path: Path) -> str | None:
    """Longest known suffix of the name, in lower case."""
    return next((suffix for suffix in _READERS if path.name.lower().endswith(suffix)), None)


def _read(path: Path) -> StoredImage:
    """Read by suffix."""
    if path.is_dir():
        raise FormatError("a folder is not an image file", remedy="name the file inside it, or pass DICOM as a study")
    suffix = _suffix(path)
    if suffix is None:
        raise _unknown(path, _READERS)
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(
            "the file cannot be opened",
            expected="an image file that can be read",
            got=error.strerror or str(error),
            remedy="check the path and the permissions",
        ) from error
    return _READERS[suffix](path)


def _write(image: _Image, path: Path, writers: Mapping[str, Callable[[_Image, Path], None]]) -> None:
    """Write by suffix."""
    with _about(path):
        suffix = _suffix(path)
        if suffix is None or suffix not in writers:
            raise _unknown(path, writers)
        with output_file(path) as partial:
            writers[suffix](image, partial)


def _unknown(path: Path, known: Mapping[str, object]) -> FormatError:
    return FormatError(
        "the suffix of the file names no known image format",
        expected=" ".join(known),
        got=path.suffix or "no suffix",
        remedy="convert the file, or pass a DICOM folder",
    )


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Put the path in front of every error that osteomet raises about a file."""
    try:
        yield
    except OsteometError as error:
        raise type(error)(
            f"{path}: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from error
