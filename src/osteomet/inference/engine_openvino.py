"""OpenVINO on a processor, with converted networks kept on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

import osteomet
from osteomet.core.errors import UsageError
from osteomet.core.model import ModelPart, NnunetPart
from osteomet.io.model_package import ModelPackage

_GRAPH, _CONSTANTS, _SEAL = "model.xml", "model.bin", "sha256"


class OpenVinoEngine:
    """One part of a package on the processor, compiled for one patch at a time.

    Parameters
    ----------
    package, part
        What to run.
    cache_dir
        Where the converted network is kept.
    exact
        Whether to stay in float32 in any case.

    Raises
    ------
    UsageError
        If the cache folder cannot be written.
    ModelError
        If the weights do not fit the network that the package describes.

    Notes
    -----
    The precision is bfloat16 where the processor multiplies it in hardware (twice as fast as float32 there), else
    float32. Weights are stored as float32, and the softmax stays in float32 in both cases.
    """

    def __init__(
        self, package: ModelPackage, part: ModelPart | NnunetPart, *, cache_dir: Path, exact: bool = False
    ) -> None:
        core = _core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._precision = "bf16" if has_bf16 and not exact else "f32"
        graph = _cached_graph(package, part, cache_dir)
        settings = {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"}
        self._request = core.compile_model(graph, "CPU", settings).create_infer_request()
        self._n_outputs = part.network.n_outputs

    @property
    def description(self) -> str:
        """What runs it, for the provenance."""
        return f"OpenVINO {openvino.__version__.split('-')[0]} CPU {self._precision}"

    @property
    def n_outputs(self) -> int:
        """Number of probabilities a voxel."""
        return self._n_outputs

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Map float32 (n, n_inputs, i, j, k) to what the networks give, float32 (n, n_outputs, i, j, k)."""
        return np.concatenate([self._request.infer({0: one[np.newaxis]}, share_inputs=True)[0] for one in batch])


@cache
def _core() -> openvino.Core:
    """The one core of this process, which is never let go.

    Its CPU plug-in sets the stack on which signals are handled, and takes it away when it goes. A signal that comes
    then, such as that of a child which ends, kills the process.
    """
    return openvino.Core()


def _cached_graph(package: ModelPackage, part: ModelPart | NnunetPart, cache_dir: Path) -> Path:
    """Path of the converted network; converted now unless the cache holds it undamaged."""
    entry = cache_dir / _cache_key(package, part)
    if not _is_intact(entry):
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
        except OSError as error:
            what = f"converted networks cannot be kept in {cache_dir}"
            raise UsageError(what, got=str(error), remedy="make the cache folder writable or name another") from error
        try:
            _convert(package, part, building)
            _put_in_place(building, entry)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return entry / _GRAPH


def _cache_key(package: ModelPackage, part: ModelPart | NnunetPart) -> str:
    """Hash of everything that the converted network depends on."""
    facts = {
        "weights": [package.description.files[name] for name in part.weights],
        "network": dataclasses.asdict(part.network),
        "patch": part.patch,
        "versions": [openvino.__version__, osteomet.__version__],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _convert(package: ModelPackage, part: ModelPart | NnunetPart, folder: Path) -> None:
    """Trace the torch module and save its graph for one patch.

    Tracing here, and not in OpenVINO, leaves out a second and third pass that compare traces: 2 s instead of 14. The
    exporter that succeeds tracing takes normalisation layers apart, which costs accuracy.
    """
    import torch

    from osteomet.inference.ensemble import build_ensemble

    example = torch.zeros(1, part.network.n_inputs, *part.patch)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.trace", category=DeprecationWarning)
        # Group normalisation checks the size of its input, which tracing takes for data.
        warnings.filterwarnings("ignore", message=".*Python boolean might cause the trace")
        traced = torch.jit.trace(build_ensemble(package, part), example, check_trace=False)  # type: ignore[no-untyped-call]
        graph = openvino.convert_model(traced, example_input=example)
    graph.reshape(list(example.shape))
    openvino.save_model(graph, folder / _GRAPH, compress_to_fp16=False)
    (folder / _SEAL).write_text(_hash_of(folder))


def _put_in_place(building: Path, entry: Path) -> None:
    """Move a finished entry into the cache; another process may have done so meanwhile."""
    shutil.rmtree(entry, ignore_errors=True)
    try:
        building.rename(entry)
    except OSError:
        if not _is_intact(entry):
            raise


def _is_intact(entry: Path) -> bool:
    """Whether all files of an entry are there and unchanged; a cut file would else be mapped into memory unseen."""
    files = [entry / name for name in (_GRAPH, _CONSTANTS, _SEAL)]
    return all(path.is_file() for path in files) and files[-1].read_text() == _hash_of(entry)


def _hash_of(entry: Path) -> str:
    digest = hashlib.sha256()
    for name in (_GRAPH, _CONSTANTS):
        digest.update((entry / name).read_bytes())
    return digest.hexdigest()
