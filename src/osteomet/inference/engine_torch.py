"""PyTorch on a CUDA device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from osteomet.core.errors import OsteometError


class TorchEngine:
    """A torch module on a device, in channels-last memory order where it works on volumes.

    Parameters
    ----------
    module
        Maps (n, n_inputs, i, j, k) to probabilities or logits.
    n_outputs
        Number of its output channels.
    device
        Where it runs.
    exact
        Whether to compute in float32 instead of mixed precision.
    """

    def __init__(self, module: nn.Module, *, n_outputs: int, device: str = "cuda", exact: bool = False) -> None:
        self._device = torch.device(device)
        is_flat = any(parameter.dim() == 4 for parameter in module.parameters())
        self._order = torch.contiguous_format if is_flat else torch.channels_last_3d
        module.eval().to(memory_format=self._order)  # type: ignore[call-overload]
        self._module = module.to(self._device)
        self._type = torch.float32 if exact else _half_type(self._device)
        self._n_outputs = n_outputs

    @property
    def description(self) -> str:
        """What runs it, for the provenance."""
        kind = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self._type]
        name = f" ({torch.cuda.get_device_name(self._device)})" if self._device.type == "cuda" else ""
        return f"PyTorch {torch.__version__} {self._device.type.upper()} {kind}{name}"

    @property
    def n_outputs(self) -> int:
        """Number of probabilities a voxel."""
        return self._n_outputs

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Map float32 (n, n_inputs, i, j, k) to what the module gives, float32 (n, n_outputs, i, j, k).

        Raises
        ------
        OsteometError
            If the device has too little free memory. Any other error of torch passes through.
        """
        try:
            mixed = torch.autocast(self._device.type, dtype=self._type, enabled=self._type != torch.float32)
            with torch.inference_mode(), mixed:
                on_device = torch.from_numpy(batch).to(self._device, memory_format=self._order)
                return np.asarray(self._module(on_device).float().cpu().contiguous())
        except torch.cuda.OutOfMemoryError as error:
            raise OsteometError(
                "the CUDA device has too little free memory",
                got=str(error).split(". ")[0],
                remedy="close other programs that use it, or pass --device cpu",
            ) from error


def _half_type(device: torch.device) -> torch.dtype:
    """Choose bfloat16 where the hardware has it, since it cannot overflow where float32 does not; else float16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16
