"""What a model package says about a grader: a network that tells the grade of an exam from its map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt
from pydantic import ConfigDict, Discriminator

from osteomet.core.exam_map import Count, MapStep, Straighten, find_straighten

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class SigmoidCnn:
    """Convolution, sigmoid and pooling in turn (`nn.graded_cnn`): a number of ``maps`` for each turn."""

    __pydantic_config__ = _STRICT

    kind: Literal["sigmoid CNN"]
    maps: tuple[Count, ...]
    kernel: Count
    pool: Count


@dataclass(frozen=True, slots=True)
class ResidualNet:
    """Residual blocks (`nn.small_resnet`): a number of ``channels``, multiples of 8, for each halving of the map."""

    __pydantic_config__ = _STRICT

    kind: Literal["residual network"]
    channels: tuple[Count, ...]
    dropout: Annotated[float, Ge(0), Lt(1)]


GraderSpec = Annotated[SigmoidCnn | ResidualNet, Discriminator("kind")]
"""Shape of a grader, told by its ``kind``; inputs, outputs and sides follow from the map and the grades."""


@dataclass(frozen=True, slots=True)
class GraderPart:
    """A grader of a package, with all that happens around it.

    ``sequences`` are the channels of a case in their order, ``steps`` make the map of them, ``outputs`` names the
    grades, and ``weights`` are paths inside the package, one per ensemble member, averaged after the softmax.
    """

    network: GraderSpec
    sequences: tuple[str, ...]
    steps: tuple[MapStep, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...]

    @property
    def straighten(self) -> Straighten:
        """The step that makes the map; packages are refused without it."""
        step = find_straighten(self.steps)
        assert step is not None
        return step

    @property
    def n_inputs(self) -> int:
        """Planes of the map over all sequences."""
        return len(self.sequences) * self.straighten.planes
