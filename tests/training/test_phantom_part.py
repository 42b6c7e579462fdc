"""Networks that learn from phantoms: a stopped run goes on as if it had not stopped, with the samples of its number."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteomet.training import phantom_part
from osteomet.training.log import Progress
from osteomet.training.phantom_part import fit_part
from osteomet.training.recipe import OptimiserRecipe, PartRecipe, read_recipe
from osteomet.training.samples import Sample

OPTIMISER = OptimiserRecipe(learning_rate=0.01, weight_decay=1e-4, warm_up_steps=2, gradient_clip=5.0, ema_decay=0.9)


@pytest.fixture(params=["default-ct"])
def recipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PartRecipe:
    monkeypatch.setattr(phantom_part, "_LOG_EVERY", 1)
    monkeypatch.setattr(phantom_part, "_CHECKPOINT_EVERY", 2)
    part = read_recipe(request.param).lesions
    return replace(part, patch=(16, 16, 16), channels=(8, 16), batch=3, n_steps=5, n_metastases=3)


def steps(folder: Path) -> list[tuple[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


def ignore(_: Progress) -> None:
    pass


def stop_after_three(line: Progress) -> None:
    if line.step == 3:
        raise KeyboardInterrupt


@pytest.mark.parametrize("recipe", ["default-ct", "default-mr"], indirect=True)
def test_a_stopped_run_goes_on_exactly(recipe: PartRecipe, tmp_path: Path) -> None:
    """Stopped at step 3, after the checkpoint of step 2: losses and weights equal those of a run in one go."""
    whole = fit_part("lesions", recipe, OPTIMISER, tmp_path / "whole", device="cpu", report=ignore)
    with pytest.raises(KeyboardInterrupt):
        fit_part("lesions", recipe, OPTIMISER, tmp_path / "stopped", device="cpu", report=stop_after_three)
    resumed = fit_part("lesions", recipe, OPTIMISER, tmp_path / "stopped", device="cpu", report=ignore)
    assert [step for step, _ in steps(tmp_path / "whole")] == ["1", "2", "3", "4", "5"]
    assert steps(tmp_path / "stopped") == steps(tmp_path / "whole")
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_finished_run_returns_its_weights_again(recipe: PartRecipe, tmp_path: Path) -> None:
    short = replace(recipe, n_steps=2)
    first = fit_part("lesions", short, OPTIMISER, tmp_path, device="cpu", report=ignore)
    again = fit_part("lesions", short, OPTIMISER, tmp_path, device="cpu", report=ignore)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert len(steps(tmp_path)) == 2


def test_a_training_goes_on_from_the_weights_of_a_model(recipe: PartRecipe, tmp_path: Path) -> None:
    """No step from given weights leaves them as they are; the first loss is theirs, not that of fresh ones."""
    first = fit_part("lesions", recipe, OPTIMISER, tmp_path / "first", device="cpu", report=ignore)
    none = replace(recipe, n_steps=0)
    same = fit_part("lesions", none, OPTIMISER, tmp_path / "none", device="cpu", report=ignore, weights=first)
    for name, value in first.items():
        np.testing.assert_array_equal(same[name], value, err_msg=name)
    fit_part("lesions", recipe, OPTIMISER, tmp_path / "further", device="cpu", report=ignore, weights=first)
    assert steps(tmp_path / "further") != steps(tmp_path / "first")


def test_a_share_of_the_samples_comes_from_backgrounds(recipe: PartRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of 40 samples, drawn by number: the same ones each time."""
    image = np.zeros((2, 2, 2), np.float32)
    drawn: list[int] = []

    def draw(_part: str, _backgrounds: object, _recipe: object, number: int) -> Sample:
        drawn.append(number)
        return Sample(image, image.astype(np.uint8), None)

    monkeypatch.setattr(phantom_part, "draw_background_sample", draw)
    monkeypatch.setattr(phantom_part, "draw_sample", lambda *_: Sample(image, image.astype(np.uint8), None))
    mixed = replace(recipe, n_steps=40, background_share=0.5)
    scans: Any = (object(),)
    for _ in range(2):
        samples: Any = phantom_part._Samples("lesions", mixed, scans, 0)
        assert all(samples[n].image_hu is image for n in range(40))
    assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :]
    assert 10 <= len(drawn) // 2 <= 30
    without: Any = phantom_part._Samples("lesions", mixed, (), 0)
    assert all(without[n].image_hu is image for n in range(40))
    assert 10 <= len(drawn) // 2 <= 30
