"""Where the grade of an exam comes from: how far its probability falls when a part of the map is covered.

References
----------
Zeiler M.D., Fergus R. Visualizing and understanding convolutional networks.
https://doi.org/10.1007/978-3-319-10590-1_53
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from osteomet.nn.occlusion import Score


def occlusion_map(
    score: Score, image: NDArray[np.float32], *, n_planes: int, window: int, fill: float = 0.0
) -> NDArray[np.float32]:
    """How far a score falls when a square of one plane is covered in all sequences.

    Parameters
    ----------
    score
        For example the probability of the grade that was called.
    image
        Map, shape (sequences × planes, rows, columns).
    n_planes
        Planes of each sequence.
    window
        Side of the square; squares stand half a side apart.
    fill
        Value of what is covered.

    Returns
    -------
    Shape (planes, rows, columns): at each place the mean fall over the squares that cover it. Positive where the
    decision draws on what is there, negative where that speaks against it.
    """
    n_rows, n_columns = image.shape[1:]
    whole = float(score(image[None])[0])
    found = np.zeros((n_planes, n_rows, n_columns))
    for plane in range(n_planes):
        squares = list(_squares(n_rows, n_columns, window))
        covered = np.repeat(image[None], len(squares), axis=0)
        for one, square in zip(covered, squares, strict=True):
            one[plane::n_planes, *square] = fill
        falls, times = np.zeros((2, n_rows, n_columns))
        for value, square in zip(score(covered), squares, strict=True):
            falls[square] += whole - value
            times[square] += 1
        found[plane] = falls / times
    return found.astype(np.float32)


def _squares(n_rows: int, n_columns: int, window: int) -> Iterator[tuple[slice, slice]]:
    """Squares that cover every place."""
    step = max(1, window // 2)
    for row in range(0, max(1, n_rows - window + step), step):
        for column in range(0, max(1, n_columns - window + step), step):
            yield slice(row, row + window), slice(column, column + window)
