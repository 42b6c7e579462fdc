"""Iterations a second of our training loop beside nnU-Net's trainer, on the same network, patch, batch and images.

Usage: `python benchmarks/training_speed.py [--rounds N] [--steps N] [--patch A B C] [--features N]`, by an interpreter
that has nnU-Net (`pip install 'osteomet[nnunet]'`). The two take turns in short rounds, so that what else the machine
does falls on both; the ratio of each round is printed, with the median and the range. A profile says how long the
network waited for its next batch. Deep supervision is off on both sides; both load and augment their batches in a
process beside the network, nnU-Net in all three dimensions and in intensity, ours in the plane of the slices alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

from osteomet.core.grid import Grid
from osteomet.core.model import PlannedUNetSpec
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.nnunet_plans import describe_part
from osteomet.nn.augment import Augmentation
from osteomet.nn.planned_unet import PlannedUNet
from osteomet.training.fit import Batch, Task, fit
from osteomet.training.processes import Team
from osteomet.training.settings import FitSettings
from osteomet.training.stacks import Stack, StackTask, _batches

DATASET, CONFIGURATION, LABELS, BATCH, N_CASES = "Dataset001_Blocks", "3d_fullres", {"bone": 1, "lesion": 2}, 2, 4


@dataclass(frozen=True)
class Round:
    """Steps of one round, its seconds on the clock and of this process, and those that it waited for batches."""

    steps: int
    wall_s: float
    processor_s: float
    waited_s: float

    @property
    def rate(self) -> float:
        return self.steps / self.wall_s


def main() -> None:
    asked = parse()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        with (folder / "log.txt").open("w") as log, redirect_stdout(log):
            write_images(folder / "raw" / DATASET, tuple(asked.patch))
            trainer = make_trainer(folder, asked)
        spec = spec_of(trainer)
        print(describe_machine("torch", "nnunetv2"))
        n = sum(p.numel() for p in PlannedUNet(spec).parameters())
        theirs_n = sum(p.numel() for p in trainer.network.parameters())
        print(f"patch {asked.patch}, batch {BATCH}, features {spec.features}, {n:,} parameters (theirs {theirs_n:,})")
        pairs = []
        for number in range(asked.rounds):
            theirs = time_theirs(trainer, asked.steps)
            ours = time_ours(folder, spec, asked.steps, number)
            pairs.append((ours, theirs))
            print(f"round {number}: {compared(ours, theirs)}", flush=True)
        report("ratio by the clock", [ours.rate / theirs.rate for ours, theirs in pairs])
        report("ratio by processor time", [theirs.processor_s / ours.processor_s for ours, theirs in pairs])
        report("share of the time that ours waited for batches", [ours.waited_s / ours.wall_s for ours, _ in pairs])
        for loader in (trainer.dataloader_train, trainer.dataloader_val):
            loader._finish()


def compared(ours: Round, theirs: Round) -> str:
    rates = f"ours {ours.rate:.3f}/s, nnU-Net {theirs.rate:.3f}/s, ratio {ours.rate / theirs.rate:.2f}"
    by_processor = f"by processor time {theirs.processor_s / ours.processor_s:.2f}"
    waits = f"ours {ours.waited_s / ours.wall_s:.1%}, nnU-Net {theirs.waited_s / theirs.wall_s:.1%}"
    return f"{rates}, {by_processor}; waited for batches: {waits}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--patch", type=int, nargs=3, default=[64, 64, 64])
    parser.add_argument("--features", type=int, default=16)
    return parser.parse_args()


def report(what: str, values: list[float]) -> None:
    print(f"{what}: median {statistics.median(values):.3g}, {min(values):.3g} to {max(values):.3g}")


def write_images(folder: Path, patch: tuple[int, int, int]) -> None:
    """Scans a little larger than a patch: a block of bone with a bright lesion, in noise."""
    rng = np.random.default_rng(0)
    shape = tuple(side + side // 2 for side in patch)
    grid = Grid.from_spacing(shape, (1.0, 1.0, 1.0))  # type: ignore[arg-type]
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    for case in range(N_CASES):
        labels = np.zeros(shape, dtype=np.uint8)
        labels[tuple(slice(side // 4, 3 * side // 4) for side in shape)] = 1
        labels[tuple(slice(side // 3, side // 2) for side in shape)] = 2
        values = (300.0 * (labels > 0) + 400 * (labels == 2) + rng.normal(0, 40, shape)).astype(np.int16)
        write_volume(Volume(values, grid, Modality.CT, Unit.HU), folder / "imagesTr" / f"c{case}_0000.nii.gz")
        write_labels(LabelMap(labels, grid, LABELS), folder / "labelsTr" / f"c{case}.nii.gz")
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **LABELS},
        "numTraining": N_CASES,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))


def make_trainer(folder: Path, asked: argparse.Namespace) -> Any:
    """nnU-Net's plain trainer on its own plans, with our patch and number of features."""
    for name, value in {"raw": "raw", "preprocessed": "pre", "results": "results"}.items():
        os.environ[f"nnUNet_{name}"] = str(folder / value)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )
    from nnunetv2.run.run_training import get_trainer_from_args

    def planner(*args: Any, **kwargs: Any) -> Any:
        made = ExperimentPlanner(*args, **kwargs)
        made.UNet_base_num_features = asked.features
        return made

    extract_fingerprint_dataset(1, num_processes=1, show_progress_bar=False)
    plan_experiment_dataset(1, planner)
    path = folder / "pre" / DATASET / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    plans["configurations"][CONFIGURATION].update(patch_size=asked.patch, batch_size=BATCH)
    shapes = plans["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"]
    n_stages = shapes["n_stages"]
    while any(side % np.prod([s[axis] for s in shapes["strides"][:n_stages]]) for axis, side in enumerate(asked.patch)):
        n_stages -= 1
    shapes["n_stages"] = n_stages
    for key in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        shapes[key] = shapes[key][:n_stages]
    shapes["n_conv_per_stage_decoder"] = shapes["n_conv_per_stage_decoder"][: n_stages - 1]
    path.write_text(json.dumps(plans))
    preprocess_dataset(1, configurations=[CONFIGURATION], num_processes=[1], show_progress_bar=False)
    trainer = get_trainer_from_args(DATASET, CONFIGURATION, "all", continue_training=False, device=torch.device("cpu"))
    trainer.enable_deep_supervision = False
    trainer.on_train_start()
    trainer.network.train()
    return trainer


def spec_of(trainer: Any) -> PlannedUNetSpec:
    """The network of a trainer, as we describe it."""
    return describe_part(trainer.plans_manager.plans, trainer.dataset_json, CONFIGURATION, ()).network


def time_theirs(trainer: Any, steps: int) -> Round:
    """Some iterations of nnU-Net's loop, after one that does not count."""
    trainer.train_step(next(trainer.dataloader_train))
    waited, began, processor = 0.0, time.perf_counter(), time.process_time()
    for _ in range(steps):
        before = time.perf_counter()
        batch = next(trainer.dataloader_train)
        waited += time.perf_counter() - before
        trainer.train_step(batch)
    return Round(steps, time.perf_counter() - began, time.process_time() - processor, waited)


def time_ours(folder: Path, spec: PlannedUNetSpec, steps: int, number: int) -> Round:
    """As many of ours: `fit`, fed by the batches of `osteomet.training.stacks` from crops of the same images."""
    clock: list[tuple[float, float]] = []
    waits: list[float] = []
    task = Task(
        name="benchmark",
        network=PlannedUNet(spec),
        batches=lambda start: watched(_batches(stack_task(folder, spec), steps + 1, Team(), 1, start), waits),
    )
    settings = FitSettings(
        n_steps=steps + 1,
        learning_rate=1e-2,
        schedule="polynomial",
        optimiser="sgd",
        weight_decay=3e-5,
        gradient_clip=12.0,
        log_every=1,
        checkpoint_every=steps + 10,
    )
    report_: Callable[[Any], None] = lambda _: clock.append((time.perf_counter(), time.process_time()))  # noqa: E731
    fit(task, settings, folder / f"ours{number}", device="cpu", report=report_)
    (wall, processor), (end_wall, end_processor) = clock[0], clock[-1]
    return Round(steps, end_wall - wall, end_processor - processor, sum(waits[1:]))


def watched(batches: Iterator[Batch], waits: list[float]) -> Iterator[Batch]:
    """Measure how long each batch lets the network wait."""
    while True:
        before = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - before)
        yield batch


def stack_task(folder: Path, spec: PlannedUNetSpec) -> StackTask:
    """Crops of the preprocessed images, which are stacks of one patch each."""
    made = folder / "stacks"
    if not made.exists():
        write_stacks(folder, made)
    stacks = tuple(Stack(f"c{n}", made / f"c{n}.npy", (0,), made / f"c{n}.labels.npy", 0, (0,)) for n in range(N_CASES))
    return StackTask(
        name="benchmark",
        network=PlannedUNet(spec),
        classes=("background", *LABELS),
        train=stacks,
        validation=(),
        dimensions=3,
        batch=BATCH,
        augmentation=Augmentation(rotation_deg=30.0, zoom=(0.7, 1.4)),
        lesion_share=0.33,
        seed=0,
    )


def write_stacks(folder: Path, made: Path) -> None:
    """Write the middle of each image, of the size of a patch, normalised as CT."""
    from osteomet.io.formats import read_labels, read_volume

    made.mkdir()
    raw = folder / "raw" / DATASET
    patch = json.loads((folder / "pre" / DATASET / "nnUNetPlans.json").read_text())["configurations"][CONFIGURATION][
        "patch_size"
    ]
    for n in range(N_CASES):
        image = read_volume(raw / "imagesTr" / f"c{n}_0000.nii.gz", modality=Modality.CT).array.astype(np.float32)
        labels = read_labels(raw / "labelsTr" / f"c{n}.nii.gz").array
        middle = tuple(slice((side - p) // 2, (side - p) // 2 + p) for side, p in zip(image.shape, patch, strict=True))
        scaled = (image[middle] - image.mean()) / image.std()
        np.save(made / f"c{n}.npy", scaled[None].astype(np.float16))
        np.save(made / f"c{n}.labels.npy", labels[middle].astype(np.uint8))


if __name__ == "__main__":
    main()
