"""Real scans complete; which lesions a model finds in them is judged elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Osteomet, stored

from osteomet.core.findings import from_json

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans at {DATA}")


def first(folder: str, pattern: str) -> Path:
    found = sorted((DATA / folder).glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {DATA / folder}")
    return found[0]


def levels_of(source: Path, out: Path, osteomet: Osteomet) -> list[str]:
    """Analyse, and return the levels after a look at the outputs."""
    outcome = osteomet("analyze", source, "--out", out, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    findings = from_json((out / "findings.json").read_text(encoding="utf-8"))
    (facts,) = [facts for facts in findings.study.series if facts.role]
    lesions, bones = (stored(out / f"{name}.nii.gz") for name in ("lesions", "bones"))
    assert lesions.shape == bones.shape == facts.shape
    np.testing.assert_array_equal(lesions.affine, bones.affine)
    assert {int(v) for v in np.unique(np.asanyarray(lesions.dataobj)) if v} == {x.id for x in findings.lesions}
    return [level.name for level in findings.levels]


def test_axial_dicom(osteomet: Osteomet, tmp_path: Path) -> None:
    levels_of(DATA / "ct_dicom_axial", tmp_path / "out", osteomet)


def test_lesion_patch(osteomet: Osteomet, tmp_path: Path) -> None:
    levels_of(first("ct_lesion_patches", "**/*.nii.gz"), tmp_path / "out", osteomet)


@pytest.mark.slow
def test_levels_of_the_abdomen(osteomet: Osteomet, tmp_path: Path) -> None:
    levels = levels_of(first("ct_abdomen_pelvis", "*ct*.nii.gz"), tmp_path / "out", osteomet)
    assert {"T12", "L1", "L2", "L3", "L4", "L5", "sacrum"} <= set(levels)


@pytest.mark.slow
def test_thorax(osteomet: Osteomet, tmp_path: Path) -> None:
    assert levels_of(first("ct_thorax", "*ct*.nii.gz"), tmp_path / "out", osteomet)
