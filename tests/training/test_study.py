"""Recipes of studies: what the shipped one says, and how a wrong key is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osteomet.core.errors import UsageError
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.phantom.cohorts.presets import COHORTS
from osteomet.training import recipe as recipe_module
from osteomet.training.chain import TWO_STEPS, read_chain
from osteomet.training.recipe import task_of
from osteomet.training.study import read_study

TEXT = (Path(recipe_module.__file__).parents[1] / "recipes" / "kim2024.toml").read_text(encoding="utf-8")


def test_kim2024_has_fourteen_models_and_the_preprocessing_of_the_paper() -> None:
    study = read_study("kim2024")
    names = [variant.name for variant in study.all_variants]
    assert len(set(names)) == 14
    assert names[4] == "2D T1+CE"
    assert study.all_variants[4].folder == "2d_t1_ce"
    assert (study.preprocessing.first_side, study.preprocessing.side, study.preprocessing.n_slices) == (256, 224, 24)
    assert study.preprocessing.least_overlap == 0.5
    assert (study.augmentation.rotation_deg, study.augmentation.zoom) == (20.0, (0.9, 1.1))
    assert study.split.test_share == 0.2


def test_a_scale_changes_what_it_names_and_full_nothing() -> None:
    study = read_study("kim2024")
    assert study.scaled("full") == study
    smoke = study.scaled("smoke")
    network = smoke.networks["2d"]
    assert (smoke.preprocessing.side, network.channels, network.n_steps) == (48, (8, 16), 80)
    assert smoke.preprocessing.clahe == study.preprocessing.clahe
    assert smoke.training.settings(network).evaluate_every == 40
    assert network.seed == study.networks["2d"].seed


@pytest.mark.parametrize("name", ["kim2024", "liu2021", "wangh2024-segmentation"])
def test_every_study_of_our_networks_can_be_read_at_every_scale(name: str) -> None:
    study = read_chain(name) if task_of(name) == TWO_STEPS else read_study(name)
    assert study.name == name
    assert set(study.scales) == {"smoke", "small", "full"}
    assert study.scaled("full") == study
    sizes = [study.scaled(scale).preprocessing for scale in ("smoke", "small", "full")]
    assert sizes[0].side < sizes[1].side <= sizes[2].side
    assert study.cohort in COHORTS
    assert study.protocol in PROTOCOLS


def test_wangh2024_goes_from_512_with_16_channels_to_32() -> None:
    study = read_study("wangh2024-segmentation")
    network = study.networks["2d"]
    assert (study.preprocessing.side, network.channels[0]) == (512, 16)
    assert study.preprocessing.side // 2 ** (len(network.channels) - 1) == 32
    assert study.region_growing is not None
    assert study.region_growing.search_factor == 5.0


def test_the_kind_of_a_recipe() -> None:
    assert task_of("kim2024") == "segmentation study"
    assert task_of("liu2021") == "two-step study"
    assert task_of("wangh2024-segmentation") == "segmentation study"
    assert task_of("default-ct") == ""


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (swap("test_share = 0.2", "test_share = 0"), r"has a wrong key; got split\.test_share: "),
        (swap("rotation_deg", "rotate"), r"has a wrong key; got augmentation\.rotate: "),
        (swap('registration = "rigid"', 'registration = "affine"'), r"got preprocessing\.registration: "),
        (swap('[["T1"], ', '[["T2"], '), r"expected variants\.inputs: some of T1, FO, CE; got \['T2'\]"),
        (swap('"2D CE"]', '"2D DWI"]'), r"expected variants\.selected: some of .*; got 2D DWI"),
        (
            swap("side = 224", "side = 220"),
            r"expected networks\.2d\.channels: sides that 16 divides at scale \w+; got \[220\]",
        ),
        (
            swap("[32, 64, 128, 256]", "[30, 64, 128, 256]"),
            r"expected networks\.3d\.channels: multiples of 8 at scale ",
        ),
        (swap("patients = 10", "patients = 3"), r"got scales\.smoke\.patients: "),
        (swap("[networks.2d]", "[networks.4d]"), r"expected networks: 2d and 3d; got 4d and 3d"),
        (
            swap("{ first_side = 64,", "{ first_edge = 64,"),
            r"kim2024 at scale smoke .* got preprocessing\.first_edge: ",
        ),
        (swap("n_slices = 24\n", ""), r"expected preprocessing\.n_slices: a number for 3D networks"),
    ],
)
def test_a_wrong_key_is_named(edit: Callable[[str], str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(edit(TEXT), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_study(str(path))
