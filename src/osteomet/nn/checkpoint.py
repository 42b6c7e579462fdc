"""Checkpoints of nnU-Net, read without running anything that they hold.

A checkpoint of PyTorch is a pickle, and a pickle may call any function. `torch.load` with ``weights_only`` rebuilds
tensors and plain containers alone. Beside them nnU-Net logs figures as numpy scalars; these come back as `float`,
through two stand-ins of this module, so that no function of numpy is called. Everything else is refused.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from osteomet.core.errors import ModelError
from osteomet.nn.planned_unet import rename_parameters

_FETCH_AGAIN = "get the checkpoint again from whom trained it"


class _Number:
    """What stands for the type of a numpy scalar: its code, and its byte order once the pickle states it."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"


def _scalar(kind: _Number, data: bytes | str) -> float:
    """What stands for the function that makes a numpy scalar of its bytes."""
    code = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "b1": "?"}[kind.code]
    raw = data.encode("latin-1") if isinstance(data, str) else data
    return float(struct.unpack(kind.order + code, raw)[0])


_ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Number, "numpy.dtype"),
    (_scalar, "numpy._core.multiarray.scalar"),
    (_scalar, "numpy.core.multiarray.scalar"),
]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a checkpoint says: whose code trained which configuration, along which axes it mirrored, and the weights."""

    trainer: str
    configuration: str
    mirror_axes: tuple[int, ...]
    weights: Mapping[str, torch.Tensor]

    def tensors(self, n_stages: int) -> dict[str, NDArray[Any]]:
        """Weights under the names of `osteomet.nn.planned_unet.PlannedUNet`."""
        renamed = rename_parameters(self.weights, n_stages)
        return {name: np.ascontiguousarray(tensor.float().numpy()) for name, tensor in renamed.items()}


def read_checkpoint(data: bytes, name: str) -> Checkpoint:
    """Read a checkpoint of nnU-Net v2.

    Parameters
    ----------
    data
        The bytes of the file.
    name
        What messages call it.

    Raises
    ------
    ModelError
        If the file is damaged, asks for Python objects other than tensors, numbers and containers, or does not hold
        what nnU-Net puts into a checkpoint.
    """
    _check_undamaged(data, name)
    try:
        with torch.serialization.safe_globals(_ALLOWED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to whom wrote the pickle
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{name} asks for more than weights, and is not loaded: what it asks for could run any code",
            expected="tensors, numbers, text and containers of them",
            got=_asked_for(str(error)),
            remedy=_FETCH_AGAIN,
        ) from error
    except Exception as error:  # the unpickler meets bytes that anyone may have written
        raise ModelError(f"{name} is not a readable checkpoint", got=str(error), remedy=_FETCH_AGAIN) from error
    return _understood(content, name)


def _check_undamaged(data: bytes, name: str) -> None:
    """Compare the checksums of the zip that a checkpoint is; torch does not."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise ModelError(f"{name} is not a readable checkpoint", got=str(error), remedy=_FETCH_AGAIN) from error
    if damaged is not None:
        raise ModelError(f"{name} is damaged or was changed", got=f"wrong checksum of {damaged}", remedy=_FETCH_AGAIN)


def _asked_for(message: str) -> str:
    """Name of the object in the message of torch, which goes on about how to allow it."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    return found[1] if found else message.splitlines()[-1]


def _is_usable(value: Any) -> bool:
    """Whether this is a tensor of finite numbers."""
    return isinstance(value, torch.Tensor) and bool(torch.isfinite(value).all())


def _understood(content: Any, name: str) -> Checkpoint:
    """What matters of a checkpoint; every part is checked, as anyone may have written it."""
    trainer, weights, settings, axes = (
        content.get(key) if isinstance(content, dict) else None
        for key in ("trainer_name", "network_weights", "init_args", "inference_allowed_mirroring_axes")
    )
    configuration = settings.get("configuration") if isinstance(settings, dict) else None
    mirrored = () if axes is None else axes
    holds = {
        "trainer_name": isinstance(trainer, str),
        "init_args.configuration": isinstance(configuration, str),
        "inference_allowed_mirroring_axes": isinstance(mirrored, (tuple, list))
        and len(set(mirrored)) == len(mirrored)
        and all(axis in (0, 1, 2) for axis in mirrored),
        "network_weights": isinstance(weights, dict)
        and all(isinstance(key, str) and _is_usable(value) for key, value in weights.items()),
    }
    wrong = [key for key, holds_it in holds.items() if not holds_it]
    if wrong or not isinstance(weights, dict):
        raise ModelError(f"{name} is no checkpoint of nnU-Net v2", got=f"no usable {', '.join(wrong)}")
    return Checkpoint(str(trainer), str(configuration), tuple(int(axis) for axis in mirrored), weights)
