"""Write MR volumes as a classic DICOM series: one image, several b-values, or the phases of a dynamic series."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from osteomet.core.errors import FormatError, UsageError
from osteomet.core.grid import check_same_grid
from osteomet.core.volume import Modality, Volume
from osteomet.io.dicom_instances import (
    DicomStudy,
    SeriesTitle,
    decimal,
    make_series_folder,
    new_uid,
    save_slice,
    series_attributes,
    words,
)

_LARGEST = 2**16 - 1
_NOON = datetime.datetime(2000, 1, 1, 12)


@dataclass(frozen=True, slots=True)
class MrAcquisition:
    """What the headers of all slices of an MR series say; None where it does not apply.

    Parameters
    ----------
    field_strength_t, frequency_mhz
        Main field and Larmor frequency.
    tr_ms, te_ms, ti_ms, flip_degree, echo_train
        Timing; ``echo_train`` counts echoes.
    image_type, scanning_sequence, sequence_variant, scan_options
        Words of DICOM PS3.3 C.8.3.1.
    is_3d
        Whether a slab was excited.
    slice_mm
        Thickness; None for slices without gap.
    contrast_agent
        Name of the agent, empty for none.
    """

    field_strength_t: float
    frequency_mhz: float
    tr_ms: float
    te_ms: float
    scanning_sequence: tuple[str, ...]
    sequence_variant: tuple[str, ...] = ("NONE",)
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "OTHER")
    ti_ms: float | None = None
    flip_degree: float | None = None
    echo_train: int | None = None
    is_3d: bool = False
    slice_mm: float | None = None
    contrast_agent: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MrRepeat:
    """One image of a series that has several: its b-value (s/mm²), or its time after the first one (s)."""

    volume: Volume
    b_s_per_mm2: float | None = None
    time_s: float | None = None


def write_mr_series(
    repeats: Sequence[MrRepeat],
    folder: Path,
    acquisition: MrAcquisition,
    *,
    rng: np.random.Generator,
    study: DicomStudy,
    title: SeriesTitle,
) -> Path:
    """Write every slice of every image as one MR Image Storage file.

    Parameters
    ----------
    repeats
        Images on one grid: one, or one for each b-value or time. Values are whole numbers from 0 to 65535 and are
        stored as they are, so that readers see them without a rescale.
    folder
        Made where missing; must not hold files yet.
    acquisition
        What the headers say.
    rng
        Source of the UIDs of series and instances.
    study, title
        What the series belongs to and is called.

    Returns
    -------
    Path
        ``folder``, with files ``0001.dcm`` …, all slices of the first image first.

    Raises
    ------
    FormatError
        If an image is not MR, or a value is no whole number that fits.
    UsageError
        If there is no image, or the folder holds something already.
    GeometryError
        If images lie on different grids.

    References
    ----------
    DICOM PS3.3 A.4, MR Image Information Object Definition.
    """
    if not repeats:
        raise UsageError("a series has at least one image", got="none")
    grid = repeats[0].volume.grid
    for repeat in repeats:
        check_same_grid(grid, repeat.volume.grid, names=("the first image", "another image of the series"))
        _check_writable(repeat.volume)
    make_series_folder(folder)
    base = series_attributes(study, title, grid, new_uid(rng))
    _add_mr_attributes(base, acquisition, grid.spacing_mm[2])
    number = 0
    for position, repeat in enumerate(repeats, start=1):
        _add_repeat_attributes(base, repeat, position, repeats)
        for k in range(grid.shape[2]):
            number += 1
            pixels = repeat.volume.array[:, :, k].T.astype("<u2").tobytes()
            save_slice(base, grid, k, number, new_uid(rng), pixels, folder / f"{number:04d}.dcm")
    return folder


def _check_writable(volume: Volume) -> None:
    """Refuse what is not MR or would not be read back as it is."""
    if volume.modality is not Modality.MR:
        raise FormatError("only MR can be written as an MR series", got=volume.modality.value)
    values = volume.array
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _LARGEST or (values.dtype.kind == "f" and not np.array_equal(values, np.rint(values))):
        raise FormatError(
            "an MR value cannot be stored as it is",
            expected=f"whole numbers from 0 to {_LARGEST}",
            got=f"{values.dtype} from {low:g} to {high:g}",
        )


def _add_mr_attributes(ds: Dataset, a: MrAcquisition, pitch_mm: float) -> None:
    """Attributes of the MR Image and Contrast/Bolus modules."""
    ds.SOPClassUID = MRImageStorage
    ds.Modality = "MR"
    ds.ImageType = list(a.image_type)
    ds.ScanningSequence, ds.SequenceVariant = words(a.scanning_sequence), words(a.sequence_variant)
    ds.ScanOptions = words(a.scan_options)
    ds.MRAcquisitionType = "3D" if a.is_3d else "2D"
    ds.RepetitionTime, ds.EchoTime = decimal(round(a.tr_ms, 3)), decimal(round(a.te_ms, 3))
    ds.EchoTrainLength = a.echo_train
    if a.ti_ms is not None:
        ds.InversionTime = decimal(round(a.ti_ms, 3))
    if a.flip_degree is not None:
        ds.FlipAngle = decimal(round(a.flip_degree, 2))
    ds.MagneticFieldStrength = decimal(a.field_strength_t)
    ds.ImagingFrequency = decimal(round(a.frequency_mhz, 4))
    ds.SliceThickness = decimal(a.slice_mm or pitch_mm)
    ds.SpacingBetweenSlices = decimal(pitch_mm)
    ds.PixelRepresentation = 0
    if a.contrast_agent:
        ds.ContrastBolusAgent = a.contrast_agent


def _add_repeat_attributes(ds: Dataset, repeat: MrRepeat, position: int, repeats: Sequence[MrRepeat]) -> None:
    """Attributes that tell the images of one series apart."""
    ds.AcquisitionNumber = position
    if repeat.b_s_per_mm2 is not None:
        ds.DiffusionBValue = float(repeat.b_s_per_mm2)
    if repeat.time_s is not None and len(repeats) > 1:
        ds.TemporalPositionIdentifier, ds.NumberOfTemporalPositions = position, len(repeats)
        at = f"{_NOON + datetime.timedelta(seconds=repeat.time_s):%H%M%S.%f}"
        ds.AcquisitionTime = ds.ContentTime = at
