"""Maps of a dynamic contrast series: how strongly, how fast and how long each voxel enhances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError, SeriesError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.volume import Volume
from osteomet.image.register import register_rigid
from osteomet.image.resample import resample_volume

Values = NDArray[np.float64]
_BRIGHTEST_SHARE = 0.01
_ARRIVED_SHARE = 0.1
_LEAST_VOXELS = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class DynamicSeries:
    """Images of one place at several times.

    Parameters
    ----------
    phases
        Images on one grid, three or more.
    times_s
        When each was taken, ascending.
    arrival_s
        When the contrast medium arrives, by the same clock. What was taken by then is the baseline.

    Raises
    ------
    SeriesError
        If there are too few phases, a time is missing, they are not in order, or none is baseline or enhanced.
    GeometryError
        If the phases are not on one grid.
    """

    phases: tuple[Volume, ...]
    times_s: tuple[float, ...]
    arrival_s: float

    def __post_init__(self) -> None:
        if len(self.phases) != len(self.times_s):
            raise SeriesError(
                "phases and times of a dynamic series do not match",
                got=f"{len(self.phases)} phases and {len(self.times_s)} times",
            )
        if len(self.phases) < 3:
            raise SeriesError("a dynamic series needs three phases", got=f"{len(self.phases)}")
        wrong = [n for n in range(1, len(self.times_s)) if not self.times_s[n] > self.times_s[n - 1]]
        if wrong:
            n = wrong[0]
            raise SeriesError(
                "the phases of a dynamic series are not in order of time",
                expected="ascending times",
                got=f"phase {n + 1} at {self.times_s[n]:g} s after phase {n} at {self.times_s[n - 1]:g} s",
                remedy="sort the phases by their acquisition times",
            )
        if self.n_baseline == 0 or self.n_baseline > len(self.phases) - 2:
            raise SeriesError(
                "a dynamic series needs one phase before the contrast medium arrives and two after it",
                got=f"{self.n_baseline} of {len(self.phases)} by {self.arrival_s:g} s",
                remedy="state another arrival_s",
            )
        for number, phase in enumerate(self.phases[1:], 2):
            check_same_grid(self.phases[0].grid, phase.grid, names=("phase 1", f"phase {number}"))

    @property
    def n_baseline(self) -> int:
        """Number of phases taken before the medium arrives."""
        return sum(time <= self.arrival_s for time in self.times_s)


@dataclass(frozen=True, slots=True, eq=False)
class EnhancementMaps:
    """Maps of the shape of the series, NaN where there is no signal to speak of.

    ``baseline`` is the mean signal before the medium arrives; enhancement is relative to it, 1 where signal doubles.
    ``time_to_peak_s`` counts from arrival, ``wash_in_per_s`` is the mean slope up to the peak, ``wash_out_per_s`` that
    from the peak to the last phase: negative where the medium leaves again, NaN where the last phase is the peak.
    ``area_s`` is the integral of the enhancement.
    """

    baseline: Values
    peak_enhancement: Values
    time_to_peak_s: Values
    wash_in_per_s: Values
    wash_out_per_s: Values
    area_s: Values


def find_arrival_s(phases: Sequence[Volume], times_s: Sequence[float]) -> float:
    """Time of the last phase before the contrast medium arrives.

    The one in a hundred voxels that gain most over the first phase tell it: their mean has not yet gained a tenth of
    what it will. The medium arrives at that time or up to the next phase.

    Parameters
    ----------
    phases
        Images on one grid, two or more.
    times_s
        When each was taken, ascending.

    Raises
    ------
    SeriesError
        If phases and times do not match, or no voxel gains.
    """
    if len(phases) != len(times_s) or len(phases) < 2:
        raise SeriesError(
            "phases and times of a dynamic series do not match", got=f"{len(phases)} phases and {len(times_s)} times"
        )
    for number, phase in enumerate(phases[1:], 2):
        check_same_grid(phases[0].grid, phase.grid, names=("phase 1", f"phase {number}"))
    signal = np.stack([phase.array.ravel() for phase in phases]).astype(np.float64)
    gain = signal[len(phases) // 2 :].mean(axis=0) - signal[0]
    n = max(1, round(_BRIGHTEST_SHARE * gain.size))
    brightest = np.argpartition(gain, -n)[-n:]
    curve = (signal[:, brightest] - signal[0, brightest]).mean(axis=1)
    if not curve.max() > 0:
        raise SeriesError(
            "no voxel of the dynamic series gains signal",
            got=f"at most {curve.max():g} over the first phase",
            remedy="look whether the phases are those after contrast medium, and in their order",
        )
    return float(times_s[int(np.argmax(curve >= _ARRIVED_SHARE * curve.max())) - 1])


def enhancement_curves(series: DynamicSeries, *, least_share: float = 0.05) -> tuple[Values, Values]:
    """Baseline, shape of the grid, and relative enhancement, shape (i, j, k, phases).

    Voxels whose baseline is lower than ``least_share`` of its 99th percentile, air above all, are NaN in both.
    """
    signal = np.stack([phase.array for phase in series.phases], axis=-1).astype(np.float64)
    baseline = signal[..., : series.n_baseline].mean(axis=-1)
    least = least_share * float(np.percentile(baseline, 99))
    baseline = np.where(baseline > max(least, 0.0), baseline, np.nan)
    return baseline, signal / baseline[..., None] - 1


def enhancement_maps(series: DynamicSeries, *, area_until_s: float | None = None) -> EnhancementMaps:
    """Peak, times and slopes of the enhancement of each voxel, and the area under its curve.

    Parameters
    ----------
    series
        Aligned phases (`align_phases`).
    area_until_s
        End of the area, seconds after arrival; where None, the last phase.

    Raises
    ------
    InputError
        If the area would end at arrival, or after the last phase.
    """
    baseline, curves = enhancement_curves(series)
    late = curves[..., series.n_baseline :]
    times = np.array(series.times_s[series.n_baseline :]) - series.arrival_s
    end = float(times[-1]) if area_until_s is None else area_until_s
    if not 0 < end <= times[-1]:
        raise InputError(
            "the area under the curve cannot end there",
            expected=f"up to {times[-1]:g} s after arrival",
            got=f"area_until_s = {end:g}",
        )
    peak_at = np.nan_to_num(late, nan=-np.inf).argmax(axis=-1)
    peak = np.take_along_axis(late, peak_at[..., None], axis=-1)[..., 0]
    to_peak = np.where(np.isnan(peak), np.nan, times[peak_at])
    remaining = np.where(peak_at < len(times) - 1, times[-1] - times[peak_at], np.nan)
    return EnhancementMaps(
        baseline=baseline,
        peak_enhancement=peak,
        time_to_peak_s=to_peak,
        wash_in_per_s=peak / to_peak,
        wash_out_per_s=(late[..., -1] - peak) / remaining,
        area_s=_area(late, times, end),
    )


def _area(late: Values, times: Values, end: float) -> Values:
    """Integral by trapezia from arrival, where the enhancement is 0, to the end."""
    knots = np.concatenate([[0.0], times])
    values = np.concatenate([np.zeros_like(late[..., :1]), late], axis=-1)
    total = np.zeros(late.shape[:-1])
    for n in range(len(times)):
        share = min(max((end - knots[n]) / (knots[n + 1] - knots[n]), 0.0), 1.0)
        last = values[..., n] + share * (values[..., n + 1] - values[..., n])
        total = total + share * (knots[n + 1] - knots[n]) * (values[..., n] + last) / 2
    return total


def align_phases(series: DynamicSeries) -> tuple[DynamicSeries, tuple[NDArray[np.float64], ...]]:
    """Undo what the patient moved between the phases.

    Returns
    -------
    series
        The phases on the lattice of the first one, which stays as it is. Signal from beyond the field of view is 0.
    motions
        For each phase the matrix (4, 4) that takes a point of the first phase to where it lay in this one, LPS mm.

    Notes
    -----
    Each phase is registered rigidly to the first by mutual information, which does not mind that tissues enhance but is
    drawn aside by it a little: a phase that moved less than a quarter of the largest edge of a voxel, root mean square
    over the field of view, stays as it is.
    """
    first = series.phases[0]
    phases, motions = [first], [np.eye(4)]
    for phase in series.phases[1:]:
        found = register_rigid(first, phase)
        moved = _displacement_mm(first.grid, found.motion) >= _LEAST_VOXELS * max(first.grid.spacing_mm)
        phases.append(resample_volume(found.volume, first.grid, outside=0.0) if moved else phase)
        motions.append(found.motion if moved else np.eye(4))
    return replace(series, phases=tuple(phases)), tuple(motions)


def _displacement_mm(grid: Grid, motion: Values) -> float:
    """Root mean square displacement of the points of a box; that of eight points stands for all, as it is linear."""
    corners = grid.corners_xyz_mm().reshape(-1, 3)
    centre = corners.mean(axis=0)
    points = centre + (corners - centre) / np.sqrt(3)
    moved = points @ motion[:3, :3].T + motion[:3, 3]
    return float(np.sqrt(((moved - points) ** 2).sum(axis=1).mean()))


def strongest_enhancement(phases: Sequence[Volume], *, name: str = "the series") -> Volume:
    """How far the brightest later phase of each voxel exceeds the first one, in units of the signal; 0 where none does.

    A difference, not a ratio as in `enhancement_maps`: it needs no times, and air stays dark in it.

    Raises
    ------
    SeriesError
        If there are fewer than two phases; the message begins with ``name``.
    GeometryError
        If the phases are not on one grid.

    Examples
    --------
    >>> from osteomet.core.grid import Grid
    >>> from osteomet.core.volume import Modality, Unit
    >>> grid = Grid.from_spacing((1, 1, 2), (1.0, 1.0, 3.0))
    >>> values = ([[[10.0, 10.0]]], [[[30.0, 8.0]]], [[[25.0, 9.0]]])
    >>> phases = [Volume(np.array(v, np.float32), grid, Modality.MR, Unit.ARBITRARY) for v in values]
    >>> strongest_enhancement(phases).array.ravel().tolist()
    [20.0, 0.0]
    """
    if len(phases) < 2:
        raise SeriesError(f"{name} is no dynamic series", expected="two phases or more", got=str(len(phases)))
    first, *later = phases
    for number, phase in enumerate(later, 2):
        check_same_grid(first.grid, phase.grid, names=(f"{name}: phase 1", f"phase {number}"))
    brightest = np.max([phase.array for phase in later], axis=0).astype(np.float32)
    return first.with_array(np.maximum(brightest - first.array.astype(np.float32), 0.0))
