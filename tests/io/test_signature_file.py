"""Signatures on disk: what is written comes back, and what was changed is refused with exit code 4."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osteomet.core.errors import ModelError
from osteomet.core.signature import Signature, SignatureTerm
from osteomet.io.signature_file import read_signature, write_signature

SIGNATURE = Signature(
    name="lumbar",
    classes=("metastasis", "primary"),
    terms=(
        SignatureTerm("original_shape_Sphericity", 0.6, 0.1, -0.75),
        SignatureTerm("wavelet-LLH_glcm_Idmn", 1e-17, 0.30000000000000004, 0.5),
    ),
    intercept=0.25,
    slope=1.5,
    prevalence=45 / 81,
    extraction={"bin_width": 25.0, "log_sigmas_mm": [1.0, 2.0]},
    training={"n_lesions": 81},
    metrics={"cross_validation.auc": {"value": 0.77, "low": 0.66, "high": None}},
)


def written(folder: Path) -> Path:
    write_signature(SIGNATURE, folder / "signature.json")
    return folder / "signature.json"


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    sha256 = write_signature(SIGNATURE, tmp_path / "signature.json")
    for path in (tmp_path, tmp_path / "signature.json"):
        package = read_signature(path)
        assert package.signature == SIGNATURE
        assert package.sha256 == sha256
        assert len(sha256) == 64


def test_probability_by_hand() -> None:
    assert SIGNATURE.probability(-0.25 / 1.5) == pytest.approx(0.5)
    assert SIGNATURE.probability(1.0) == pytest.approx(1 / (1 + 2.718281828**-1.75))
    assert SIGNATURE.probability(-1e6) == 0.0
    assert SIGNATURE.probability(1e6) == 1.0


def test_white_space_and_order_of_keys_are_no_change(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = json.loads(path.read_text())
    content["signature"] = dict(reversed(content["signature"].items()))
    path.write_text(json.dumps(content))
    assert read_signature(path).signature == SIGNATURE


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """Change the parsed document, and leave the hash as it is."""

    def apply(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return apply


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "cannot be read as JSON"),
    "empty": (lambda _: "", "cannot be read as JSON"),
    "a list": (lambda _: "[]", "not a signature of this format"),
    "another format": (edited(lambda d: d.update(format="osteomet-signature/9")), "not a signature of this format"),
    "a coefficient": (edited(lambda d: d["signature"]["terms"][0].update(coefficient=9)), "damaged or was changed"),
    "a name": (edited(lambda d: d["signature"]["terms"][0].update(feature="x")), "damaged or was changed"),
    "no content": (edited(lambda d: d.pop("signature")), "damaged or was changed"),
    "no hash": (edited(lambda d: d.pop("sha256")), "damaged or was changed"),
    "not a number": (lambda text: text.replace("-0.75", "NaN"), "NaN is no number"),
    "infinity": (lambda text: text.replace("-0.75", "1e999"), "damaged or was changed"),
    "nested without end": (lambda _: "[" * 100_000, "cannot be read as JSON"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused(name: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    change, message = DAMAGE[name]
    path.write_text(change(path.read_text()))
    with pytest.raises(ModelError, match=message) as caught:
        read_signature(path)
    assert caught.value.exit_code == 4


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "signature.json").write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        read_signature(tmp_path)
    with pytest.raises(ModelError, match=r"no signature at .*; remedy: make one with"):
        read_signature(tmp_path / "none")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"classes": ("a", "a")}, "two different classes"),
        ({"terms": (SIGNATURE.terms[0], SIGNATURE.terms[0])}, "each feature once"),
        ({"terms": (SignatureTerm("a", 0.0, 0.0, 1.0),)}, "positive standard deviations"),
        ({"intercept": float("nan")}, "finite numbers"),
        ({"slope": -1.0}, "a slope that is not negative"),
        ({"prevalence": 1.0}, "a prevalence between 0 and 1"),
    ],
)
def test_a_signature_that_contradicts_itself_is_refused(changes: dict[str, Any], rule: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"contradicts itself; expected {rule}"):
        write_signature(replace(SIGNATURE, **changes), tmp_path / "signature.json")
    assert not list(tmp_path.iterdir())
