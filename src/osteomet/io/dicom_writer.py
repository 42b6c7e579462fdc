"""Write a CT volume as a classic DICOM series, as a scanner would for the same slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from osteomet.core.errors import FormatError
from osteomet.core.volume import Modality, Volume
from osteomet.io.dicom_instances import (
    DicomStudy,
    SeriesTitle,
    decimal,
    make_series_folder,
    new_uid,
    save_slice,
    series_attributes,
)

RESCALE_INTERCEPT_HU = -1024
"""HU of stored value 0."""

_TITLE = SeriesTitle(1, "osteomet phantom")


def write_ct_series(
    volume: Volume,
    folder: Path,
    *,
    rng: np.random.Generator,
    study: DicomStudy | None = None,
    title: SeriesTitle = _TITLE,
) -> Path:
    """Write every slice along the third array axis as one CT Image Storage file.

    Any orientation is allowed: array axis i becomes the row direction (columns of the picture), j the column
    direction, and slices follow k. A grid whose axes form a left-handed set is written as it is; readers sort slices
    along row × column, so that they see axis k reversed and every voxel at its place.

    Parameters
    ----------
    volume
        CT in HU. Fractional values are rounded to whole HU.
    folder
        Made where missing; must not hold files yet.
    rng
        Source of all UIDs: the same generator state gives the same bytes.
    study
        Study that the series joins; a new one where None, in the frame of reference of the volume's grid, or a new one.
    title
        Number and description of the series.

    Returns
    -------
    Path
        ``folder``, with files ``0001.dcm`` …

    Raises
    ------
    FormatError
        If the volume is not CT, or a value does not fit 16 bits.
    UsageError
        If the folder holds something already.

    References
    ----------
    DICOM PS3.3 A.3, CT Image Information Object Definition.
    """
    _check_writable(volume)
    make_series_folder(folder)
    grid = volume.grid
    if study is None:
        study = DicomStudy(new_uid(rng), grid.frame_of_reference_uid or new_uid(rng))
    base = series_attributes(study, title, grid, new_uid(rng))
    _add_ct_attributes(base, grid.spacing_mm[2])
    for k in range(grid.shape[2]):
        number, pixels = k + 1, _stored_bytes(volume.array[:, :, k])
        save_slice(base, grid, k, number, new_uid(rng), pixels, folder / f"{number:04d}.dcm")
    return folder


def _check_writable(volume: Volume) -> None:
    """Refuse what is not CT, or does not fit signed 16 bit."""
    if volume.modality is not Modality.CT:
        raise FormatError("only CT can be written as a CT series", got=volume.modality.value)
    limits = np.iinfo(np.int16)
    low, high = float(volume.array.min()), float(volume.array.max())
    if round(low) - RESCALE_INTERCEPT_HU < limits.min or round(high) - RESCALE_INTERCEPT_HU > limits.max:
        raise FormatError(
            "a CT value does not fit 16 bits",
            expected=f"{limits.min + RESCALE_INTERCEPT_HU} to {limits.max + RESCALE_INTERCEPT_HU} HU",
            got=f"{low:g} to {high:g} HU",
        )


def _stored_bytes(plane: NDArray[Any]) -> bytes:
    """Pixels of a plane [i, j] row by row: whole HU minus the intercept."""
    stored: NDArray[np.int32] = np.rint(plane.T).astype(np.int32) - RESCALE_INTERCEPT_HU
    return stored.astype("<i2").tobytes()


def _add_ct_attributes(ds: Dataset, slice_mm: float) -> None:
    """Attributes of the CT Image module."""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.KVP = None
    ds.SliceThickness = decimal(slice_mm)
    ds.PixelRepresentation = 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = RESCALE_INTERCEPT_HU, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 400, 1800
