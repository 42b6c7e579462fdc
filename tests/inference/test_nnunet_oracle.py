"""Against nnU-Net's own predictor, where nnunetv2 is installed."""

import json
import shutil
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import reordered, stored

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.inference.engine import load_nnunet_engines
from osteomet.inference.nnunet.predict import segment_case
from osteomet.inference.nnunet.prepare import prepare_case
from osteomet.io.formats import read_volume, write_labels, write_volume
from osteomet.io.nnunet_plans import describe_part
from osteomet.pipeline.models import import_model

DATA = Path(__file__).parents[1] / "data/nnunet"
FOLDER = DATA / "nnUNetTrainer__nnUNetPlans__2d"
ZIP = DATA / "Dataset501_SyntheticCT.zip"
CASCADE = "3d_cascade_fullres"


@pytest.fixture(scope="module")
def oracle() -> Any:
    """The predictor of nnU-Net; its search for trainers imports a module that needs timm."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setitem(sys.modules, "timm", types.ModuleType("timm"))
        return pytest.importorskip("nnunetv2.inference.predict_from_raw_data", reason="nnunetv2 is not installed")


def theirs(oracle: Any, folder: Path, source: Path, out: Path) -> None:
    out.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictor = oracle.nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(folder), None)
        predictor.predict_from_files_sequential(str(source), str(out))


def ct(shape: tuple[int, int, int], spacing: tuple[float, float, float], seed: int) -> Volume:
    """Soft tissue with noise, a ball of bone, and a lesion in it."""
    rng = np.random.default_rng(seed)
    grid = Grid.from_spacing(shape, spacing, origin_mm=(-10.0, 5.0, 20.0))
    far = np.linalg.norm(grid.to_xyz_mm(np.argwhere(np.ones(shape))) - grid.to_xyz_mm(np.array(shape) / 2), axis=1)
    far = far.reshape(shape)
    values = np.where(far < 4, 60.0, np.where(far < 9, 500.0, 40.0)) + rng.normal(0, 25, shape)
    return Volume(values.astype(np.int16), grid, Modality.CT, Unit.HU)


def write_cases(folder: Path) -> None:
    folder.mkdir()
    write_volume(ct((37, 30, 21), (1.0, 1.3, 1.6), 1), folder / "fine_0000.nii.gz")
    write_volume(ct((30, 34, 9), (1.1, 1.1, 4.5), 2), folder / "thick_0000.nii.gz")
    write_volume(ct((12, 40, 30), (2.0, 0.7, 0.9), 3), folder / "small_0000.nii.gz")
    turned = reordered(ct((32, 30, 18), (1.2, 1.2, 1.6), 4), order=(2, 0, 1), flips=(0, 1))
    write_volume(turned, folder / "turned_0000.nii.gz")


@pytest.mark.oracle
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image_reader_writer": "NibabelIOWithReorient"},
        {"transpose_forward": [2, 0, 1], "transpose_backward": [1, 2, 0]},
    ],
    ids=["as trained", "turned to RAS", "transposed"],
)
def test_volumes(oracle: Any, changes: dict[str, Any], tmp_path: Path, cache_dir: Path) -> None:
    shutil.unpack_archive(ZIP, tmp_path / "results")
    folder = next((tmp_path / "results").rglob("plans.json")).parent
    plans = json.loads((folder / "plans.json").read_text()) | changes
    (folder / "plans.json").write_text(json.dumps(plans))
    write_cases(tmp_path / "in")
    theirs(oracle, folder, tmp_path / "in", tmp_path / "out")
    compare(folder, tmp_path, ["fine", "thick", "small", "turned"], cache_dir)


@pytest.mark.oracle
def test_slices_of_two_channels(oracle: Any, tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "in").mkdir()
    for path in (DATA / "images").glob("mr_*"):
        shutil.copy(path, tmp_path / "in")
        image = read_volume(path, modality=Modality.MR)
        write_volume(reordered(image, order=(0, 2, 1), flips=(2,)), tmp_path / "in" / path.name.replace("mr", "turned"))
    theirs(oracle, FOLDER, tmp_path / "in", tmp_path / "out")
    compare(FOLDER, tmp_path, ["mr", "turned"], cache_dir)


@pytest.mark.oracle
@pytest.mark.parametrize("spacing", [[1.6, 1.2, 1.2], [1.1, 0.9, 1.7], [6.0, 1.0, 1.0]], ids=["like", "finer", "thick"])
@pytest.mark.usefixtures("oracle")
def test_what_the_second_stage_of_a_cascade_sees(spacing: list[float], tmp_path: Path) -> None:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    shutil.unpack_archive(ZIP, tmp_path / "results")
    folder = next((tmp_path / "results").rglob("plans.json")).parent
    plans, dataset = (json.loads((folder / name).read_text()) for name in ("plans.json", "dataset.json"))
    settings = plans["configurations"]["3d_fullres"]
    plans["configurations"]["3d_lowres"] = settings | {"spacing": [2.0, 2.0, 2.0]}
    plans["configurations"][CASCADE] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    settings["spacing"] = spacing
    image = ct((37, 30, 21), (1.0, 1.3, 1.6), 1)
    said = np.where(image.array > 300, 1, np.where(image.array > 55, 2, 0)).astype(np.uint8)
    labels = LabelMap(said, image.grid, {"bone": 1, "lesion": 2})
    write_volume(image, tmp_path / "image.nii.gz")
    write_labels(labels, tmp_path / "labels.nii.gz")

    manager = PlansManager(plans)
    data, segmentation, _ = DefaultPreprocessor(verbose=False).run_case(
        [str(tmp_path / "image.nii.gz")],
        str(tmp_path / "labels.nii.gz"),
        manager,
        manager.get_configuration(CASCADE),
        dataset,
    )
    theirs = np.vstack((data, convert_labelmap_to_one_hot(segmentation[0], [1, 2], data.dtype)))
    first = describe_part(plans, dataset, "3d_lowres", ())
    part = describe_part(plans, dataset, CASCADE, (), first=first)
    ours = prepare_case([image], part, labels).image
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-4)
    assert theirs[1:].sum() > 1000
    assert np.mean(ours[1:] != theirs[1:]) < 1e-4


def compare(folder: Path, tmp_path: Path, cases: list[str], cache_dir: Path) -> None:
    """Every case agrees in 99.9 % of its voxels, and each label in 99 % of its own."""
    package = import_model(folder, tmp_path / "models", name="toy", configuration=None)
    part = package.description.nnunet
    assert part is not None
    (engine,) = load_nnunet_engines(package, device="cpu", cache_dir=cache_dir)
    present: set[int] = set()
    for case in cases:
        files = sorted((tmp_path / "in").glob(f"{case}_*"))
        found = segment_case(engine, part, [read_volume(file, modality=package.description.modality) for file in files])
        expected = np.asarray(stored(tmp_path / "out" / f"{case}.nii.gz").dataobj)
        assert (found.array == expected).mean() >= 0.999, case
        present |= set(np.unique(expected).tolist())
    assert present >= {0, 1}
