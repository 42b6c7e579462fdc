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
    shared, per_frame = _functional_groups(dataset)
    if not per_frame or not _is_image(sop_class_of(dataset)):
        return [_frame([dataset], file, 0)]
    return [_frame([*groups, *shared, dataset], file, number) for number, groups in enumerate(per_frame)]


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


def _frame(layers: Sequence[Dataset], file: FileRef, number: int) -> Frame:
    """Read one frame; the first layer that has a value for a keyword speaks."""
    identity = _identity(layers)
    return Frame(
        file=file,
        number=number,
        instance_number=_integer(layers, "InstanceNumber") if len(layers) == 1 else number + 1,
        plane=_plane(layers),
        slope=_number(layers, "RescaleSlope"),
        intercept=_number(layers, "RescaleIntercept"),
        repeat_tags={keyword: str(value) for keyword in REPEAT_TAGS if (value := _value(layers, keyword)) is not None},
        identity=identity,
        tags=_sequence_tags(layers, identity),
    )


def _identity(layers: Sequence[Dataset]) -> Identity:
    patient = (_text(layers, "PatientID"), _text(layers, "PatientName"), _text(layers, "PatientBirthDate"))
    return Identity(
        modality=_text(layers, "Modality"),
        sop_class=sop_class_of(layers[-1]),
        series_instance_uid=_text(layers, "SeriesInstanceUID") or None,
        study_instance_uid=_text(layers, "StudyInstanceUID") or None,
        frame_of_reference_uid=_text(layers, "FrameOfReferenceUID") or None,
        patient=(patient[0] or patient[1]) or None,
        study_date=_iso_date(_text(layers, "StudyDate")),
        series_number=_integer(layers, "SeriesNumber"),
        description=_text(layers, "SeriesDescription") or None,
    )


def _sequence_tags(layers: Sequence[Dataset], identity: Identity) -> SequenceTags:
    echo = _number(layers, "EffectiveEchoTime")
    inversion = _number(layers, "InversionTime")
    return SequenceTags(
        modality=identity.modality,
        sop_class=UID(identity.sop_class).name,
        is_image=_is_image(identity.sop_class),
        image_type=_tokens(layers, "FrameType") or _tokens(layers, "ImageType"),
        samples_per_pixel=_integer(layers, "SamplesPerPixel") or 1,
        series_description=identity.description or "",
        protocol_name=_text(layers, "ProtocolName"),
        sequence_name=_text(layers, "SequenceName") or _text(layers, "PulseSequenceName"),
        scanning_sequence=_tokens(layers, "ScanningSequence") or _enhanced_sequence(layers),
        sequence_variant=_tokens(layers, "SequenceVariant") or _enhanced_variant(layers),
        scan_options=_tokens(layers, "ScanOptions") or _enhanced_options(layers),
        repetition_time_ms=_number(layers, "RepetitionTime"),
        echo_time_ms=_number(layers, "EchoTime") if echo is None else echo,
        inversion_time_ms=_number(layers, "InversionTimes") if inversion is None else inversion,
        flip_angle_degree=_number(layers, "FlipAngle"),
        imaging_frequency_mhz=_number(layers, "ImagingFrequency") or _number(layers, "TransmitterFrequency"),
        b_value_s_per_mm2=_b_value(layers) if identity.modality == "MR" else None,
        contrast_agent=_text(layers, "ContrastBolusAgent") or _enhanced_agent(layers),
        kernel="\\".join(_tokens(layers, "ConvolutionKernel")),
        rescale_type=_text(layers, "RescaleType").upper(),
    )


def _enhanced_sequence(layers: Sequence[Dataset]) -> tuple[str, ...]:
    """ScanningSequence of a classic object from the attributes of an enhanced one."""
    echoes = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
    found = echoes.get(_text(layers, "EchoPulseSequence").upper(), ())
    found += ("IR",) if _text(layers, "InversionRecovery").upper() == "YES" else ()
    return found + (("EP",) if _text(layers, "EchoPlanarPulseSequence").upper() == "YES" else ())


def _enhanced_variant(layers: Sequence[Dataset]) -> tuple[str, ...]:
    return ("SP",) if _text(layers, "Spoiling").upper() not in ("", "NONE") else ()


def _enhanced_options(layers: Sequence[Dataset]) -> tuple[str, ...]:
    suppression = _text(layers, "SpectrallySelectedSuppression").upper()
    return ("FS",) if suppression.startswith("FAT") else ()


def _enhanced_agent(layers: Sequence[Dataset]) -> str:
    for layer in layers:
        for item in layer.get("ContrastBolusAgentSequence") or ():
            return str(item.get("CodeMeaning") or "unnamed agent")
    return ""


def _plane(layers: Sequence[Dataset]) -> Plane | None:
    """Geometry of a frame; None unless it is complete and possible."""
    shape = (_integer(layers, "Columns") or 0, _integer(layers, "Rows") or 0)
    position = _numbers(layers, "ImagePositionPatient", 3)
    cosines = _numbers(layers, "ImageOrientationPatient", 6)
    spacing = _numbers(layers, "PixelSpacing", 2)
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


def _b_value(layers: Sequence[Dataset]) -> float | None:
    """b-value in s/mm² from the standard tag, a private tag, or the name when it holds exactly one."""
    standard = _number(layers, "DiffusionBValue")
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
        named = set(re.findall(r"(?:^|[_\s*])b ?=? ?(\d{1,4})(?=t|#|[_\s]|$)(?!_\d)", _text(layers, keyword).lower()))
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
    return _finite(value)


def _iso_date(text: str) -> str | None:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else None


def _value(layers: Sequence[Dataset], keyword: str) -> Any:
    """First value that is not empty, None where there is none or it cannot be decoded."""
    for layer in layers:
        try:
            value = layer.get(keyword)
        except (ValueError, TypeError, NotImplementedError):
            continue
        if value is not None and value != "" and not (isinstance(value, MultiValue) and len(value) == 0):
            return value
    return None


def _text(layers: Sequence[Dataset], keyword: str) -> str:
    value = _value(layers, keyword)
    return "" if value is None else str(value).strip()


def _tokens(layers: Sequence[Dataset], keyword: str) -> tuple[str, ...]:
    value = _value(layers, keyword)
    if value is None:
        return ()
    values = value if isinstance(value, (list, MultiValue)) else [value]
    return tuple(token for token in (str(v).strip().upper() for v in values) if token)


def _numbers(layers: Sequence[Dataset], keyword: str, count: int) -> list[float] | None:
    value = _value(layers, keyword)
    values = list(value) if isinstance(value, (list, MultiValue)) else [value]
    numbers = [number for v in values if (number := _finite(v)) is not None]
    return numbers if len(numbers) == count == len(values) else None


def _number(layers: Sequence[Dataset], keyword: str) -> float | None:
    value = _value(layers, keyword)
    return _finite(value[0] if isinstance(value, (list, MultiValue)) else value)


def _integer(layers: Sequence[Dataset], keyword: str) -> int | None:
    number = _number(layers, keyword)
    return None if number is None else int(number)


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
