"""Statistics of the intensities of a region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_order_features(
    values: NDArray[np.float64], levels: NDArray[np.int32], voxel_volume_mm3: float
) -> dict[str, float]:
    """Statistics of the values of a region, one or more.

    Parameters
    ----------
    values, levels
        Intensity and grey level of each voxel.
    voxel_volume_mm3
        Volume of one voxel.

    Returns
    -------
    Feature by name. Skewness and kurtosis of a constant region are NaN, and so is the robust mean absolute deviation
    where no value lies between the 10th and the 90th percentile.

    Notes
    -----
    Kurtosis is that of Pearson, 3 for a normal distribution; IBSI subtracts these 3. Percentiles interpolate linearly.
    Entropy (bits) and uniformity are those of the grey levels, everything else of the intensities.

    Examples
    --------
    >>> features = first_order_features(np.array([1.0, 3.0]), np.array([1, 2], dtype=np.int32), 2.0)
    >>> features["Mean"], features["Energy"], features["TotalEnergy"], features["Entropy"]
    (2.0, 10.0, 20.0, 1.0)
    """
    mean = float(values.mean())
    p10, p25, median, p75, p90 = (float(p) for p in np.percentile(values, [10, 25, 50, 75, 90]))
    low, high = float(values.min()), float(values.max())
    centred = values - mean
    squared = centred * centred
    variance = float(squared.mean())
    energy = float(values @ values)
    inner = values[(values >= p10) & (values <= p90)]
    share = np.bincount(levels) / len(levels)
    share = share[share > 0]
    return {
        "10Percentile": p10,
        "90Percentile": p90,
        "Energy": energy,
        "Entropy": float(-(share * np.log2(share)).sum()) + 0.0,
        "InterquartileRange": p75 - p25,
        "Kurtosis": float((squared * squared).mean()) / variance**2 if low < high else np.nan,
        "Maximum": high,
        "MeanAbsoluteDeviation": float(np.abs(centred).mean()),
        "Mean": mean,
        "Median": median,
        "Minimum": low,
        "Range": high - low,
        "RobustMeanAbsoluteDeviation": float(np.abs(inner - inner.mean()).mean()) if len(inner) else np.nan,
        "RootMeanSquared": float(np.sqrt(energy / len(values))),
        "Skewness": float((squared * centred).mean()) / variance**1.5 if low < high else np.nan,
        "TotalEnergy": energy * voxel_volume_mm3,
        "Uniformity": float((share * share).sum()),
        "Variance": variance,
    }
