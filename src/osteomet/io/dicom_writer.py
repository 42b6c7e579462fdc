"""Write a CT volume as a classic DICOM series, as a scanner would for the same slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from osteomet.core.errors import FormatError, UsageError
from osteomet.core.volume import Modality, Volume

RESCALE_INTERCEPT_HU = -1024
"""HU of stored value 0."""

_NAME = "OSTEOMET^PHANTOM"
_ID = "OSTEOMET-PHANTOM"


def write_ct_series(
    volume: Volume,
    folder: Path,
    *,
    rng: np.random.Generator,
    study_instance_uid: str | None = None,
    description: str = "osteomet phantom",
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
    study_instance_uid
        Study that the series joins; a new one where None. The frame of reference is that of the volume's grid, or new.
    description
        SeriesDescription, at most 64 characters.

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

    Notes
    -----
    Type 2 attributes that a phantom cannot know (dates, KVP, sex) are present and empty. The patient is called
    ``OSTEOMET^PHANTOM``, and PatientComments says that it is none.

    References
    ----------
    DICOM PS3.3 A.3, CT Image Information Object Definition.
    """
    _check_writable(volume)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("the folder for a DICOM series must be empty", got=str(folder), remedy="pass a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    base = _series_attributes(volume, rng, study_instance_uid, description)
    for k in range(volume.grid.shape[2]):
        instance = _instance(base, volume, k, _uid(rng))
        instance.PixelData = _stored_bytes(volume.array[:, :, k])
        instance.save_as(folder / f"{k + 1:04d}.dcm", enforce_file_format=True)
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


def _uid(rng: np.random.Generator) -> str:
    """UID made from a random 128-bit number, as DICOM PS3.5 B.2 allows for UUIDs (version 4)."""
    number = int.from_bytes(rng.bytes(16), "big")
    number = number & ~(0xF << 76) | (0x4 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{number}"


def _series_attributes(volume: Volume, rng: np.random.Generator, study_uid: str | None, description: str) -> Dataset:
    """Attributes that all slices share."""
    grid = volume.grid
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.StudyInstanceUID = study_uid or _uid(rng)
    ds.SeriesInstanceUID = _uid(rng)
    ds.FrameOfReferenceUID = grid.frame_of_reference_uid or _uid(rng)
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID = _NAME, _ID
    ds.SeriesDescription = description
    ds.Manufacturer = "osteomet"
    ds.PatientComments = "Simulated image, not a patient"
    ds.PatientPosition = "HFS"
    for keyword in _EMPTY:
        setattr(ds, keyword, None)
    ds.SeriesNumber = 1
    ds.AcquisitionNumber = 1
    row, column, _ = grid.direction.T
    ds.ImageOrientationPatient = [_decimal(v) for v in (*row, *column)]
    ds.PixelSpacing = [_decimal(grid.spacing_mm[1]), _decimal(grid.spacing_mm[0])]
    ds.SliceThickness = _decimal(grid.spacing_mm[2])
    ds.Columns, ds.Rows = grid.shape[:2]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = RESCALE_INTERCEPT_HU, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 400, 1800
    return ds


_EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("PatientBirthDate", "PatientSex", "PositionReferenceIndicator", "KVP", "Laterality"),
)
"""Type 2 attributes without a value."""


def _instance(base: Dataset, volume: Volume, k: int, uid: str) -> Dataset:
    """Slice ``k`` without its pixels."""
    ds = Dataset()
    ds.update(base)
    ds.SOPInstanceUID = uid
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = [_decimal(v) for v in volume.grid.to_xyz_mm((0, 0, k))]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _decimal(value: float) -> str:
    """Decimal string of at most 16 characters (VR DS) with the greatest precision that fits."""
    for digits in range(16, 0, -1):
        text = f"{float(value) + 0.0:.{digits}g}"
        if len(text) <= 16:
            return text
    raise FormatError("a coordinate does not fit a DICOM decimal string", got=str(value))
