"""The convolution and pooling network C1–S2–C3–S4 that grades an exam.

References
----------
Wang D. et al. Deep learning-based magnetic resonance imaging of the spine in the diagnosis and physiological evaluation
of spinal metastases. 2023. https://doi.org/10.1016/j.jbo.2023.100483 (sections 2.3 to 2.5, equations 1 to 4).
LeCun Y. et al. Gradient-based learning applied to document recognition. https://doi.org/10.1109/5.726791
Glorot X., Bengio Y. Understanding the difficulty of training deep feedforward neural networks.
https://proceedings.mlr.press/v9/glorot10a.html (first weights)
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from osteomet.core.errors import UsageError
from osteomet.core.grader import SigmoidCnn


class GradedCnn(nn.Module):
    """Each turn is a convolution (C), a sigmoid, and a mean over a square (S); then one layer that sees everything.

    With two turns of three maps this is C1–S2–C3–S4 as published. The study adjusts the number of layers to the number
    of exams: ``spec.maps`` has an entry for each turn. Convolutions are not padded, as in its figure 2. It names
    neither kernel nor square.

    Parameters
    ----------
    spec
        Maps, kernel and square of each turn.
    n_inputs, n_outputs
        Planes of the map, and grades.
    sides
        Rows and columns of the map.

    Raises
    ------
    UsageError
        If nothing of the map is left after the turns.
    """

    def __init__(self, spec: SigmoidCnn, n_inputs: int, n_outputs: int, sides: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = remaining_sides(spec, sides)
        turns: list[nn.Module] = []
        for before, after in pairwise((n_inputs, *spec.maps)):
            turns += [nn.Conv2d(before, after, spec.kernel), nn.Sigmoid(), nn.AvgPool2d(spec.pool)]
        self.turns = nn.Sequential(*turns)
        self.head = nn.Linear(spec.maps[-1] * rows * columns, n_outputs)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, n_inputs, rows, columns) to logits (n, n_outputs); their softmax are the probabilities."""
        logits: Tensor = self.head(self.turns(maps).flatten(start_dim=1))
        return logits


def remaining_sides(spec: SigmoidCnn, sides: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns after all turns.

    Raises
    ------
    UsageError
        If nothing is left, or there is no turn.

    Examples
    --------
    >>> remaining_sides(SigmoidCnn("sigmoid CNN", (3, 3), kernel=5, pool=2), (32, 24))
    (5, 3)
    """
    rows, columns = sides
    for _ in spec.maps:
        rows, columns = ((side - spec.kernel + 1) // spec.pool for side in (rows, columns))
    if not spec.maps or min(rows, columns) < 1:
        raise UsageError(
            "the sigmoid network leaves nothing of the map",
            expected="at least one turn, and a map that stays larger than the kernel at each",
            got=f"{len(spec.maps)} turns of kernel {spec.kernel} and pool {spec.pool} on {sides[0]} × {sides[1]}",
            remedy="lower maps, kernel or pool, or make the map larger",
        )
    return rows, columns
