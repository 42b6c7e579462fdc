"""The loop on a task small enough to see through: bright squares in noise."""

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from osteomet.core.errors import OsteometError, UsageError
from osteomet.core.model import PlannedUNetSpec
from osteomet.nn.nearest_unet import NearestUNet
from osteomet.nn.planned_unet import PlannedUNet
from osteomet.nn.residual_attention_unet import ResidualAttentionUNet
from osteomet.nn.unet import SubvoxelUNet3d
from osteomet.training import checkpoint
from osteomet.training.fit import Batch, Task, fit
from osteomet.training.log import Progress, Validation
from osteomet.training.processes import Team
from osteomet.training.settings import FitSettings, learning_rate

SETTINGS = FitSettings(
    n_steps=6, learning_rate=0.01, warm_up_steps=2, gradient_clip=5.0, ema_decay=0.9, mixed_precision=False,
    evaluate_every=2, log_every=1, checkpoint_every=2,
)  # fmt: skip


def squares(step: int, n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng([9, step])
    targets = np.zeros((n, 16, 16), np.int64)
    for target in targets:
        i, j = rng.integers(0, 10, 2)
        target[i : i + 6, j : j + 6] = 1
    images = targets + rng.normal(0, 0.1, targets.shape)
    return torch.from_numpy(images[:, None].astype(np.float32)), torch.from_numpy(targets)


def task(team: Team = Team(), **changes: Any) -> Task:  # noqa: B008 - immutable
    def batches(start: int) -> Iterator[Batch]:
        for step in range(start, 1000):
            images, targets = squares(step)
            mine = list(team.share(len(images)))
            yield Batch(images[mine], targets[mine], (f"squares {step}",))

    def evaluate(network: nn.Module) -> Validation:
        images, targets = squares(5000, 8)
        with torch.no_grad():
            called = network(images).argmax(dim=1)
        overlap, sizes = (called * targets).sum(), called.sum() + targets.sum()
        return Validation(0.0, float(2 * overlap / sizes))

    torch.manual_seed(4)
    return replace(Task("squares", NearestUNet(2, 1, 2, (8, 16)), batches, evaluate), **changes)


def rows(path: Path, *columns: str) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8") as file:
        return [tuple(row[c] for c in columns) for row in csv.DictReader(file)]


def ignore(_: Progress) -> None:
    pass


def test_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    """Stopped at step 5, after the checkpoint of step 4: losses, evaluations and weights are those of one run."""

    def stop(line: Progress) -> None:
        if line.step == 5:
            raise KeyboardInterrupt

    whole = fit(task(), SETTINGS, tmp_path / "whole", device="cpu", report=ignore)
    with pytest.raises(KeyboardInterrupt):
        fit(task(), SETTINGS, tmp_path / "stopped", device="cpu", report=stop)
    resumed = fit(task(), SETTINGS, tmp_path / "stopped", device="cpu", report=ignore)
    for name, columns in (("log.csv", ("step", "loss", "pseudo_dice")), ("validation.csv", ("step", "loss", "dice"))):
        assert rows(tmp_path / "stopped" / name, *columns) == rows(tmp_path / "whole" / name, *columns)
    assert [step for (step,) in rows(tmp_path / "whole" / "validation.csv", "step")] == ["2", "4", "6"]
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: NearestUNet(2, 1, 2, (8, 16), deep=True),
        lambda: NearestUNet(3, 1, 2, (8, 16)),
        lambda: ResidualAttentionUNet(1, 2, (8, 16)),
        lambda: SubvoxelUNet3d(1, 2, (16, 32)),
        lambda: PlannedUNet(planned("plain_conv_unet", 2)),
        lambda: PlannedUNet(planned("residual_encoder_unet", 3)),
    ],
    ids=["2D, deep supervision", "3D", "residual attention", "half resolution", "planned 2D", "planned residual 3D"],
)
def test_one_case_is_learnt_by_heart(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    """Of every network that segments: after at most 150 steps on one image, the image itself has a Dice above 0.99."""
    torch.manual_seed(4)
    network = build()
    images, targets = squares(0, 1)
    if next(network.parameters()).ndim == 5:
        images, targets = images[..., None].repeat(1, 1, 1, 1, 8), targets[..., None].repeat(1, 1, 1, 8)

    def batches(_start: int) -> Iterator[Batch]:
        while True:
            yield Batch(images, targets, ("one",))

    def evaluate(network: nn.Module) -> Validation:
        with torch.no_grad():
            called = network(images).argmax(dim=1)
        return Validation(0.0, float(2 * (called * targets).sum() / (called.sum() + targets.sum())))

    settings = replace(SETTINGS, n_steps=150, evaluate_every=25, ema_decay=0.0, checkpoint_every=150)
    one = task(batches=batches, evaluate=evaluate, network=network)
    fit(one, settings, tmp_path, device="cpu", report=ignore)
    assert max(float(dice) for (dice,) in rows(tmp_path / "validation.csv", "dice")) > 0.99


def planned(kind: Literal["plain_conv_unet", "residual_encoder_unet"], n_axes: int) -> PlannedUNetSpec:
    """Two stages of a network of nnU-Net."""
    ones, twos, threes = ((n,) * n_axes for n in (1, 2, 3))
    return PlannedUNetSpec(
        kind,
        n_inputs=1,
        n_outputs=2,
        features=(8, 16),
        kernels=(threes, threes),
        strides=(ones, twos),
        blocks=(1, 1),
        decoder_blocks=(1,),
        bias=True,
        epsilon=1e-5,
        slope=0.01,
    )


def test_it_ends_early_with_the_best_weights(tmp_path: Path) -> None:
    """Dice of 0.5, 0.7, then 0.6 for ever: with a patience of 2 it ends at the fourth evaluation."""
    dice = iter([0.5, 0.7, 0.6, 0.6, 0.6])
    seen: list[float] = []

    def evaluate(network: nn.Module) -> Validation:
        seen.append(float(next(network.parameters()).detach().sum()))
        return Validation(1.0, next(dice))

    settings = replace(SETTINGS, n_steps=100, evaluate_every=1, patience=2)
    weights = fit(task(evaluate=evaluate), settings, tmp_path, device="cpu", report=ignore)
    assert rows(tmp_path / "validation.csv", "step", "dice")[-1] == ("4", "0.60000")
    first = task().network.state_dict()
    assert float(weights[next(iter(first))].sum()) == pytest.approx(seen[1])
    again = fit(task(evaluate=evaluate), settings, tmp_path, device="cpu", report=ignore)
    assert len(seen) == 4
    name = next(iter(first))
    np.testing.assert_array_equal(weights[name], again[name])


def test_a_loss_that_is_no_number_names_the_case(tmp_path: Path) -> None:
    def batches(_start: int) -> Iterator[Batch]:
        images, targets = squares(0)
        yield Batch(images * float("nan"), targets, ("case_7", "case_9"))

    with pytest.raises(OsteometError, match=r"loss of squares .* at step 0; got nan on case_7, case_9; remedy"):
        fit(task(batches=batches), SETTINGS, tmp_path, device="cpu", report=ignore)


def test_a_device_without_memory_is_told_with_the_remedy(tmp_path: Path) -> None:
    class Large(NearestUNet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        OsteometError, match=r"no memory left for squares; got a batch of 4 × \(1, 16, 16\); remedy: make"
    ):
        fit(task(network=Large(2, 1, 2, (8, 8))), SETTINGS, tmp_path, device="cpu", report=ignore)


def test_a_full_disk_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", refuse)
    with pytest.raises(OsteometError, match=r"could not be written; got No space left on device; remedy: free space"):
        fit(task(), replace(SETTINGS, evaluate_every=0), tmp_path, device="cpu", report=ignore)


def test_rates_by_hand() -> None:
    """Warm-up of 2 steps, then 10: half-way a cosine is at 1 % + 99 %/2, a polynomial at 0.5 ** 0.9."""
    settings = replace(SETTINGS, n_steps=12)
    half = [learning_rate(7, replace(settings, schedule=s)) for s in ("cosine", "polynomial", "constant")]
    assert half == pytest.approx([0.01 * (0.01 + 0.99 / 2), 0.01 * 0.5**0.9, 0.01])


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a batch that 3 divides; got 4"):
        Team(0, 3).share(4)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import numpy as np
import torch
from test_fit import SETTINGS, ignore, task
from osteomet.training.fit import fit
from osteomet.training.processes import join_team

torch.set_num_threads(1)
team, device = join_team("cpu")
weights = fit(task(team), SETTINGS, Path(sys.argv[1]), device=device, report=ignore, team=team)
np.savez(Path(sys.argv[1]) / f"rank{{team.rank}}of{{team.size}}.npz", **weights)
"""


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(tmp_path)], check=True, capture_output=True, timeout=280)
    alone = fit(task(), SETTINGS, tmp_path / "alone", device="cpu", report=ignore)
    shared = np.load(tmp_path / "rank0of2.npz")
    for name, value in alone.items():
        np.testing.assert_allclose(shared[name], value, atol=2e-5, err_msg=name)
    losses = [np.array(rows(folder / "log.csv", "loss"), float) for folder in (tmp_path, tmp_path / "alone")]
    np.testing.assert_allclose(losses[0], losses[1], atol=2e-5)
