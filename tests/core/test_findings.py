import json
from dataclasses import replace

import jsonschema
import pytest

from osteomet.core.errors import FormatError, InputError
from osteomet.core.findings import (
    SCHEMA_VERSION,
    Abstention,
    Exam,
    ExamGrade,
    Findings,
    GradeProbabilities,
    LevelFinding,
    MStage,
    PartStatus,
    Provenance,
    SeriesFacts,
    Sins,
    SinsPart,
    StudyFacts,
    findings_schema,
    from_json,
    to_json,
)
from osteomet.core.lesion import Lesion
from osteomet.core.mr_grade import Criterion, CriterionKind, CriterionState, MrCategory, MrGrade
from osteomet.core.vocabulary import LesionType

PROVENANCE = Provenance(
    software="osteomet",
    version="0.1.0",
    model="default-ct",
    model_sha256="0" * 64,
    engine="openvino",
    settings={"minimum_ml": 0.1, "types": ["lytic", "sclerotic"], "window": {"overlap": 0.5}},
    inputs=("1.2.3",),
    created_utc="2026-01-01T00:00:00Z",
)
EMPTY = Findings(
    study=StudyFacts(study_instance_uid=None, study_date=None, series=()),
    exam=Exam(probability=None, m_stage=None, grade=None, abstentions=(Abstention("no_bone", "no bone found"),)),
    levels=(),
    lesions=(),
    provenance=PROVENANCE,
)
LESION = Lesion(
    id=3,
    type=LesionType.SCLEROTIC,
    site="L3",
    subsite=None,
    centroid_xyz_mm=(0.5, -12.25, 800.0),
    long_axis_mm=12.5,
    short_axis_mm=8.0,
    long_axis_ends_xyz_mm=((0.0, 0.0, 0.0), (12.5, 0.0, 0.0)),
    volume_ml=0.75,
    mean_intensity=612.5,
    confidence=None,
    tracking_uid="2.25.7",
)
GRADE = MrGrade(
    MrCategory.INDETERMINATE,
    (Criterion("avid enhancement", CriterionKind.PRIMARY, CriterionState.UNKNOWN, "no image with contrast"),),
    ("ADC 850 µm²/s",),
)
LEVEL = LevelFinding(
    name="L3",
    confidence=0.97,
    volume_ml=41.0,
    centroid_xyz_mm=(0.0, 1.0, 2.0),
    complete=False,
    anterior_height_mm=None,
    middle_height_mm=24.5,
    posterior_height_mm=26.0,
    involved_fraction=0.018,
    lesion_ids=(3,),
    sins=Sins(
        parts=(
            SinsPart("location", PartStatus.MEASURED, 2, 2, "L3 is mobile"),
            SinsPart("pain", PartStatus.UNKNOWN, 0, 3, "not entered"),
        ),
        low=2,
        high=5,
        category="stable",
    ),
)
FULL = replace(
    EMPTY,
    study=StudyFacts(
        study_instance_uid="1.2",
        study_date="20260101",
        series=(
            SeriesFacts(
                source="series 1",
                role="CT",
                reason="modality CT",
                modality="CT",
                shape=(4, 5, 6),
                spacing_mm=(1.0, 1.0, 2.5),
                affine=((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 2.5, 0.0), (0.0, 0.0, 0.0, 1.0)),
                notes=("gantry tilt of 12°",),
            ),
            SeriesFacts(source="series 2", role=None, reason="a localizer"),
        ),
    ),
    exam=Exam(
        probability=0.93,
        m_stage=MStage.M1B,
        grade=ExamGrade.MILD,
        grade_probabilities=GradeProbabilities(0.07, 0.83, 0.1),
        calibrated_on="40 phantoms of ct-spine, seed 92026",
    ),
    levels=(LEVEL,),
    lesions=(LESION, replace(LESION, id=4, type=LesionType.MARROW, mr_grade=GRADE)),
)


@pytest.mark.parametrize("findings", [EMPTY, FULL], ids=["empty", "full"])
def test_json_and_back(findings: Findings) -> None:
    text = to_json(findings)
    assert from_json(text) == findings
    assert to_json(from_json(text)) == text
    assert text.endswith("}\n")


@pytest.mark.parametrize("findings", [EMPTY, FULL], ids=["empty", "full"])
def test_the_document_follows_its_schema(findings: Findings) -> None:
    schema = findings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(findings)), schema, cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_what_is_missing() -> None:
    document = json.loads(to_json(FULL))
    del document["lesions"][0]["volume_ml"]
    with pytest.raises(jsonschema.ValidationError, match="'volume_ml' is a required property"):
        jsonschema.validate(document, findings_schema())


def test_the_schema_says_what_it_is() -> None:
    schema = findings_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"study", "exam", "levels", "lesions", "provenance", "schema_version", "disclaimer"} <= set(
        schema["properties"]
    )


def test_every_document_carries_version_and_disclaimer() -> None:
    document = json.loads(to_json(EMPTY))
    assert document["schema_version"] == SCHEMA_VERSION
    assert "not a medical device" in document["disclaimer"]


def test_values_keep_their_names_and_units() -> None:
    lesion = json.loads(to_json(FULL))["lesions"][0]
    assert lesion["type"] == "sclerotic"
    assert lesion["centroid_xyz_mm"] == [0.5, -12.25, 800.0]
    assert (lesion["volume_ml"], lesion["long_axis_mm"], lesion["confidence"]) == (0.75, 12.5, None)


def test_two_lesions_of_one_id_are_refused() -> None:
    with pytest.raises(FormatError, match=r"share one id; got \[3, 3\]"):
        replace(FULL, lesions=(LESION, LESION))


def test_a_level_that_names_a_missing_lesion_is_refused() -> None:
    with pytest.raises(FormatError, match=r"not in the findings; got \[3\]"):
        replace(FULL, lesions=())


@pytest.mark.parametrize("text", ["", "{}", "not json", "[1, 2]"])
def test_what_is_no_findings_document_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match=r"this is not a findings document; got .* at "):
        from_json(text)


def test_the_place_of_the_first_fault_is_told() -> None:
    document = json.loads(to_json(FULL))
    document["lesions"][0]["type"] = "purple"
    with pytest.raises(FormatError, match=r"at lesions\.0\.type"):
        from_json(json.dumps(document))


def test_a_document_with_an_impossible_lesion_is_refused() -> None:
    document = json.loads(to_json(FULL))
    document["lesions"][0]["short_axis_mm"] = 99.0
    with pytest.raises(InputError, match="long axis that is not the shorter one"):
        from_json(json.dumps(document))


def test_another_major_version_is_refused_and_a_minor_one_read() -> None:
    document = json.loads(to_json(FULL))
    document["schema_version"] = "1.9"
    assert from_json(json.dumps(document)).schema_version == "1.9"
    document["schema_version"] = "2.0"
    with pytest.raises(FormatError, match=r"expected 1\.2; got 2\.0; remedy"):
        from_json(json.dumps(document))
