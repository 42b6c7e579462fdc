import json
import shutil
import zipfile
from pathlib import Path

import pytest

from osteomet.core.errors import ModelError, UsageError
from osteomet.io.nnunet_folder import holds_nnunet, read_trained_folder
from osteomet.io.package_files import list_files

DATA = Path(__file__).parents[1] / "data/nnunet"
FOLDER = DATA / "nnUNetTrainer__nnUNetPlans__2d"
ZIP = DATA / "Dataset501_SyntheticCT.zip"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "results" / FOLDER.name))


def test_a_folder() -> None:
    found = read_trained_folder(FOLDER, configuration=None)
    assert found.checkpoints == {"0": "fold_0/checkpoint_final.pth", "1": "fold_1/checkpoint_final.pth"}
    assert found.dataset["channel_names"] == {"0": "T1", "1": "T2"}
    assert list(found.plans["configurations"]) == ["2d"]


def test_a_zip_with_the_folders_above() -> None:
    found = read_trained_folder(ZIP, configuration=None)
    top = "Dataset501_SyntheticCT/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres"
    assert found.checkpoints == {"0": f"{top}/fold_0/checkpoint_final.pth"}


def test_the_final_checkpoint_goes_before_the_best_and_numbered_folds_before_all(trained: Path) -> None:
    shutil.copytree(trained / "fold_0", trained / "fold_all")
    shutil.copy(trained / "fold_1/checkpoint_final.pth", trained / "fold_0/checkpoint_best.pth")
    (trained / "fold_1/checkpoint_final.pth").rename(trained / "fold_1/checkpoint_best.pth")
    found = read_trained_folder(trained, configuration=None)
    assert found.checkpoints == {"0": "fold_0/checkpoint_final.pth", "1": "fold_1/checkpoint_best.pth"}
    for fold in ("fold_0", "fold_1"):
        shutil.rmtree(trained / fold)
    assert read_trained_folder(trained, configuration=None).checkpoints == {"all": "fold_all/checkpoint_final.pth"}


def test_checkpoints_elsewhere_do_not_count(trained: Path) -> None:
    shutil.copytree(trained / "fold_0", trained / "old" / "fold_2")
    assert set(read_trained_folder(trained, configuration=None).checkpoints) == {"0", "1"}


def test_several_configurations(trained: Path) -> None:
    shutil.copytree(trained, trained.with_name("nnUNetTrainer__nnUNetPlans__3d_fullres"))
    top = trained.parent
    with pytest.raises(UsageError, match=r"several configurations here; expected one of .*2d, .*3d_fullres.*--conf"):
        read_trained_folder(top, configuration=None)
    with pytest.raises(UsageError, match=r"did not train that configuration here.*got 3d_lowres"):
        read_trained_folder(top, configuration="3d_lowres")
    found = read_trained_folder(top, configuration="2d")
    assert found.checkpoints["0"] == f"{FOLDER.name}/fold_0/checkpoint_final.pth"


def test_what_nnunet_did_not_train(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    assert not holds_nnunet(list_files(tmp_path))
    (tmp_path / "plans.json").write_text("{}")
    assert holds_nnunet(list_files(tmp_path))
    with pytest.raises(ModelError, match=r"holds nothing that nnU-Net v2 trained; expected plans\.json.*got 2 files"):
        read_trained_folder(tmp_path, configuration=None)
    with pytest.raises(ModelError, match="there is no model package at"):
        read_trained_folder(tmp_path / "nothing", configuration=None)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "is not a JSON object; got list")])
def test_damaged_documents(trained: Path, text: str, message: str) -> None:
    (trained / "plans.json").write_text(text)
    with pytest.raises(ModelError, match=f"plans.json {message}"):
        read_trained_folder(trained, configuration=None)


def test_a_truncated_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(ZIP.read_bytes()[:-500])
    with pytest.raises(ModelError, match="not a readable zip"):
        read_trained_folder(path, configuration=None)


def test_a_zip_that_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = bytearray(ZIP.read_bytes())
    with zipfile.ZipFile(ZIP) as archive:
        entry = next(e for e in archive.infolist() if e.filename.endswith("plans.json"))
        start = entry.header_offset + 30 + len(entry.filename) + 20
    data[start] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not a readable zip"):
        read_trained_folder(path, configuration=None)


def test_a_path_that_leads_out(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    shutil.copy(ZIP, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.py", json.dumps("x"))
    with pytest.raises(ModelError, match=r"leads out of the model package; got '\.\./\.\./evil\.py'"):
        read_trained_folder(path, configuration=None)
    assert not (tmp_path.parent / "evil.py").exists()


def test_a_link_is_refused(trained: Path) -> None:
    (trained / "fold_0" / "checkpoint_best.pth").symlink_to(trained / "fold_1" / "checkpoint_final.pth")
    with pytest.raises(ModelError, match="plain files only"):
        read_trained_folder(trained, configuration=None)
