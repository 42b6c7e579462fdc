"""Segment a case with a model that nnU-Net trained, to the labels that nnU-Net itself would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.errors import InputError
from osteomet.core.grid import check_same_grid
from osteomet.core.model import NnunetPart, stages_of
from osteomet.core.volume import LabelMap, Volume
from osteomet.inference.engine import Engine
from osteomet.inference.nnunet.prepare import Prepared, prepare_case
from osteomet.inference.nnunet.resampling import Triple, resample
from osteomet.inference.sliding_window import IMPORTANCE_SIGMA, Field, Progress, predict_blended

_PEAK = 10.0
"""Weight of the middle of a window, before all weights are rounded to half precision."""


def segment_with_stages(
    engines: Sequence[Engine], part: NnunetPart, volumes: Sequence[Volume], *, progress: Progress | None = None
) -> LabelMap:
    """Segment one case with all that a model has: one network, or those of a cascade one after the other.

    ``engines`` are as `osteomet.inference.engine.load_nnunet_engines` loads them; the rest is as in `segment_case`.
    """
    labels: LabelMap | None = None
    for engine, stage in zip(engines, stages_of(part), strict=True):
        labels = segment_case(engine, stage, volumes, before=labels, progress=progress)
    assert labels is not None
    return labels


def segment_case(
    engine: Engine,
    part: NnunetPart,
    volumes: Sequence[Volume],
    *,
    before: LabelMap | None = None,
    progress: Progress | None = None,
) -> LabelMap:
    """Segment one case with one network.

    Parameters
    ----------
    engine
        The network.
    part
        What the model says of it.
    volumes
        One image for each of ``part.channels``, in their order, on one grid of any orientation.
    before
        What the first stage of a cascade said of the case; None where the part is none's second stage.
    progress
        Told the number of windows done and of all.

    Returns
    -------
    LabelMap
        On exactly the grid of the images.

    Raises
    ------
    InputError
        If the number of images is not that of the channels.
    GeometryError
        If the images differ in geometry; nnU-Net compares size and spacing alone.

    Notes
    -----
    Logits, not probabilities, are blended over windows, kept in half precision as nnU-Net does, and resampled back, one
    channel at a time: memory holds all channels on the grid of the network, and two on that of the scan.
    """
    names = [channel.name for channel in part.channels]
    if len(volumes) != len(names):
        what = "a case must have one image for each channel"
        raise InputError(what, expected=", ".join(names), got=f"{len(volumes)} images")
    for name, volume in zip(names[1:], volumes[1:], strict=True):
        check_same_grid(volumes[0].grid, volume.grid, names=(f"channel {names[0]}", f"channel {name}"))
    case = prepare_case(volumes, part, before)
    field = Field(case.image, outside=0.0)
    logits = predict_blended(
        engine, field, patch=part.patch, reduce=_half, progress=progress, importance=window_weights(part.patch)
    )
    labels = np.zeros(case.shape, dtype=np.uint8 if max(part.values) < 256 else np.uint16)
    labels[case.box] = _decide(logits, case, part)
    named = {name: value for name, value in zip(part.outputs, part.values, strict=True) if value}
    return LabelMap(np.asfortranarray(case.turn.back(labels)), volumes[0].grid, named)


def window_weights(patch: Triple) -> NDArray[np.float32]:
    """Weight of each voxel of a window: a blurred point at ``side // 2``, rounded to half precision, never 0.

    Examples
    --------
    >>> [f"{weight:.2f}" for weight in window_weights((1, 1, 4)).ravel()]
    ['0.00', '1.35', '10.00', '1.35']
    """
    point = np.zeros(patch)
    point[tuple(side // 2 for side in patch)] = 1
    weights = gaussian_filter(point, [side * IMPORTANCE_SIGMA for side in patch], mode="constant")
    weights = (weights * (_PEAK / weights.max())).astype(np.float16)
    weights[weights == 0] = weights[weights > 0].min()
    return np.asarray(weights, dtype=np.float32)


def _half(logits: NDArray[np.float32]) -> NDArray[np.float16]:
    return logits.astype(np.float16)


def _decide(logits: NDArray[Any], case: Prepared, part: NnunetPart) -> NDArray[np.uint16]:
    """Label of each voxel of the box, channel by channel."""
    labels = np.zeros(case.box_shape, dtype=np.uint16)
    highest = np.full(case.box_shape, -np.inf if part.exclusive else 0.0, dtype=np.float32)
    for channel, value in zip(logits, part.values, strict=True):
        found = resample(channel, case.box_shape, case.target_mm, case.source_mm, part.logit_rule)
        ahead = found > highest
        labels[ahead] = value
        if part.exclusive:
            highest[ahead] = found[ahead]
    return labels
