"""From stored pixels to HU or intensities on the grid of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from osteomet.core.errors import FormatError, OsteometError, SeriesError
from osteomet.core.volume import Modality
from osteomet.io.dicom_files import FileRef, open_each
from osteomet.io.dicom_frames import Frame
from osteomet.io.dicom_geometry import Stack

AIR_HU = -1024
"""Value of CT voxels that no detector saw: padding, and what a gantry correction adds at the edges."""

_PADDING_BELOW_HU = -500
"""PixelPaddingValue counts only where it means less than this. Anonymisers and exporters write 0 there for CTs whose
0 HU is water."""

Array = NDArray[Any]


def read_array(frames: Sequence[Frame], stack: Stack, modality: Modality) -> tuple[Array, tuple[str, ...]]:
    """Read all slices into one array [i, j, k] on ``stack.grid``.

    Parameters
    ----------
    frames
        In the order of ``stack.slice_index``.
    modality
        CT values are in HU; MR values are rescaled where the file says so, otherwise as stored.

    Returns
    -------
    tuple
        int16 where all values are whole numbers that fit, else float32; and notes on padding, duplicates and display
        inversion.

    Raises
    ------
    FormatError
        If pixels cannot be decoded, with the name of the file.
    SeriesError
        If duplicate slices differ, or a CT does not say how stored values become HU.

    Notes
    -----
    MONOCHROME1 asks a viewer to show high values dark; the values themselves keep their meaning and are not inverted.
    The memory layout is that of the slices (k slowest), so that a slice is one block and SimpleITK needs no copy.
    """
    array: Array = np.zeros(stack.grid.shape[::-1], dtype=np.int16).transpose(2, 1, 0)
    first_file: dict[int, str] = {}
    notes: set[str] = set()
    outside = AIR_HU if modality is Modality.CT else 0
    index = {id(frame): k for frame, k in zip(frames, stack.slice_index, strict=True)}
    for frame, plane, plane_notes in _planes(frames, modality):
        k = index[id(frame)]
        placed = _place(plane, stack, k, outside)
        if array.dtype == np.int16 and not _fits_int16(placed):
            array = array.transpose(2, 1, 0).astype(np.float32).transpose(2, 1, 0)
        if k in first_file:
            _check_duplicate(array[:, :, k], placed.astype(array.dtype), frame, first_file[k])
        array[:, :, k] = placed
        first_file.setdefault(k, frame.file.name)
        notes |= plane_notes
    n_duplicates = len(frames) - len(first_file)
    if n_duplicates:
        notes.add(f"{n_duplicates} duplicate slice{'s' if n_duplicates > 1 else ''} with equal pixels left out")
    return array, tuple(sorted(notes))


def _check_duplicate(kept: Array, other: Array, frame: Frame, first_file: str) -> None:
    if not np.array_equal(kept, other):
        raise SeriesError(
            "two slices at one position have different pixels",
            expected="one slice at each position",
            got=f"{frame.describe()} and file {first_file}",
            remedy="pass one of the two acquisitions or reconstructions only",
        )


def _planes(frames: Sequence[Frame], modality: Modality) -> Iterator[tuple[Frame, Array, set[str]]]:
    """Decode and rescale planes [i, j], file by file."""
    by_file = {
        file: sorted(group, key=lambda frame: frame.number)
        for file, group in groupby(sorted(frames, key=lambda frame: frame.file), key=lambda frame: frame.file)
    }
    for file, stream in open_each(by_file):
        wanted = by_file[file]
        try:
            dataset = _with_transfer_syntax(dcmread(stream, force=True))
            decoded = iter_pixels(dataset, indices=[frame.number for frame in wanted], raw=True)
            for frame, stored in zip(wanted, decoded, strict=True):
                plane, notes = _rescale(stored, dataset, frame, modality)
                yield frame, plane.T, notes
        except (MemoryError, OsteometError):
            raise
        except Exception as error:  # decoders fail in ways of their own
            raise _undecodable(file, error) from error


def _with_transfer_syntax(dataset: Dataset) -> Dataset:
    """Name the encoding of a file without preamble, which pydicom had to guess."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    return dataset


def _undecodable(file: FileRef, error: Exception) -> FormatError:
    return FormatError(
        "the pixels of a DICOM file cannot be decoded",
        got=f"{file}: {error}",
        remedy="export the series again, uncompressed if need be",
    )


def _rescale(stored: Array, dataset: Dataset, frame: Frame, modality: Modality) -> tuple[Array, set[str]]:
    """Apply the modality LUT or the rescale of this frame, and mark padding as air on CT."""
    notes = set()
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.add("display is inverted (MONOCHROME1); values are kept as stored")
    if "ModalityLUTSequence" in dataset:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32), notes
    slope, intercept = _scale(frame, modality)
    plane = _scaled(stored, slope, intercept)
    if modality is Modality.CT:
        padding = _padding_mask(stored, dataset)
        if padding is not None and padding.any() and plane[padding].max() < _PADDING_BELOW_HU:
            plane[padding] = AIR_HU
            notes.add(f"padding outside the reconstruction set to {AIR_HU} HU")
    return plane, notes


def _scale(frame: Frame, modality: Modality) -> tuple[float, float]:
    """Slope and intercept; a CT must state both."""
    if modality is Modality.CT and (frame.slope is None or frame.intercept is None):
        raise SeriesError(
            "a CT slice does not say how stored values become HU",
            expected="RescaleSlope and RescaleIntercept",
            got=f"neither or only one in {frame.describe()}",
            remedy="export the series again with its rescale tags",
        )
    slope, intercept = frame.slope if frame.slope is not None else 1.0, frame.intercept or 0.0
    if slope == 0:
        raise FormatError("RescaleSlope is zero", expected="a positive number", got=frame.describe())
    return slope, intercept


def _scaled(stored: Array, slope: float, intercept: float) -> Array:
    """Rescale, in whole numbers where pixels, slope and intercept are whole."""
    if slope.is_integer() and intercept.is_integer() and stored.dtype.kind in "iu":
        return stored.astype(np.int64) * int(slope) + int(intercept)
    return (stored * np.float64(slope) + intercept).astype(np.float32)


def _padding_mask(stored: Array, dataset: Dataset) -> NDArray[np.bool_] | None:
    """Voxels with the padding value, or within the padding range, None where the file names no padding."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int) or stored.dtype.kind not in "iu":
        return None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted(_as_stored(int(v), stored.dtype) for v in (value, limit))
    return np.asarray((stored >= low) & (stored <= high))


def _as_stored(value: int, dtype: np.dtype[Any]) -> int:
    """Undo a sign that was lost because the element was written with the wrong one of US and SS."""
    bits = 8 * dtype.itemsize
    wrapped = value % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >= 1 << (bits - 1) else wrapped


def _fits_int16(plane: Array) -> bool:
    if plane.dtype.kind == "f":
        return False
    limits = np.iinfo(np.int16)
    return bool(plane.min() >= limits.min and plane.max() <= limits.max)


def _place(plane: Array, stack: Stack, k: int, outside: int) -> Array:
    """Shift a plane [i, j] by its drift onto the grid: linear, in plane only, blended with ``outside`` at the edges."""
    if stack.drift_px == (0.0, 0.0):
        return plane
    last = stack.grid.shape[2] - 1
    offsets = [k * drift - min(0.0, last * drift) for drift in stack.drift_px]
    whole = [int(np.floor(offset + 1e-9)) for offset in offsets]
    shifted = np.full(stack.grid.shape[:2], outside, dtype=np.float64)
    shifted[tuple(slice(n, n + size) for n, size in zip(whole, plane.shape, strict=True))] = plane
    for axis, part in enumerate(max(0.0, offset - n) for offset, n in zip(offsets, whole, strict=True)):
        shifted = (1 - part) * shifted + part * np.roll(shifted, 1, axis=axis)
    if plane.dtype.kind == "f":
        return shifted.astype(np.float32)
    return np.rint(shifted).astype(np.int32)
