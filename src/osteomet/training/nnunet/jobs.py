"""What is asked of nnU-Net, as it crosses from our process into its own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from osteomet.training.nnunet.recipe import ConfigurationName

TRAINER, PLANS = "nnUNetTrainer", "nnUNetPlans"
_MOST_PROCESSES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Folders where nnU-Net works, name of the data set in them, and where its networks run."""

    raw: str
    preprocessed: str
    results: str
    dataset: str
    device: str

    @property
    def number(self) -> int:
        """Number of the data set, which nnU-Net goes by.

        Examples
        --------
        >>> Place("", "", "", "Dataset002_metastases", "cpu").number
        2
        """
        return int(self.dataset.removeprefix("Dataset").partition("_")[0])

    @property
    def n_processes(self) -> int:
        """Processes that prepare images: beside networks on a processor one, so that they do not starve."""
        return 1 if self.device == "cpu" else min(_MOST_PROCESSES, os.cpu_count() or 1)

    @property
    def prepared(self) -> Path:
        """What nnU-Net makes of the data set."""
        return Path(self.preprocessed) / self.dataset

    def configuration(self, name: ConfigurationName) -> Path:
        """Folder of a trained configuration."""
        return Path(self.results) / self.dataset / f"{TRAINER}__{PLANS}__{name}"

    def fold(self, name: ConfigurationName, number: int) -> Path:
        """Folder of one training."""
        return self.configuration(name) / f"fold_{number}"


@dataclass(frozen=True, slots=True)
class PlanJob:
    """Take the fingerprint of a data set, plan, and preprocess for some configurations."""

    configurations: tuple[ConfigurationName, ...]
    gpu_memory_gb: float
    base_features: int
    kind: Literal["plan"] = "plan"


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Train and validate, one after the other; what is finished is passed over, what was stopped goes on."""

    trainings: tuple[tuple[ConfigurationName, int], ...]
    n_epochs: int
    n_iterations: int
    n_validation_iterations: int
    checkpoint_every: int
    kind: Literal["train"] = "train"


@dataclass(frozen=True, slots=True)
class PredictJob:
    """Segment images with nnU-Net's own predictor, the folds of a configuration together."""

    configuration: ConfigurationName
    folds: tuple[int, ...]
    images: tuple[str, ...]
    targets: tuple[str, ...]
    kind: Literal["predict"] = "predict"


Job = PlanJob | TrainJob | PredictJob


@dataclass(frozen=True, slots=True)
class Request:
    """A job and where to do it; ``log`` takes what nnU-Net says."""

    place: Place
    job: Job
    log: str


_ADAPTER: TypeAdapter[Request] = TypeAdapter(Request)


def write_request(request: Request, path: Path) -> None:
    """Write a request as JSON."""
    path.write_text(json.dumps(asdict(request), indent=1) + "\n", encoding="utf-8")


def read_request(path: Path) -> Request:
    """Read a request."""
    return _ADAPTER.validate_json(path.read_bytes())
