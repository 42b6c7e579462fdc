"""What nnU-Net trained as a model package of ours, and the proof that it says the same."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np

from osteomet.core.errors import ModelError
from osteomet.core.volume import Modality
from osteomet.inference.engine import load_nnunet_engines
from osteomet.inference.nnunet.predict import segment_with_stages
from osteomet.io.formats import read_labels, read_volume
from osteomet.io.model_package import ModelPackage
from osteomet.pipeline.models import import_model
from osteomet.pipeline.studies.nnunet_study import NnunetRun
from osteomet.training.nnunet.dataset import DATASETS
from osteomet.training.nnunet.driver import run_job
from osteomet.training.nnunet.jobs import PredictJob
from osteomet.training.nnunet.recipe import ConfigurationName, StageName


def package_best(run: NnunetRun, stage: StageName, configuration: ConfigurationName) -> ModelPackage:
    """Import a configuration, all folds together, as a model package in ``packages``, in place of an earlier one."""
    packages, name = run.out / "packages", f"{run.recipe.name}-{stage}"
    shutil.rmtree(packages / name, ignore_errors=True)
    trained = Path(run.place(stage).results) / DATASETS[stage]
    return import_model(trained, packages, name=name, configuration=configuration)


def compare_engines(
    run: NnunetRun, stage: StageName, configuration: ConfigurationName, package: ModelPackage
) -> dict[str, float]:
    """Share of voxels in which the packaged model gives nnU-Net's own labels, by case; writes ``agreement.csv``.

    Raises
    ------
    ModelError
        If it is less than the recipe asks for; the message names the case.
    """
    targets = _labels_of_nnunet(run, stage, configuration)
    part, least = package.description.nnunet, run.recipe.prediction.least_agreement
    assert part is not None
    engines = load_nnunet_engines(package, device=run.device, cache_dir=run.out / "prepared" / "converted")
    found = {}
    for image, target in targets.items():
        ours = segment_with_stages(engines, part, [read_volume(image, modality=Modality.CT)])
        theirs = read_labels(target, run.recipe.stage(stage).labels)
        found[target.name] = float(np.mean(ours.array == theirs.array))
        if found[target.name] < least:
            own = run.out / "packages" / package.description.name
            raise ModelError(
                f"the packaged model of the {stage} does not give nnU-Net's labels for {target.name}",
                expected=f"{least:.2%} of the voxels alike",
                got=f"{found[target.name]:.3%}",
                remedy=f"compare {target} with what `osteomet predict --model {own}` gives, and report it",
            )
    with (run.out / "agreement" / stage / configuration / "agreement.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "agreement"])
        writer.writerows((name, f"{share:.6f}") for name, share in found.items())
    return found


def _labels_of_nnunet(run: NnunetRun, stage: StageName, configuration: ConfigurationName) -> dict[Path, Path]:
    """Let nnU-Net's own predictor segment some scans with all folds; returns its label map for each image."""
    end = run.recipe.data.file_ending
    images = sorted((run.raw(stage) / "imagesTr").glob(f"*{end}"))[: run.recipe.prediction.n_compared]
    folder = run.out / "agreement" / stage / configuration
    folder.mkdir(parents=True, exist_ok=True)
    targets = {image: folder / image.name.replace(f"_0000{end}", end) for image in images}
    missing = [image for image in images if not targets[image].is_file()]
    if missing:
        job = PredictJob(
            configuration,
            tuple(range(run.recipe.split.n_folds)),
            tuple(str(image.absolute()) for image in missing),
            tuple(str(targets[image].absolute()) for image in missing),
        )
        run_job(run.place(stage), job, run.out, tell=run.about(stage))
    return targets
