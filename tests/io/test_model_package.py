import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteomet.core.calibration import ModelCalibration, PlattMap
from osteomet.core.classifier import ClassifierPart, InceptionSpec, ScaledChannel
from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality
from osteomet.io import model_package, package_files
from osteomet.io.model_package import Tensors, find_package, read_package, write_package

WEIGHTS: dict[str, Tensors] = {
    "weights/a.safetensors": {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "weights/b.safetensors": {"head.weight": np.full((2, 3), 0.5, np.float16), "steps": np.array(7, np.int64)},
}
PART = ModelPart(
    name="bones",
    network=NetworkSpec("subvoxel_unet3d", n_inputs=1, n_outputs=2, channels=(8, 16, 32)),
    spacing_mm=(2.5, 2.5, 2.5),
    patch=(32, 32, 64),
    windows=(IntensityWindow(-200.0, 1000.0),),
    near_bone_mm=None,
    outputs=("background", "bone"),
    weights=tuple(WEIGHTS),
)
DESCRIPTION = ModelDescription(
    name="toy",
    version="1",
    task="test",
    modality=Modality.CT,
    parts=(PART,),
    training_data="none",
    training_command="none",
    intended_use="tests",
    limitations="everything",
    licence="Apache-2.0",
    metrics={"dice": 0.5},
    files={},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_package(DESCRIPTION, WEIGHTS, card="# Toy\n", folder=tmp_path / "toy")
    return tmp_path / "toy"


def zipped(folder: Path, target: Path, *, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def edit_description(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(document | changes))


def test_what_is_written_is_read(folder: Path) -> None:
    package = read_package(folder)
    assert package.description == replace(DESCRIPTION, files=package.description.files)
    assert set(package.description.files) == {*WEIGHTS, "card.md"}
    assert package.card == "# Toy\n"
    for name, tensors in WEIGHTS.items():
        assert set(package.weights[name]) == set(tensors)
        for key, tensor in tensors.items():
            assert package.weights[name][key].dtype == tensor.dtype
            np.testing.assert_array_equal(package.weights[name][key], tensor)


def test_weights_of_another_order_in_memory_are_read_as_they_were(tmp_path: Path) -> None:
    """Convolutions that were trained with their channels last lie in memory so."""
    kernels = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    turned = np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not turned.flags.c_contiguous
    description = replace(DESCRIPTION, parts=(replace(PART, weights=("weights/a.safetensors",)),))
    written: dict[str, Tensors] = {"weights/a.safetensors": {"kernels": turned, "steps": np.array(7, np.int64)}}
    write_package(description, written, card="", folder=tmp_path / "toy")
    read = read_package(tmp_path / "toy").weights["weights/a.safetensors"]
    np.testing.assert_array_equal(read["kernels"], kernels)
    assert read["steps"].shape == ()


@pytest.mark.parametrize("prefix", ["", "toy/"])
def test_folder_and_zip_are_one_package(folder: Path, tmp_path: Path, prefix: str) -> None:
    package = read_package(zipped(folder, tmp_path / "toy.zip", prefix=prefix))
    assert package.sha256 == read_package(folder).sha256
    assert package.description == read_package(folder).description


def test_hash_of_the_whole_follows_every_byte(folder: Path, tmp_path: Path) -> None:
    other = dict(WEIGHTS)
    other["weights/a.safetensors"] = {"head.weight": np.zeros((2, 3), np.float32)}
    write_package(DESCRIPTION, other, card="# Toy\n", folder=tmp_path / "other")
    assert read_package(tmp_path / "other").sha256 != read_package(folder).sha256


def test_writing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_package(DESCRIPTION, WEIGHTS, card="# Toy\n", folder=tmp_path / "again")
    assert read_package(tmp_path / "again").sha256 == read_package(folder).sha256


def test_writing_refuses_an_existing_folder(folder: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        write_package(DESCRIPTION, WEIGHTS, card="", folder=folder)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_package(DESCRIPTION, WEIGHTS, card="", folder=tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_weights_that_nobody_names(tmp_path: Path) -> None:
    only_a = replace(DESCRIPTION, parts=(replace(PART, weights=("weights/a.safetensors",)),))
    with pytest.raises(ModelError, match=r"weights and description differ.*b\.safetensors"):
        write_package(only_a, WEIGHTS, card="", folder=tmp_path / "toy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": ("bone", "background")}, "background first"),
        ({"outputs": ("background", "bone", "rib")}, "one for each channel"),
        ({"patch": (32, 32, 30)}, "multiples of 8"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "finite positive spacing"),
        ({"windows": (IntensityWindow(100.0, 100.0),)}, "low end lies below"),
        ({"windows": ()}, "either windows or sequences"),
        ({"sequences": ((SequenceRole.T1,),)}, "either windows or sequences"),
        ({"windows": (), "sequences": ((SequenceRole.T1,), ())}, "a role or more for each sequence"),
        ({"windows": (), "sequences": ((SequenceRole.T1,), (SequenceRole.T1,))}, "none of them twice"),
        ({"windows": (), "sequences": ((SequenceRole.T1,),)}, "2 inputs, one for each window, two for each sequence"),
        ({"windows": (IntensityWindow(0.0, 1.0),) * 2}, "2 inputs, one for each window"),
        ({"near_bone_mm": 5.0}, "2 inputs, one for each window, two for each sequence and one for bones"),
        ({"near_bone_mm": -1.0}, "distance from bone of zero or more"),
        ({"weights": ()}, "at least one file of weights"),
    ],
)
def test_a_part_that_contradicts_itself(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    part = replace(PART, **change)
    weights = {name: WEIGHTS[name] for name in part.weights}
    with pytest.raises(ModelError, match=message):
        write_package(replace(DESCRIPTION, parts=(part,)), weights, card="", folder=tmp_path / "toy")


CLASSIFIER = ClassifierPart(
    InceptionSpec("inception_resnet3d", 3, 2, 0.1, (1, 1, 1), 16),
    (ScaledChannel("peak", 1.0, 0.5), ScaledChannel("area", 30.0, 9.0)),
    side=16,
    edge_mm=2.0,
    classes=("metastasis", "primary"),
    weights=("weights/a.safetensors",),
)


def test_a_classifier_comes_back_as_it_was(tmp_path: Path) -> None:
    description = replace(DESCRIPTION, parts=(), classifier=CLASSIFIER)
    weights = dict.fromkeys(CLASSIFIER.weights, WEIGHTS["weights/a.safetensors"])
    write_package(description, weights, card="", folder=tmp_path / "toy")
    assert read_package(tmp_path / "toy").description.classifier == CLASSIFIER
    with pytest.raises(ModelError, match="at least one part"):
        write_package(replace(description, parts=(PART,)), WEIGHTS, card="", folder=tmp_path / "both")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("metastasis",)}, "two classes or more"),
        ({"classes": ("primary", "primary")}, "two classes or more"),
        ({"channels": CLASSIFIER.channels[:1]}, "an input for each and for the mask"),
        ({"channels": (ScaledChannel("peak", 1.0, 0.0), CLASSIFIER.channels[1])}, "positive standard deviations"),
        ({"channels": (ScaledChannel("peak", float("nan"), 1.0), CLASSIFIER.channels[1])}, "finite means"),
        ({"network": replace(CLASSIFIER.network, width=0.0)}, "a positive width"),
        ({"network": replace(CLASSIFIER.network, blocks=(1, 0, 1))}, "positive numbers of blocks"),
        ({"edge_mm": 0.0}, "finite positive edge"),
        ({"weights": ()}, "at least one file of weights"),
    ],
)
def test_a_classifier_that_contradicts_itself(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    part = replace(CLASSIFIER, **change)
    weights = dict.fromkeys(part.weights, WEIGHTS["weights/a.safetensors"])
    with pytest.raises(ModelError, match=message):
        write_package(replace(DESCRIPTION, parts=(), classifier=part), weights, card="", folder=tmp_path / "toy")


FITTED = PlattMap(-1.5, 0.75, 40, 12)
CALIBRATION = ModelCalibration(FITTED, FITTED, FITTED, "40 phantoms")


def test_a_calibration_and_pictures_are_kept_and_hashed(folder: Path, tmp_path: Path) -> None:
    picture = b"\x89PNG picture"
    target = tmp_path / "calibrated"
    write_package(
        replace(DESCRIPTION, calibration=CALIBRATION),
        WEIGHTS,
        card="# Toy\n",
        folder=target,
        pictures={"pictures/a.png": picture},
    )
    package = read_package(target)
    assert package.description.calibration == CALIBRATION
    assert dict(package.pictures) == {"pictures/a.png": picture}
    assert package.sha256 != read_package(folder).sha256
    (target / "pictures" / "a.png").write_bytes(b"\x89PNG another")
    with pytest.raises(ModelError, match=r"pictures/a\.png is damaged or was changed"):
        read_package(target)


def test_a_package_from_before_calibration_is_read(folder: Path) -> None:
    document = read_json(folder)
    del document["calibration"]
    (folder / "model.json").write_text(json.dumps(document))
    assert read_package(folder).description.calibration is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": -1.0}, "a positive finite slope"),
        ({"slope": 0.0}, "a positive finite slope"),
        ({"intercept": float("inf")}, "a finite intercept"),
        ({"n_positive": 41}, "counts of which one is part of the other"),
    ],
)
def test_a_calibration_that_gives_no_probability(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    calibration = replace(CALIBRATION, exam=replace(FITTED, **change))
    with pytest.raises(ModelError, match=message):
        write_package(replace(DESCRIPTION, calibration=calibration), WEIGHTS, card="", folder=tmp_path / "toy")


def test_two_parts_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="each with its own name"):
        write_package(replace(DESCRIPTION, parts=(PART, PART)), WEIGHTS, card="", folder=tmp_path / "toy")


def test_changed_weights(folder: Path) -> None:
    path = folder / "weights" / "a.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"a\.safetensors is damaged or was changed; expected SHA-256 .*remedy"):
        read_package(folder)


def test_truncated_weights_whose_hash_was_adjusted(folder: Path) -> None:
    path = folder / "weights" / "a.safetensors"
    data = path.read_bytes()[:-3]
    path.write_bytes(data)
    files = dict(read_json(folder)["files"])
    files["weights/a.safetensors"] = model_package._sha256(data)
    edit_description(folder, files=files)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_package(folder)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    weights = {name: {"head.weight": np.array([1.0, np.nan], np.float32)} for name in WEIGHTS}
    write_package(DESCRIPTION, weights, card="", folder=tmp_path / "toy")
    with pytest.raises(ModelError, match=r"'head\.weight' of weights/a\.safetensors cannot be used"):
        read_package(tmp_path / "toy")


def test_missing_and_unlisted_files(folder: Path) -> None:
    (folder / "weights" / "install.py").write_text("print('hello')")
    with pytest.raises(ModelError, match=r"does not list; got \['weights/install\.py'\]; remedy: remove"):
        read_package(folder)
    (folder / "weights" / "install.py").unlink()
    (folder / "card.md").unlink()
    with pytest.raises(ModelError, match=r"lacks files; got no \['card\.md'\]"):
        read_package(folder)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "weights/../../evil", "C:/evil", "a\\b", "./x", "a//b"])
def test_paths_that_lead_out(folder: Path, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(zipped(folder, tmp_path / "toy.zip"), "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelError, match="leads out of the model package"):
        read_package(tmp_path / "toy.zip")
    edit_description(folder, files={**read_json(folder)["files"], name: "0" * 64})
    with pytest.raises(ModelError, match="leads out of the model package"):
        read_package(folder)


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match=r"plain files only; got .*card\.md"):
        read_package(folder)


def test_another_format(folder: Path) -> None:
    edit_description(folder, format="osteomet-model/99")
    with pytest.raises(ModelError, match=r"another format.*expected 'osteomet-model/1'; got 'osteomet-model/99'"):
        read_package(folder)


def test_a_description_with_a_missing_field(folder: Path) -> None:
    document = read_json(folder)
    del document["parts"][0]["patch"]
    (folder / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"does not fit its format; got .* at parts\.0\.patch"):
        read_package(folder)


def test_a_description_that_is_no_json(folder: Path) -> None:
    (folder / "model.json").write_bytes(b"\x80\x04}q\x00.")
    with pytest.raises(ModelError, match=r"model\.json is not JSON"):
        read_package(folder)


def test_places_without_a_package(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model package at"):
        read_package(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"not a model package: it has no model\.json"):
        read_package(tmp_path)
    (tmp_path / "notes.txt").write_text("not a zip")
    with pytest.raises(ModelError, match="not a readable zip"):
        read_package(tmp_path / "notes.txt")


def test_a_damaged_zip(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "toy.zip")
    data = bytearray(path.read_bytes())
    data[45:60] = bytes(15)
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not a readable zip"):
        read_package(path)


def test_a_package_too_large_to_mean(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "MAXIMUM_BYTES", 100)
    for path in (folder, zipped(folder, tmp_path / "toy.zip")):
        with pytest.raises(ModelError, match="larger than any that can be meant"):
            read_package(path)


def test_finding_by_name_or_path(folder: Path) -> None:
    assert find_package(str(folder)) == folder
    with pytest.raises(ModelError, match=r"there is no model 'no-such-model'.*osteomet model list"):
        find_package("no-such-model")


def read_json(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return document
