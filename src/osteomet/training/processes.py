"""Several processes that train one network together, each on its share of every batch.

Gradients and the sums inside the loss are added over all processes, so that the result is that of one process that
sees the whole batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from osteomet.core.errors import UsageError

_PATIENCE = timedelta(hours=12)  # the others wait while the first one prepares a data set or evaluates


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of a training, ``size`` of them; ``rank`` is this one. The default is one process alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, n: int) -> range:
        """Numbers of the items of a batch of ``n`` that are this process's; raises `UsageError` unless all get alike.

        Examples
        --------
        >>> list(Team(1, 2).share(6))
        [1, 3, 5]
        """
        if n % self.size:
            raise UsageError(
                "a batch cannot be shared evenly among the processes",
                expected=f"a batch that {self.size} divides",
                got=str(n),
                remedy="change the batch of the recipe, or --nproc-per-node",
            )
        return range(self.rank, n, self.size)

    def total(self, part: Tensor) -> Tensor:
        """Sum over all processes; the gradient goes to each process's own part."""
        if self.size == 1:
            return part
        whole = part.detach().clone()
        dist.all_reduce(whole)
        return part + (whole - part.detach()) if part.requires_grad else whole

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)

    def from_first(self, numbers: list[float]) -> list[float]:
        """Give every process the numbers that the first one has."""
        if self.size == 1:
            return numbers
        shared = torch.tensor(numbers, dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.broadcast(shared, src=0)
        return [float(n) for n in shared]


def join_team(device: str) -> tuple[Team, str]:
    """Join the other processes where ``torchrun`` has started this one; returns the team and this process's device."""
    if not dist.is_torchelastic_launched():
        return Team(), device
    if not dist.is_initialized():
        if device == "cuda":
            torch.cuda.set_device(dist.get_node_local_rank())
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    return Team(dist.get_rank(), dist.get_world_size()), device
