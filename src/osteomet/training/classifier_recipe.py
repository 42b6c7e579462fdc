"""Recipe of a classifier of lesions: its cubes, networks, bags and folds, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from osteomet.core.classifier import InceptionSpec
from osteomet.core.errors import UsageError
from osteomet.nn.augment import Augmentation
from osteomet.radiomics.class_words import ClassWords
from osteomet.radiomics.settings import check_least, read_toml
from osteomet.training.settings import FitSettings

_CHANGES = Augmentation(rotation_deg=15.0, translation=0.05, zoom=(0.9, 1.1))


@dataclass(frozen=True, slots=True)
class ClassifierRecipe(ClassWords):
    """Settings of a classifier of lesions; the defaults suit two cores, the full size is in the recipe `wangh2024`.

    Parameters
    ----------
    name
        What the model is called.
    channels
        Names of the images that it sees, by ``dataset.json``; empty for all of the data set.
    side, edge_mm
        Voxels along each edge of a cube, and the edge of a voxel.
    width, blocks, squeeze
        Shape of the Inception-ResNet-v2 (`osteomet.nn.inception_resnet.InceptionSettings`); a width of 1 with 5, 10 and
        5 blocks is the published network.
    n_members
        Networks of the ensemble, each trained on a bootstrap sample of the patients.
    n_folds, n_repeats
        Folds of patients that are left out in turn, and how often they are dealt anew.
    n_steps, batch, learning_rate, weight_decay, mixed_precision
        Of the training of each network, by AdamW with cosine decay. There is no early stopping, and so nothing that
        patients who were left out could decide.
    augmentation
        Limits of the changes of position that a cube is shown with.
    seed
        Of folds, bags and trainings. A signature of the same seed, folds and patients has the same folds.

    Raises
    ------
    UsageError
        If a value cannot be meant; the message names the key.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str = "lesion-classifier"
    channels: tuple[str, ...] = ()
    side: int = 32
    edge_mm: float = 2.0
    width: float = 0.125
    blocks: tuple[int, int, int] = (1, 2, 1)
    squeeze: int = 16
    n_members: int = 5
    n_folds: int = 10
    n_repeats: int = 1
    n_steps: int = 200
    batch: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    mixed_precision: bool = False
    augmentation: Augmentation = _CHANGES
    seed: int = 20241

    def __post_init__(self) -> None:
        least = {
            "side": 8,
            "squeeze": 1,
            "n_members": 1,
            "n_folds": 3,
            "n_repeats": 1,
            "n_steps": 1,
            "batch": 2,
            "weight_decay": 0,
            "seed": 0,
        }
        check_least(self, least)
        self.check_words()
        for key in ("edge_mm", "width", "learning_rate"):
            if not 0 < getattr(self, key) < float("inf"):
                raise UsageError(f"{key} cannot be meant", expected="a positive number", got=f"{getattr(self, key):g}")
        if min(self.blocks) < 1:
            raise UsageError("blocks cannot be meant", expected="three numbers from 1", got=str(list(self.blocks)))

    def network(self, n_channels: int) -> InceptionSpec:
        """Network that sees so many images and the mask of the lesion."""
        return InceptionSpec("inception_resnet3d", n_channels + 1, 2, self.width, self.blocks, self.squeeze)

    @property
    def fit(self) -> FitSettings:
        """Settings of the loop."""
        return FitSettings(
            n_steps=self.n_steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warm_up_steps=self.n_steps // 20,
            gradient_clip=5.0,
            ema_decay=0.98,
            mixed_precision=self.mixed_precision,
            log_every=min(20, self.n_steps),
        )


def read_classifier_recipe(path: Path) -> ClassifierRecipe:
    """Read a recipe from a TOML file whose keys are the fields of `ClassifierRecipe`; missing keys take the defaults.

    Raises
    ------
    InputError
        If the file cannot be opened.
    UsageError
        If it is not TOML, or a key is unknown, of the wrong type, or has a value that cannot be meant; the message
        names the key.
    """
    return read_toml(path, ClassifierRecipe)
