"""One interface to run a network, whatever runs it: OpenVINO on a processor, PyTorch on a CUDA device."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.io.model_package import ModelPackage

Device = Literal["auto", "cpu", "cuda"]


class Engine(Protocol):
    """A network with its weights, ready to run on patches of one size."""

    @property
    def description(self) -> str:
        """What runs it, for the provenance: ``OpenVINO 2026.4.1 CPU bf16``."""

    @property
    def n_outputs(self) -> int:
        """Number of probabilities a voxel."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Map float32 (n, n_inputs, i, j, k) to probabilities, float32 (n, n_outputs, i, j, k), that sum to 1."""


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
    description = package.description.part(part)
    if choose_device(device) == "cuda":
        from osteomet.inference.engine_torch import TorchEngine
        from osteomet.inference.ensemble import build_ensemble

        return TorchEngine(build_ensemble(package, description), n_outputs=description.network.n_outputs)
    from osteomet.inference.engine_openvino import OpenVinoEngine

    return OpenVinoEngine(package, description, cache_dir=cache_dir)


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
