"""One interface to run a network, whatever runs it: OpenVINO on a processor, PyTorch on a CUDA device."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import ModelPart, NnunetPart, stages_of
from osteomet.io.model_package import ModelPackage

Device = Literal["auto", "cpu", "cuda"]


class Engine(Protocol):
    """A network with its weights, ready to run on patches of one size."""

    @property
    def description(self) -> str:
        """What runs it, for the provenance: ``OpenVINO 2026.4.1 CPU bf16``."""

    @property
    def n_outputs(self) -> int:
        """Number of values a voxel."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Map float32 (n, n_inputs, i, j, k) to float32 (n, n_outputs, i, j, k).

        These are probabilities that sum to 1, from a network of nnU-Net logits.
        """


def load_engine(package: ModelPackage, part: str, *, device: Device, cache_dir: Path) -> Engine:
    """Make one part of a package ready to run.

    Parameters
    ----------
    package
        A checked package.
    part
        Name of the part.
    device
        ``auto`` takes a CUDA device where there is one.
    cache_dir
        Folder that keeps converted networks between runs (a few MB each); made where it is missing.

    Raises
    ------
    UsageError
        If ``cuda`` is asked for and none can be used, or the cache folder cannot be written.
    ModelError
        If the weights do not fit the network that the package describes.

    Notes
    -----
    Torch takes over a second to import. On a processor it is imported only to convert a network that the cache does
    not hold yet.
    """
    return _load(package, package.description.part(part), device=device, cache_dir=cache_dir)


def load_nnunet_engines(package: ModelPackage, *, device: Device, cache_dir: Path) -> tuple[Engine, ...]:
    """Make a model that nnU-Net trained ready to run: in float32, mirrored, its folds averaged.

    A cascade has two engines, in the order in which they run; every other model one.
    Parameters and errors are those of `load_engine`; there is a `ModelError` too if nnU-Net did not train the model.
    """
    part = package.description.nnunet
    if part is None:
        raise ModelError(
            f"model {package.description.name!r} was not trained by nnU-Net",
            expected="a model that `osteomet model import` made of a trained folder",
            remedy="run it with `osteomet analyze`, a classifier with `osteomet classify predict`",
        )
    engines = [_load(package, stage, device=device, cache_dir=cache_dir) for stage in stages_of(part)]
    return tuple(
        MirroredEngine(engine, stage.mirror_axes) if stage.mirror_axes else engine
        for engine, stage in zip(engines, stages_of(part), strict=True)
    )


@dataclass(frozen=True, slots=True)
class MirroredEngine:
    """Mean of what an engine says of a window and of its mirror images, each turned back.

    ``axes`` (0 to 2) are mirrored in all combinations, one after the other and all at once.
    """

    engine: Engine
    axes: tuple[int, ...]

    @property
    def description(self) -> str:
        """What runs it, for the provenance."""
        return f"{self.engine.description}, {2 ** len(self.axes)} mirror images"

    @property
    def n_outputs(self) -> int:
        """Number of values a voxel."""
        return self.engine.n_outputs

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Map float32 (n, n_inputs, i, j, k) to float32 (n, n_outputs, i, j, k)."""
        total = self.engine.predict(batch).copy()
        sets = [axes for n in range(1, len(self.axes) + 1) for axes in combinations(self.axes, n)]
        for axes in sets:
            mirrored = tuple(axis + 2 for axis in axes)
            total += np.flip(self.engine.predict(np.ascontiguousarray(np.flip(batch, mirrored))), mirrored)
        return np.asarray(total / (len(sets) + 1))


def _load(package: ModelPackage, part: ModelPart | NnunetPart, *, device: Device, cache_dir: Path) -> Engine:
    """Networks of nnU-Net stay in float32: what they say must be what they say under nnU-Net itself."""
    exact = isinstance(part, NnunetPart)
    if choose_device(device) == "cuda":
        from osteomet.inference.engine_torch import TorchEngine
        from osteomet.inference.ensemble import build_ensemble

        return TorchEngine(build_ensemble(package, part), n_outputs=part.network.n_outputs, exact=exact)
    from osteomet.inference.engine_openvino import OpenVinoEngine

    return OpenVinoEngine(package, part, cache_dir=cache_dir, exact=exact)


def choose_device(wanted: Device) -> Literal["cpu", "cuda"]:
    """Turn a wish into a device.

    Raises
    ------
    UsageError
        If ``cuda`` is asked for and none can be used.
    """
    if wanted == "cpu" or _cuda_is_there():
        return "cpu" if wanted == "cpu" else "cuda"
    if wanted == "cuda":
        raise UsageError(
            "no CUDA device can be used",
            got=f"torch {importlib.metadata.version('torch')}",
            remedy="pass --device cpu, or install a CUDA build of torch and NVIDIA's driver",
        )
    return "cpu"


def _cuda_is_there() -> bool:
    """Ask torch, except where its version says that it was built without CUDA."""
    if importlib.metadata.version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.cuda.is_available()
