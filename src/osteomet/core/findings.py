"""What osteomet says about one study: the document that every output is made from.

`Findings` serialises to ``findings.json``. The published JSON Schema is generated from these types
(`findings_schema`), so document and schema cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from osteomet.core.classification import Classification, ClassifierUse
from osteomet.core.errors import FormatError
from osteomet.core.lesion import Lesion

SCHEMA_VERSION = "1.2"
DISCLAIMER = "Research software, not a medical device. Not for clinical use; a person decides."


class MStage(StrEnum):
    """Suggestion for the M category: M1b is distant spread to bone."""

    M0 = "M0"
    M1B = "M1b"


class ExamGrade(StrEnum):
    """Exam grade in the three steps of Wang D. et al. 2023 (`wangd2023`)."""

    NONE = "none"
    MILD = "mild"
    APPARENT = "apparent"


class PartStatus(StrEnum):
    """Where one part of a score comes from; ``unknown`` is never taken for normal."""

    MEASURED = "measured"
    ENTERED = "entered"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One series that took part, or was set aside.

    ``role`` is None for a series set aside, and ``reason`` says why it was chosen or not. ``affine`` holds the four
    rows of the LPS mm affine; ``notes`` what reading had to do (gantry tilt, resampling).
    """

    source: str
    role: str | None
    reason: str
    modality: str | None = None
    series_instance_uid: str | None = None
    frame_of_reference_uid: str | None = None
    description: str | None = None
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    affine: tuple[tuple[float, float, float, float], ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """Identity and geometry of the study. Names of patients are never stored."""

    study_instance_uid: str | None
    study_date: str | None
    series: tuple[SeriesFacts, ...]


@dataclass(frozen=True, slots=True)
class Abstention:
    """Something osteomet declines to say. ``code`` is stable (``numbering_uncertain``), ``reason`` is for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class GradeProbabilities:
    """Probability of each exam grade; together 1, to rounding."""

    none: float
    mild: float
    apparent: float

    def of(self, grade: ExamGrade) -> float:
        """Probability of one grade."""
        return {ExamGrade.NONE: self.none, ExamGrade.MILD: self.mild, ExamGrade.APPARENT: self.apparent}[grade]


@dataclass(frozen=True, slots=True)
class Exam:
    """Statements about the whole exam; None where osteomet abstains or nothing could be scored.

    ``calibrated_on`` says on which exams the probabilities, those of the lesions included, were calibrated; None where
    the model has no calibration: they then put exams and lesions in order and are no frequencies. ``gradings`` is what
    packages that grade exams say, one each; ``grade`` follows from the lesions and does not change with them.
    """

    probability: float | None
    m_stage: MStage | None
    grade: ExamGrade | None
    abstentions: tuple[Abstention, ...] = ()
    grade_probabilities: GradeProbabilities | None = None
    calibrated_on: str | None = None
    gradings: tuple[Classification, ...] = ()


@dataclass(frozen=True, slots=True)
class SinsPart:
    """One of the six parts of the Spinal Instability Neoplastic Score; points lie between ``low`` and ``high``."""

    name: str
    status: PartStatus
    low: int
    high: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Sins:
    """SINS of one level as a range, 0–18 (Fisher et al. 2010, https://doi.org/10.1097/BRS.0b013e3181e16ae2)."""

    parts: tuple[SinsPart, ...]
    low: int
    high: int
    category: str


@dataclass(frozen=True, slots=True)
class LevelFinding:
    """One vertebra, or the sacrum, that the field of view shows.

    ``confidence`` is that of the **name**. Heights are those of the vertebral body at its front, middle and back, None
    where the body is cut off by the field of view. ``involved_fraction`` is the part of the volume inside lesions.
    """

    name: str
    confidence: float | None
    volume_ml: float
    centroid_xyz_mm: tuple[float, float, float]
    complete: bool
    anterior_height_mm: float | None
    middle_height_mm: float | None
    posterior_height_mm: float | None
    involved_fraction: float
    lesion_ids: tuple[int, ...]
    sins: Sins | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What it takes to get the same result again; ``classifiers`` are the packages that classified lesions or exam."""

    software: str
    version: str
    model: str
    model_sha256: str
    engine: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]
    created_utc: str
    classifiers: tuple[ClassifierUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything said about one study.

    Raises
    ------
    FormatError
        On two lesions of one id, or a level that names a lesion which is not there.
    """

    study: StudyFacts
    exam: Exam
    levels: tuple[LevelFinding, ...]
    lesions: tuple[Lesion, ...]
    provenance: Provenance
    schema_version: str = SCHEMA_VERSION
    disclaimer: str = DISCLAIMER

    def __post_init__(self) -> None:
        ids = [lesion.id for lesion in self.lesions]
        if len(set(ids)) != len(ids):
            raise FormatError("two lesions share one id", got=str(ids))
        unknown = {i for level in self.levels for i in level.lesion_ids} - set(ids)
        if unknown:
            raise FormatError("a level names lesions that are not in the findings", got=str(sorted(unknown)))


_ADAPTER: TypeAdapter[Findings] = TypeAdapter(Findings)


def to_json(findings: Findings) -> str:
    """Serialise to the text of ``findings.json``, indented, ending in a newline."""
    return _ADAPTER.dump_json(findings, indent=2).decode() + "\n"


def from_json(text: str) -> Findings:
    """Parse the text of ``findings.json``.

    Raises
    ------
    FormatError
        If the text is not valid against the schema, with the first place where it fails, or its major version is not
        ours.
    InputError
        If it describes a lesion that cannot be.
    """
    try:
        findings = _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FormatError("this is not a findings document", got=f"{first['msg']} at {place or 'the top'}") from error
    if findings.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise FormatError(
            "the findings follow another version of the schema",
            expected=SCHEMA_VERSION,
            got=findings.schema_version,
            remedy="read them with the version of osteomet that wrote them",
        )
    return findings


def findings_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``findings.json``."""
    schema = _ADAPTER.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "osteomet findings"}
