"""Every output of one analysis agrees with every other, and both maps lie on exactly the grid of the scan."""

import csv
import json

import jsonschema
import numpy as np
import pytest
from tests.conftest import PLANTED, Analysed, stored

from osteomet.core.findings import Findings, findings_schema, from_json
from osteomet.core.volume import Modality
from osteomet.io.formats import read_labels, read_volume
from osteomet.lesions.measure import measure_lesions


@pytest.fixture(scope="module")
def findings(analysed: Analysed) -> Findings:
    return from_json((analysed.out / "findings.json").read_text(encoding="utf-8"))


def test_the_folder_holds_what_it_should(analysed: Analysed) -> None:
    assert sorted(p.name for p in analysed.out.iterdir()) == [
        ".osteomet", "bones.nii.gz", "findings.json", "labels.json", "lesions.csv", "lesions.nii.gz", "report.html",
        "run.log",
    ]  # fmt: skip
    assert sorted(p.name for p in analysed.out.parent.iterdir()) == ["out", "scan.nii.gz"]


def test_findings_follow_the_published_schema(analysed: Analysed) -> None:
    document = json.loads((analysed.out / "findings.json").read_text(encoding="utf-8"))
    schema = findings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    document["lesions"][0]["volume_ml"] = "large"
    with pytest.raises(jsonschema.ValidationError, match="'large'"):
        jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("name", ["bones.nii.gz", "lesions.nii.gz"])
def test_maps_have_exactly_the_shape_and_affine_of_the_input(name: str, analysed: Analysed) -> None:
    """The input has permuted and negated axes; both affines are compared as stored, bit by bit."""
    source, written = stored(analysed.source), stored(analysed.out / name)
    assert written.shape == source.shape == analysed.volume.grid.shape
    np.testing.assert_array_equal(written.affine, source.affine)
    assert np.linalg.det(source.affine[:3, :3]) != 0
    assert not np.array_equal(np.diag(np.diag(source.affine)), source.affine)
    for form in ("sform", "qform"):
        affine, code = getattr(written.header, f"get_{form}")(coded=True)
        assert code > 0
        np.testing.assert_allclose(affine, source.affine, atol=1e-3)


def test_measures_are_those_of_the_map(analysed: Analysed, findings: Findings) -> None:
    scan = read_volume(analysed.source, modality=Modality.CT)
    measured = measure_lesions(read_labels(analysed.out / "lesions.nii.gz").array, scan)
    assert set(PLANTED) <= {lesion.site for lesion in findings.lesions}
    assert sorted(measured) == [lesion.id for lesion in findings.lesions]
    for lesion in findings.lesions:
        expected = measured[lesion.id]
        assert lesion.volume_ml == pytest.approx(expected.volume_ml, rel=1e-6)
        assert lesion.centroid_xyz_mm == pytest.approx(expected.centroid_xyz_mm, abs=1e-3)
        assert lesion.long_axis_mm == pytest.approx(expected.long_axis_mm, abs=1e-3)
        assert lesion.mean_intensity == pytest.approx(expected.mean_intensity, rel=1e-6)


def test_labels_name_every_value_of_both_maps(analysed: Analysed, findings: Findings) -> None:
    labels = json.loads((analysed.out / "labels.json").read_text(encoding="utf-8"))
    bones = np.asanyarray(stored(analysed.out / "bones.nii.gz").dataobj)
    names = {number: name for name, number in labels["bones"].items()}
    present = {names[int(v)] for v in np.unique(bones) if v}
    assert set(PLANTED) <= {level.name for level in findings.levels} <= present | {"vertebra"}
    assert labels["lesions"] == {str(x.id): {"type": x.type.value, "site": x.site} for x in findings.lesions}
    lesions = np.asanyarray(stored(analysed.out / "lesions.nii.gz").dataobj)
    assert {str(v) for v in np.unique(lesions) if v} == set(labels["lesions"])
    for lesion in findings.lesions:
        inside = bones[lesions == lesion.id]
        assert names[int(np.bincount(inside[inside > 0]).argmax())] == lesion.site


def test_the_table_has_a_row_for_each_lesion(analysed: Analysed, findings: Findings) -> None:
    with (analysed.out / "lesions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(findings.lesions)
    for row, lesion in zip(rows, findings.lesions, strict=True):
        assert (row["id"], row["type"], row["site"]) == (str(lesion.id), lesion.type.value, lesion.site)
        assert (row["subsite"], row["tracking_uid"]) == (lesion.subsite or "", lesion.tracking_uid)
        place = [float(row[f"{axis}_mm"]) for axis in "xyz"]
        np.testing.assert_allclose(place, lesion.centroid_xyz_mm, atol=0.0051)
        assert float(row["volume_ml"]) == pytest.approx(lesion.volume_ml, abs=1e-4)
        assert float(row["long_axis_mm"]) == pytest.approx(lesion.long_axis_mm, abs=0.0051)


def test_levels_carry_their_lesions(findings: Findings) -> None:
    """Levels are those of the column; a lesion of a hip bone belongs to none."""
    names = {level.name for level in findings.levels}
    carried = {i: level.name for level in findings.levels for i in level.lesion_ids}
    assert carried == {x.id: x.site for x in findings.lesions if x.site in names}
    assert set(PLANTED) <= set(carried.values())


def test_json_on_standard_output(analysed: Analysed, findings: Findings) -> None:
    printed = json.loads(analysed.printed)
    assert printed["n_lesions"] == len(findings.lesions)
    assert printed["statement"].startswith(f"{len(findings.lesions)} lesions suspicious for bone metastasis found")
    assert (printed["m_stage"], printed["grade"]) == (findings.exam.m_stage, findings.exam.grade)
    assert printed["levels"] == [level.name for level in findings.levels]
    assert printed["statement"] in (analysed.out / "report.html").read_text(encoding="utf-8")


def test_provenance_and_log_say_what_ran(analysed: Analysed, findings: Findings) -> None:
    provenance = findings.provenance
    assert provenance.inputs == ("scan.nii.gz",)
    assert provenance.model.startswith("default-ct ")
    (facts,) = [facts for facts in findings.study.series if facts.role]
    assert facts.shape == analysed.volume.grid.shape
    assert facts.affine is not None
    np.testing.assert_allclose(facts.affine, analysed.volume.grid.affine, atol=1e-4)
    log = (analysed.out / "run.log").read_text(encoding="utf-8")
    assert provenance.model_sha256[:12] in log
    assert all(f"lesion {x.id}: {x.type.value}, {x.site}" in log for x in findings.lesions)
