"""Models of nnU-Net from import to label maps, as the commands do it."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Osteomet, stored

from osteomet.core.model import IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.volume import Modality
from osteomet.io import model_package
from osteomet.io.model_package import read_package, write_package
from osteomet.nn.unet import build_network

DATA = Path(__file__).parents[1] / "data/nnunet"
FOLDER = DATA / "nnUNetTrainer__nnUNetPlans__2d"
ZIP = DATA / "Dataset501_SyntheticCT.zip"


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that ship with osteomet: one, called ours."""
    network = NetworkSpec("subvoxel_unet3d", n_inputs=1, n_outputs=2, channels=(8,))
    part = ModelPart(
        "bones", network, (2.0, 2.0, 2.0), (8, 8, 8), (IntensityWindow(0.0, 1.0),), None, ("background", "bone"), ("a",)
    )
    description = ModelDescription("ours", "1", "test", Modality.CT, (part,), "", "", "", "", "", {}, files={})
    weights = {name: value.numpy() for name, value in build_network(network).state_dict().items()}
    write_package(description, {"a": weights}, card="# Ours", folder=tmp_path / "shipped" / "ours")
    monkeypatch.setattr(model_package, "_SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of imported models."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "osteomet" / "models"


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    folder = tmp_path / "cases"
    folder.mkdir()
    shutil.copy(DATA / "images/ct_0000.nii.gz", folder / "first_0000.nii.gz")
    shutil.copy(DATA / "images/ct_0000.nii.gz", folder / "second.nii.gz")
    return folder


def test_a_zip_is_imported_listed_shown_and_run(osteomet: Osteomet, models: Path, cases: Path, tmp_path: Path) -> None:
    imported = osteomet("model", "import", ZIP, "--json")
    assert imported.code == 0, imported.err
    name = "Dataset501_SyntheticCT-3d_fullres"
    result = json.loads(imported.out)
    assert result["name"] == name
    assert sorted(p.name for p in (models / name).rglob("*") if p.is_file()) == [
        "card.md",
        "fold_0.safetensors",
        "model.json",
    ]
    listed = json.loads(osteomet("model", "list", "--json").out)["models"]
    expected = {"name": name, "version": "1", "modality": "CT", "task": "segmentation: bone, lesion"}
    assert [model["name"] for model in listed] == ["ours", name]
    assert listed[1] == expected
    shown = osteomet("model", "show", name)
    assert "- `_0000`: CT" in shown.out
    assert "CC0" in shown.out
    assert result["sha256"] in shown.out

    out = tmp_path / "out"
    run = osteomet("predict", "--model", name, "--input", cases, "--out", out, "--device", "cpu", "--json")
    assert run.code == 0, run.err
    assert json.loads(run.out)["predicted"] == ["first", "second"]
    assert sorted(p.name for p in out.iterdir()) == [
        "first.nii.gz",
        "labels.json",
        "prediction.json",
        "second.nii.gz",
    ]
    assert json.loads((out / "labels.json").read_text()) == {"bone": 1, "lesion": 2}
    assert json.loads((out / "prediction.json").read_text())["model_sha256"] == result["sha256"]
    found, reference = (np.asarray(stored(p).dataobj) for p in (out / "first.nii.gz", DATA / "expected/ct.nii.gz"))
    assert (found == reference).mean() >= 0.999

    # Only what is missing, or older than its images, is done again.
    (out / "first.nii.gz").unlink()
    os.utime(cases / "second.nii.gz", (1, 1))
    again = json.loads(osteomet("predict", "--model", name, "--input", cases, "--out", out, "--json").out)
    assert (again["predicted"], again["kept"]) == (["first"], ["second"])
    os.utime(cases / "second.nii.gz", (4e9, 4e9))
    again = json.loads(osteomet("predict", "--model", name, "--input", cases, "--out", out, "--json").out)
    assert (again["predicted"], again["kept"]) == (["second"], ["first"])


def test_a_folder_keeps_its_folds_and_comes_back_from_its_zip(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    assert osteomet("model", "import", FOLDER, "--name", "mr").code == 0
    part = read_package(models / "mr").description.nnunet
    assert part is not None
    assert part.weights == ("weights/fold_0.safetensors", "weights/fold_1.safetensors")
    assert part.spacing_mm == (None, 1.0, 1.0)
    exported = osteomet("model", "export", "mr", tmp_path / "mr.zip", "--json")
    assert exported.code == 0, exported.err
    sha256 = json.loads(exported.out)["sha256"]
    assert read_package(tmp_path / "mr.zip").sha256 == sha256
    assert osteomet("model", "export", "mr", tmp_path / "again.zip").code == 0
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "mr.zip").read_bytes()
    shutil.rmtree(models / "mr")
    assert json.loads(osteomet("model", "import", tmp_path / "mr.zip", "--json").out)["sha256"] == sha256


def test_a_package_of_ours_can_be_exported_and_imported(
    osteomet: Osteomet, models: Path, shipped: Path, tmp_path: Path
) -> None:
    assert osteomet("model", "export", "ours", tmp_path / "ours.zip").code == 0
    taken = osteomet("model", "import", tmp_path / "ours.zip")
    assert taken.code == 2
    assert "there is a model 'ours' already; remedy: pass --name" in taken.err
    assert osteomet("model", "import", tmp_path / "ours.zip", "--name", "mine").code == 0
    ours, mine = read_package(shipped / "ours"), read_package(models / "mine")
    assert mine.description.files == ours.description.files


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden"])
def test_names_that_are_no_file_names(osteomet: Osteomet, name: str, models: Path) -> None:
    outcome = osteomet("model", "import", FOLDER, "--name", name or " ")
    assert outcome.code == 2
    assert "cannot have this name" in outcome.err
    assert not models.exists()


def test_export_refuses_what_exists_and_what_is_no_zip(osteomet: Osteomet, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    for file, message in (("a.zip", "exists already"), ("a.tar", "expected a name that ends in .zip")):
        outcome = osteomet("model", "export", "ours", tmp_path / file)
        assert outcome.code == 2
        assert message in outcome.err
    assert (tmp_path / "a.zip").read_text() == "mine"


def refused(osteomet: Osteomet, source: Path, models: Path) -> str:
    """Message of an import that ends with exit code 4 and leaves nothing."""
    outcome = osteomet("model", "import", source)
    assert outcome.code == 4, outcome.err
    assert "Traceback" not in outcome.err
    assert "remedy: " in outcome.err
    assert not models.exists()
    return outcome.err


def test_a_truncated_zip_is_refused(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ZIP.read_bytes()[:40000])
    assert "not a readable zip" in refused(osteomet, tmp_path / "a.zip", models)


def test_a_tampered_checkpoint_is_refused(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "trained"))
    path = folder / "fold_1/checkpoint_final.pth"
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size if "/data/" in e.filename else 0)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 200] ^= 1
    path.write_bytes(bytes(data))
    message = refused(osteomet, folder, models)
    assert "fold_1/checkpoint_final.pth is damaged or was changed; got wrong checksum" in message


def test_a_checkpoint_that_calls_code_is_refused(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "trained"))
    path, touched = folder / "fold_0/checkpoint_final.pth", tmp_path / "touched"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {touched}",)

    with zipfile.ZipFile(path) as source:
        files = {entry.filename: source.read(entry) for entry in source.infolist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, data in files.items():
            target.writestr(name, pickle.dumps(Evil(), protocol=2) if name.endswith("data.pkl") else data)
    assert "got posix.system" in refused(osteomet, folder, models)
    assert not touched.exists()


def test_a_path_that_leads_out_is_refused(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    shutil.copy(ZIP, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("../evil.py", "x")
    assert "leads out of the model package" in refused(osteomet, tmp_path / "a.zip", models)


def test_weights_of_another_network_are_refused(osteomet: Osteomet, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "trained"))
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 6, 10]
    (folder / "plans.json").write_text(json.dumps(plans))
    message = refused(osteomet, folder, models)
    assert "does not fit the network that it describes; expected encoder.2.0.conv.bias of shape (10,)" in message


def test_an_imported_package_that_was_changed_is_refused(
    osteomet: Osteomet, models: Path, cases: Path, tmp_path: Path
) -> None:
    assert osteomet("model", "import", ZIP, "--name", "ct").code == 0
    path = models / "ct/weights/fold_0.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    for command in (
        ("model", "show", "ct"),
        ("model", "export", "ct", tmp_path / "ct.zip"),
        ("predict", "--model", "ct", "--input", cases, "--out", tmp_path / "out"),
    ):
        outcome = osteomet(*command)
        assert outcome.code == 4
        assert "fold_0.safetensors is damaged or was changed; expected SHA-256" in outcome.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "ct.zip").exists()


def test_the_two_kinds_of_models_have_a_command_each(osteomet: Osteomet, cases: Path, tmp_path: Path) -> None:
    outcome = osteomet("predict", "--model", "ours", "--input", cases, "--out", tmp_path / "out")
    assert outcome.code == 4
    assert "was not trained by nnU-Net" in outcome.err
    assert osteomet("model", "import", ZIP, "--name", "ct").code == 0
    scan = cases / "second.nii.gz"
    outcome = osteomet("analyze", scan, "--model", "ct", "--out", tmp_path / "out")
    assert outcome.code == 4
    assert "model 'ct' cannot analyse a scan" in outcome.err
    assert not (tmp_path / "out").exists()


def test_folders_that_are_not_of_this_model(osteomet: Osteomet, cases: Path, tmp_path: Path) -> None:
    assert osteomet("model", "import", ZIP, "--name", "ct").code == 0
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    command = ("predict", "--model", "ct", "--input", cases, "--out", out)
    assert "holds files of something else" in osteomet(*command).err
    (out / "thesis.txt").unlink()
    (out / "prediction.json").write_text('{"model_sha256": "abc"}')
    outcome = osteomet(*command)
    assert outcome.code == 2
    assert "holds predictions of another model" in outcome.err
    assert "got SHA-256 abc" in outcome.err


def test_cases_that_cannot_be_used(osteomet: Osteomet, cases: Path, tmp_path: Path) -> None:
    assert osteomet("model", "import", ZIP, "--name", "ct").code == 0
    out = tmp_path / "out"
    command = ("predict", "--model", "ct", "--input", cases, "--out", out)
    shutil.copy(cases / "second.nii.gz", cases / "first_0001.nii.gz")
    outcome = osteomet(*command)
    assert outcome.code == 3
    assert "case “first” does not have one image for each channel of the model; expected first_0000; got" in outcome.err
    assert not out.exists()
    (cases / "first_0001.nii.gz").unlink()
    (cases / "second.nii.gz").write_bytes(b"no image")
    outcome = osteomet(*command)
    assert outcome.code == 3
    assert "case “second”: " in outcome.err
    assert (out / "first.nii.gz").is_file()
    outcome = osteomet("predict", "--model", "ct", "--input", tmp_path / "nothing", "--out", out)
    assert outcome.code == 3
