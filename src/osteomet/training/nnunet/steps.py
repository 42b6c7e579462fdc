"""What nnU-Net does for us, called in its own process: it is imported here alone, and only when asked for something."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from osteomet.io.output import output_file
from osteomet.training.nnunet.jobs import Place, PlanJob, PredictJob, TrainJob
from osteomet.training.nnunet.recipe import CASCADE, CASCADE_NEEDS, ConfigurationName
from osteomet.training.nnunet.trainer import train_fold

PLANS_FILE = "nnUNetPlans.json"
_DONE = "planned.json"
Tell = Callable[[str, int, int, str], None]


def plan(place: Place, job: PlanJob, tell: Tell) -> None:
    """Plan a data set and preprocess it; what an earlier run finished is passed over."""
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )

    def planner(*args: object, **kwargs: object) -> object:
        made = ExperimentPlanner(*args, **kwargs)
        made.UNet_base_num_features = job.base_features
        return made

    finished, steps = _finished(place), _steps(job)
    if not finished:
        shutil.rmtree(place.prepared, ignore_errors=True)
        place.prepared.mkdir(parents=True)
    for number, step in enumerate(steps, start=1):
        if step not in finished:
            if step == "fingerprint":
                extract_fingerprint_dataset(place.number, num_processes=place.n_processes, show_progress_bar=False)
            elif step == "plans":
                plan_experiment_dataset(place.number, planner, job.gpu_memory_gb)
            else:
                preprocess_dataset(
                    place.number, configurations=[step], num_processes=[place.n_processes], show_progress_bar=False
                )
            finished.append(step)
            with output_file(place.prepared / _DONE) as partial:
                partial.write_text(json.dumps(finished), encoding="utf-8")
        tell("nnU-Net plans and preprocesses", number, len(steps), step)


def is_planned(place: Place, job: PlanJob) -> bool:
    """Whether an earlier run finished all of a job."""
    return set(_steps(job)) <= set(_finished(place))


def planned(place: Place, wanted: Sequence[ConfigurationName]) -> tuple[ConfigurationName, ...]:
    """Those of some configurations that nnU-Net planned, in their order."""
    plans = json.loads((place.prepared / PLANS_FILE).read_text(encoding="utf-8"))
    return tuple(name for name in wanted if name in plans["configurations"])


def train(place: Place, job: TrainJob, tell: Tell) -> None:
    """Train and validate every network of a job."""
    for configuration, fold in job.trainings:
        train_fold(place, configuration, fold, job, tell)


def predict(place: Place, job: PredictJob, tell: Tell) -> None:
    """Segment images; for a cascade by its first stage before."""
    with tempfile.TemporaryDirectory() as folder:
        previous = None
        if job.configuration == CASCADE:
            previous = Path(folder)
            targets = [str(previous / Path(target).name) for target in job.targets]
            _predict(place, CASCADE_NEEDS[0], job, targets, None)
            tell("nnU-Net predicts", 0, len(job.images), CASCADE_NEEDS[0])
        _predict(place, job.configuration, job, list(job.targets), previous)
    tell("nnU-Net predicts", len(job.images), len(job.images), job.configuration)


def _predict(place: Place, name: ConfigurationName, job: PredictJob, targets: list[str], previous: Path | None) -> None:
    """Run one configuration; ``targets`` are paths, of which nnU-Net takes the part before the file ending."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    on_gpu = place.device != "cpu"
    folder = place.configuration(name)
    ending = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["file_ending"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictor = nnUNetPredictor(
            perform_everything_on_device=on_gpu, device=torch.device(place.device), allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(str(folder), list(job.folds), "checkpoint_final.pth")
        predictor.predict_from_files_sequential(
            [[image] for image in job.images],
            [target.removesuffix(ending) for target in targets],
            folder_with_segs_from_prev_stage=None if previous is None else str(previous),
        )


def _steps(job: PlanJob) -> list[str]:
    """Steps of planning; the cascade takes the images of the full resolution."""
    return ["fingerprint", "plans", *(name for name in job.configurations if name != CASCADE)]


def _finished(place: Place) -> list[str]:
    """Steps of planning that an earlier run finished."""
    marker = place.prepared / _DONE
    return [str(step) for step in json.loads(marker.read_text(encoding="utf-8"))] if marker.is_file() else []
