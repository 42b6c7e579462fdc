"""What classic DICOM slices of any modality share: patient, study, place, UIDs, and how they reach the disk."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from osteomet.core.errors import FormatError, UsageError
from osteomet.core.grid import Grid

_NAME = "OSTEOMET^PHANTOM"
_ID = "OSTEOMET-PHANTOM"
_NOON = "120000"


@dataclass(frozen=True, slots=True)
class DicomStudy:
    """What all series of one study share.

    ``patient_id`` is empty for the one phantom patient; ``sex`` is F, M or empty.
    """

    study_instance_uid: str
    frame_of_reference_uid: str
    patient_id: str = ""
    sex: str = ""
    age_years: int | None = None
    date: datetime.date | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SeriesTitle:
    """Number within the study and description, at most 64 characters."""

    number: int
    description: str


def new_uid(rng: np.random.Generator) -> str:
    """UID made from a random 128-bit number, as DICOM PS3.5 B.2 allows for UUIDs (version 4)."""
    number = int.from_bytes(rng.bytes(16), "big")
    number = number & ~(0xF << 76) | (0x4 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{number}"


def series_attributes(study: DicomStudy, title: SeriesTitle, grid: Grid, uid: str) -> Dataset:
    """Attributes that all slices of a series share whatever the modality.

    Type 2 attributes that a phantom cannot know are present and empty. PatientComments says that it is no patient.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study.study_instance_uid, uid
    ds.FrameOfReferenceUID = study.frame_of_reference_uid
    ds.PatientName = f"{_NAME}^{study.patient_id}" if study.patient_id else _NAME
    ds.PatientID = f"{_ID}-{study.patient_id}" if study.patient_id else _ID
    for keyword in _EMPTY:
        setattr(ds, keyword, None)
    ds.PatientSex = study.sex or None
    if study.age_years is not None:
        ds.PatientAge = f"{study.age_years:03d}Y"
    if study.date is not None:
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{study.date:%Y%m%d}"
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = _NOON
    if study.description:
        ds.StudyDescription = study.description
    ds.SeriesNumber, ds.SeriesDescription = title.number, title.description
    ds.AcquisitionNumber = 1
    ds.Manufacturer = "osteomet"
    ds.PatientComments = "Simulated image, not a patient"
    ds.PatientPosition = "HFS"
    row, column, _ = grid.direction.T
    ds.ImageOrientationPatient = [decimal(v) for v in (*row, *column)]
    ds.PixelSpacing = [decimal(grid.spacing_mm[1]), decimal(grid.spacing_mm[0])]
    ds.Columns, ds.Rows = grid.shape[:2]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    return ds


_EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("PatientBirthDate", "PatientSex", "PositionReferenceIndicator", "Laterality"),
)
"""Type 2 attributes without a value."""


def save_slice(base: Dataset, grid: Grid, k: int, number: int, uid: str, pixels: bytes, path: Path) -> None:
    """Write slice ``k`` of a grid as instance ``number`` of a series with the attributes of ``base``."""
    ds = Dataset()
    ds.update(base)
    ds.SOPInstanceUID = uid
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [decimal(v) for v in grid.to_xyz_mm((0, 0, k))]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = base.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = pixels
    ds.save_as(path, enforce_file_format=True)


def make_series_folder(folder: Path) -> None:
    """Make an empty folder; raise `UsageError` where it holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("the folder for a DICOM series must be empty", got=str(folder), remedy="pass a new folder")
    folder.mkdir(parents=True, exist_ok=True)


def words(values: Sequence[str]) -> list[str] | str | None:
    """Value of a DICOM attribute of several words: one alone as itself, none as empty."""
    return list(values) if len(values) > 1 else (values[0] if values else None)


def decimal(value: float) -> str:
    """Decimal string of at most 16 characters (VR DS) with the greatest precision that fits."""
    for digits in range(16, 0, -1):
        text = f"{float(value) + 0.0:.{digits}g}"
        if len(text) <= 16:
            return text
    raise FormatError("a coordinate does not fit a DICOM decimal string", got=str(value))
