"""An MR study from files to findings, with networks that were never trained: what was read, and what was left out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from osteomet.core.findings import from_json
from osteomet.core.grid import Grid
from osteomet.core.model import ModelDescription, ModelPart
from osteomet.core.signature import Signature, SignatureTerm
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality
from osteomet.io.formats import read_labels, write_volume
from osteomet.io.model_package import Tensors, write_package
from osteomet.io.signature_file import write_signature
from osteomet.nn.unet import build_network
from osteomet.phantom.cohorts.draw import draw_patient
from osteomet.pipeline.analyze import AnalyzeSettings, analyze_study
from osteomet.pipeline.train import _describe_part
from osteomet.training.recipe import PartRecipe, read_recipe


def small(recipe: PartRecipe) -> PartRecipe:
    return replace(recipe, patch=(32, 32, 32), channels=(8, 8))


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """A package of the recipe for MR whose networks are small and say what their first weights say."""
    recipe = read_recipe("default-mr")
    parts: list[ModelPart] = []
    weights: dict[str, Tensors] = {}
    for name, part in (("bones", small(recipe.bones)), ("lesions", small(recipe.lesions))):
        torch.manual_seed(0)
        file = f"weights/{name}.safetensors"
        weights[file] = {key: value.numpy() for key, value in build_network(part.network).state_dict().items()}
        parts.append(_describe_part(name, part, file))
    description = ModelDescription(
        "untrained", "1", "test", Modality.MR, tuple(parts), "none", "none", "tests", "all", "Apache-2.0", {}, {}
    )
    write_package(description, weights, card="", folder=tmp_path / "model")
    return tmp_path / "model"


def test_an_mr_study(untrained: Path, tmp_path: Path) -> None:
    """T1 and FO align; an image that lies a metre away does not and is left out with the reason."""
    case = draw_patient("mr-spine", seed=5, number=0, coarse=3.0).cases[0]
    given: dict[SequenceRole, Path] = {}
    for image in case.images:
        if image.role in (SequenceRole.T1, SequenceRole.FO):
            given[image.role] = tmp_path / f"{image.role.value}.nii.gz"
            write_volume(image.volume, given[image.role])
    grid = case.volume.grid
    away = Grid.from_spacing(
        grid.shape, grid.spacing_mm, origin_mm=[x + 1000 for x in grid.origin_mm], direction=grid.direction
    )
    given[SequenceRole.CE] = tmp_path / "away.nii.gz"
    write_volume(replace(case.volume, grid=away), given[SequenceRole.CE])
    terms = (SignatureTerm("FO_original_firstorder_Mean", 0.0, 1.0, 1e-3),)
    extraction = {"log_sigmas_mm": [], "wavelet": "none"}
    write_signature(
        Signature("fat", ("metastasis", "primary"), terms, 0.0, 1.0, 0.5, extraction, {"software": "osteomet 9"}, {}),
        tmp_path / "signature.json",
    )
    settings = AnalyzeSettings(
        str(untrained), "cpu", tmp_path / "cache", overwrite=False, classifiers=(str(tmp_path / "signature.json"),)
    )
    analysis = analyze_study([], tmp_path / "out", settings, sequences=given, progress=lambda *_: None)
    findings = from_json((tmp_path / "out" / "findings.json").read_text(encoding="utf-8"))
    roles = {facts.source: facts.role for facts in findings.study.series}
    assert roles == {"T1.nii.gz": "T1", "FO.nii.gz": "FO", "away.nii.gz": None}
    (first, second, left) = findings.study.series
    assert first.notes[-1] == "all results lie on this sequence"
    in_place = ("registered to T1: moved by ", "lies beside T1 as the scanner says")
    assert second.notes[-1].startswith(in_place)
    assert "two sequences show different parts of the patient" in left.reason
    log = (tmp_path / "out" / "run.log").read_text(encoding="utf-8")
    assert "series away.nii.gz: set aside; given by --sequence CE" in log
    for name in ("bones", "lesions"):
        assert read_labels(tmp_path / "out" / f"{name}.nii.gz").grid.same_as(grid)
    lines = analysis.series_read()
    assert [line.partition(":")[0] for line in lines] == ["T1", "FO", "left out"]
    assert "different parts of the patient" in lines[2]
    document = json.loads((tmp_path / "out" / "findings.json").read_text(encoding="utf-8"))
    assert document["provenance"]["model"] == "untrained 1"
    assert all(set(lesion.sequences) <= {"T1", "FO"} for lesion in findings.lesions)
    (use,) = findings.provenance.classifiers
    assert (use.package, use.version, use.images) == ("fat", "9", ("FO",))
