"""The recipe that trains nnU-Net: the settings of the paper, its scales, and keys that are refused by name."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from osteomet.core.errors import UsageError
from osteomet.training.nnunet.recipe import read_nnunet
from osteomet.training.recipe import task_of

TEXT = (resources.files("osteomet") / "recipes" / "edelmers2024.toml").read_text(encoding="utf-8")


def test_the_recipe_holds_what_the_paper_states() -> None:
    study = read_nnunet("edelmers2024")
    assert task_of("edelmers2024") == "nnU-Net study"
    assert study.plans.configurations == ("2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres")
    assert (study.split.n_folds, study.training.n_epochs, study.training.loss) == (5, 250, "Dice + cross-entropy")
    assert len(study.vertebrae.classes) == 25
    assert study.vertebrae.labels["C1"] == 1
    assert study.vertebrae.labels["sacrum"] == 25
    assert study.vertebrae.joined == {"coccyx": "sacrum"}
    assert study.metastases.labels == {"lytic": 1, "sclerotic": 2}
    assert study.data.file_ending == ".nrrd"


def test_a_scale_changes_what_it_names_alone() -> None:
    study = read_nnunet("edelmers2024")
    assert study.scaled("full") == study
    smoke = study.scaled("smoke")
    assert (smoke.split.n_folds, smoke.training.n_epochs, smoke.plans.base_features) == (2, 2, 4)
    assert smoke.vertebrae.classes[0] == "T12"
    assert smoke.metastases == study.metastases
    assert smoke.split.seed == study.split.seed


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (swap("n_epochs = 250", "n_epochs = 0"), r"has a wrong key; got training\.n_epochs: "),
        (swap("n_folds = 5", "folds = 5"), r"got split\.n_folds: Field required"),
        (swap('"3d_lowres", ', ""), r"expected plans\.configurations: 3d_lowres and 3d_fullres beside 3d_cascade"),
        (swap('"2d", ', '"4d", '), r"got plans\.configurations\.0: "),
        (swap('"C1", "C2"', '"C1", "C1"'), r"expected vertebrae\.classes: some of .*, each once; got C1, C1, C3"),
        (swap('["lytic", "sclerotic"]', '["lytic", "mixed"]'), r"expected metastases\.classes: .*; got mixed"),
        (swap('coccyx = "sacrum"', 'coccyx = "pelvis"'), r"expected vertebrae\.joined: classes of the stage; got pelv"),
        (swap('file_ending = ".nrrd"', 'file_ending = ".png"'), r"got data\.file_ending: "),
        (swap('["T12", "L1", "L2"', '["T12", "T12"'), r"at scale smoke has a wrong key; expected vertebrae\.classes: "),
        (swap("split = { n_folds = 2 }", "split = { n_folds = 1 }"), r"at scale smoke .*split\.n_folds: "),
        (
            swap('"3d_fullres", "3d_cascade_fullres"]', '"3d_fullres"]'),
            r"expected metastases\.reported: some of 2d, 3d_lowres, 3d_fullres; got 3d_cascade_fullres",
        ),
    ],
)
def test_a_wrong_key_is_named(edit: Callable[[str], str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(edit(TEXT), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_nnunet(str(path))
