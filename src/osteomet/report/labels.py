"""Names beside the bone: the nearest free place for each label of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.report.marks import Line, PointPx, Word

_LEADER_FROM = 1.2
_GAP = 0.35
_FARTHEST = 20.0


class FreeSpace:
    """The part of a picture that labels may still cover.

    Parameters
    ----------
    taken
        Pixels that no label may cover, shape (rows, columns).
    size
        Height of the text in pixels.
    """

    def __init__(self, taken: NDArray[np.bool_], size: float) -> None:
        self._taken = taken.copy()
        self._size = size

    def reserve(self, word: Word) -> None:
        """Keep other labels away from a word."""
        left, top, right, bottom = (round(side) for side in word.box())
        self._taken[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True

    def label(self, text: str, anchor: PointPx, *, to_left: bool, role: str, colour: str) -> tuple[Word | Line, ...]:
        """Place a label on one side of the point it names, with a leader where it had to move away.

        The place is the nearest that covers no bone and no other label; shifts up and down count twice. Where the
        nearest one is too far away to be followed by eye, the label is left out.
        """
        probe = Word(text, (0.0, 0.0), self._size, "start", role)
        left, top, right, bottom = probe.box()
        gap = _GAP * self._size
        place = self._nearest(anchor, (right - left + 2 * gap, bottom - top), to_left=to_left)
        if place is None:
            return ()
        x, y = place
        at = (x - gap if to_left else x + gap, y)
        word = Word(text, at, self._size, "end" if to_left else "start", role, colour)
        self.reserve(word)
        if np.hypot(x - anchor[0], y - anchor[1]) < _LEADER_FROM * self._size:
            return (word,)
        return Line((x, y), anchor, "leader", colour), word

    def _nearest(self, anchor: PointPx, box: tuple[float, float], *, to_left: bool) -> PointPx | None:
        """Middle of the facing edge of the nearest free box on one side of the anchor."""
        width, height = (int(np.ceil(side)) for side in box)
        n_rows, n_columns = self._taken.shape
        if width > n_columns or height > n_rows:
            return None
        sums = np.pad(self._taken, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
        covered = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
        rows, columns = np.nonzero(covered == 0)
        facing = columns + width if to_left else columns
        beside = facing <= anchor[0] if to_left else facing >= anchor[0]
        if not beside.any():
            return None
        cost = np.abs(facing - anchor[0]) + 2 * np.abs(rows + height / 2 - anchor[1])
        best = int(np.argmin(np.where(beside, cost, np.inf)))
        if cost[best] > _FARTHEST * self._size:
            return None
        return float(facing[best]), float(rows[best] + height / 2)
