"""What the headers say about each image plane, in one form for classic and enhanced DICOM objects."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from osteomet.io.dicom_files import IMAGE_CLASSES, FileRef, sop_class_of
from osteomet.io.dicom_values import Layers, finite, integer_of, number_of, numbers_of, text_of, tokens_of, value_of
from osteomet.io.sequence_roles import SequenceTags

Triple = tuple[float, float, float]

REPEAT_TAGS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "DiffusionGradientOrientation",
    "SequenceName",
    "TriggerTime",
    "AcquisitionNumber",
    "AcquisitionTime",
)
"""Tags that tell repetitions of one position apart, in the order in which they are tried."""
_TIME_TAGS = ("TemporalPositionTimeOffset",)

_PRIVATE_B_VALUES = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C),
    ("GEMS_PARM_01", 0x0043, 0x39),
    ("Philips Imaging DD 001", 0x2001, 0x03),
    ("Image Private Header", 0x0065, 0x09),
)
"""Creator, group and element of the b-value of Siemens, GE, Philips and United Imaging."""
_GE_B_VALUE_OFFSET = 100_000
"""GE adds 10⁹ to b-values of multi-b series; the b-value itself is what is left below this number."""

_LENGTH_TOLERANCE = 1e-2
_COSINE_TOLERANCE = 1e-3
"""Direction cosines with two or three decimals pass; vectors that are not perpendicular make no image."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose series it is and what it is called; None where the file leaves it empty.

    ``patient`` is kept to tell patients apart and is never stored or shown.
    """

    modality: str
    sop_class: str
    series_instance_uid: str | None
    study_instance_uid: str | None
    frame_of_reference_uid: str | None
    patient: str | None
    study_date: str | None
    series_number: int | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the pixels of a frame lie.

    ``position_mm`` is the centre of the first pixel, ``row`` and ``column`` the unit vectors along a row and down a
    column (LPS); ``spacing_mm`` the distances between neighbouring columns and between neighbouring rows, that is along
    array axes i and j, and ``shape`` the number of columns and rows.
    """

    shape: tuple[int, int]
    position_mm: Triple
    row: Triple
    column: Triple
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane and how its stored values become HU or intensities.

    ``number`` counts the frames of the file from 0. ``plane`` is None where the file lacks a part of the geometry or
    its numbers make no sense.
    """

    file: FileRef
    number: int
    instance_number: int | None
    plane: Plane | None
    slope: float | None
    intercept: float | None
    repeat_tags: Mapping[str, str]
    identity: Identity
    tags: SequenceTags

    def describe(self) -> str:
        """Position, instance number and file for messages."""
        place = "no position" if self.plane is None else "({:.6g}, {:.6g}, {:.6g}) mm".format(*self.plane.position_mm)
        instance = "" if self.instance_number is None else f"instance {self.instance_number}, "
        return f"{place} ({instance}file {self.file.name})"


def frames_of(dataset: Dataset, file: FileRef) -> list[Frame]:
    """Turn a header into its frames: one for a classic object, each plane of an enhanced one.

    An object that is not a CT or MR image (a structure set, a report, a screen capture) gives a single frame whose
    ``tags.is_image`` is False, so that it can be named when it is set aside.
    """
    identity = _identity([dataset])
    shared, per_frame = _functional_groups(dataset)
    if not per_frame or not _is_image(identity.sop_class):
        return [_frame([dataset], identity, file, 0)]
    return [_frame([*groups, *shared, dataset], identity, file, number) for number, groups in enumerate(per_frame)]


def _is_image(sop_class: str) -> bool:
    """De-identifiers that empty the SOP class leave it to the modality to tell."""
    return sop_class in IMAGE_CLASSES or not sop_class


def _functional_groups(dataset: Dataset) -> tuple[list[Dataset], list[list[Dataset]]]:
    """Items of the shared groups, and of the groups of each frame."""
    shared = [item for group in dataset.get("SharedFunctionalGroupsSequence") or () for item in _items(group)]
    return shared, [_items(group) for group in dataset.get("PerFrameFunctionalGroupsSequence") or ()]


def _items(group: Dataset) -> list[Dataset]:
    """First item of every sequence of a functional group, then the group itself for attributes placed directly."""
    return [element.value[0] for element in group if element.VR == "SQ" and element.value] + [group]


def _frame(layers: Layers, identity: Identity, file: FileRef, number: int) -> Frame:
    """Read one frame; the first layer that has a value for a keyword speaks."""
    return Frame(
        file=file,
        number=number,
        instance_number=integer_of(layers, "InstanceNumber") if len(layers) == 1 else number + 1,
        plane=_plane(layers),
        slope=number_of(layers, "RescaleSlope"),
        intercept=number_of(layers, "RescaleIntercept"),
        repeat_tags={
            keyword: str(value)
            for keyword in (*REPEAT_TAGS, *_TIME_TAGS)
            if (value := value_of(layers, keyword)) is not None
        },
        identity=identity,
        tags=_sequence_tags(layers, identity),
    )


def _identity(layers: Layers) -> Identity:
    return Identity(
        modality=text_of(layers, "Modality"),
        sop_class=sop_class_of(layers[-1]),
        series_instance_uid=text_of(layers, "SeriesInstanceUID") or None,
        study_instance_uid=text_of(layers, "StudyInstanceUID") or None,
        frame_of_reference_uid=text_of(layers, "FrameOfReferenceUID") or None,
        patient=text_of(layers, "PatientID") or text_of(layers, "PatientName") or None,
        study_date=_iso_date(text_of(layers, "StudyDate")),
        series_number=integer_of(layers, "SeriesNumber"),
        description=text_of(layers, "SeriesDescription") or None,
    )


def _sequence_tags(layers: Layers, identity: Identity) -> SequenceTags:
    echo = number_of(layers, "EffectiveEchoTime")
    inversion = number_of(layers, "InversionTime")
    return SequenceTags(
        modality=identity.modality,
        sop_class=UID(identity.sop_class).name,
        is_image=_is_image(identity.sop_class),
        image_type=tokens_of(layers, "FrameType") or tokens_of(layers, "ImageType"),
        samples_per_pixel=integer_of(layers, "SamplesPerPixel") or 1,
        series_description=identity.description or "",
        protocol_name=text_of(layers, "ProtocolName"),
        sequence_name=text_of(layers, "SequenceName") or text_of(layers, "PulseSequenceName"),
        scanning_sequence=tokens_of(layers, "ScanningSequence") or _enhanced_sequence(layers),
        sequence_variant=tokens_of(layers, "SequenceVariant") or _enhanced_variant(layers),
        scan_options=tokens_of(layers, "ScanOptions") or _enhanced_options(layers),
        repetition_time_ms=number_of(layers, "RepetitionTime"),
        echo_time_ms=number_of(layers, "EchoTime") if echo is None else echo,
        inversion_time_ms=number_of(layers, "InversionTimes") if inversion is None else inversion,
        flip_angle_degree=number_of(layers, "FlipAngle"),
        imaging_frequency_mhz=number_of(layers, "ImagingFrequency") or number_of(layers, "TransmitterFrequency"),
        b_value_s_per_mm2=_b_value(layers) if identity.modality == "MR" else None,
        contrast_agent=text_of(layers, "ContrastBolusAgent") or _enhanced_agent(layers),
        kernel="\\".join(tokens_of(layers, "ConvolutionKernel")),
        rescale_type=text_of(layers, "RescaleType").upper(),
    )


def _enhanced_sequence(layers: Layers) -> tuple[str, ...]:
    """ScanningSequence of a classic object from the attributes of an enhanced one."""
    echoes = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
    found = echoes.get(text_of(layers, "EchoPulseSequence").upper(), ())
    found += ("IR",) if text_of(layers, "InversionRecovery").upper() == "YES" else ()
    return found + (("EP",) if text_of(layers, "EchoPlanarPulseSequence").upper() == "YES" else ())


def _enhanced_variant(layers: Layers) -> tuple[str, ...]:
    return ("SP",) if text_of(layers, "Spoiling").upper() not in ("", "NONE") else ()


def _enhanced_options(layers: Layers) -> tuple[str, ...]:
    suppression = text_of(layers, "SpectrallySelectedSuppression").upper()
    return ("FS",) if suppression.startswith("FAT") else ()


def _enhanced_agent(layers: Layers) -> str:
    for layer in layers:
        for item in layer.get("ContrastBolusAgentSequence") or ():
            return str(item.get("CodeMeaning") or "unnamed agent")
    return ""


def _plane(layers: Layers) -> Plane | None:
    """Geometry of a frame; None unless it is complete and possible."""
    shape = (integer_of(layers, "Columns") or 0, integer_of(layers, "Rows") or 0)
    position = numbers_of(layers, "ImagePositionPatient", count=3)
    cosines = numbers_of(layers, "ImageOrientationPatient", count=6)
    spacing = numbers_of(layers, "PixelSpacing", count=2)
    if position is None or cosines is None or spacing is None or min(*spacing, *shape) <= 0:
        return None
    row, column = _unit(cosines[:3]), _unit(cosines[3:])
    if row is None or column is None or abs(sum(a * b for a, b in zip(row, column, strict=True))) > _COSINE_TOLERANCE:
        return None
    return Plane(shape, (position[0], position[1], position[2]), row, column, (spacing[1], spacing[0]))


def _unit(vector: Sequence[float]) -> Triple | None:
    """Vector of length 1, None where the length is further from 1 than digits can explain."""
    length = math.hypot(*vector)
    if abs(length - 1) > _LENGTH_TOLERANCE:
        return None
    return vector[0] / length, vector[1] / length, vector[2] / length


def _b_value(layers: Layers) -> float | None:
    """b-value in s/mm² from the standard tag, a private tag, or the name when it holds exactly one."""
    standard = number_of(layers, "DiffusionBValue")
    if standard is not None:
        return standard
    for creator, group, element in _PRIVATE_B_VALUES:
        for layer in layers:
            try:
                value = layer.private_block(group, creator)[element].value
            except KeyError:
                continue
            number = _private_number(value)
            if number is not None:
                return number % _GE_B_VALUE_OFFSET
    for keyword in ("SequenceName", "SeriesDescription"):
        named = set(re.findall(r"(?:^|[_\s*])b ?=? ?(\d{1,4})(?=t|#|[_\s]|$)(?!_\d)", text_of(layers, keyword).lower()))
        if len(named) == 1:
            return float(named.pop())
    return None


def _private_number(value: Any) -> float | None:
    """First number of a private element, which may come typed, as text, or as undecoded bytes."""
    if isinstance(value, (list, MultiValue)):
        value = value[0] if value else None
    if isinstance(value, bytes):
        text = value.decode("ascii", errors="replace").split("\\")[0].strip(" \0")
        if re.fullmatch(r"[-+\d.eE]+", text):
            value = text
        else:
            value = struct.unpack("<f", value)[0] if len(value) == 4 else None
    return finite(value)


def _iso_date(text: str) -> str | None:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else None
