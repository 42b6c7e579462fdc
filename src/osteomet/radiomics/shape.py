"""Size and shape of a region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.radiomics.mesh import measure_surface


def shape_features(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Shape of a region of one or more voxels.

    Returns
    -------
    Feature by name, in mm, mm² and mm³; elongation and flatness of a single voxel are NaN. ``Maximum2DDiameterRow``,
    ``Column`` and ``Slice`` lie in planes across the first, the second and the third array axis.

    Notes
    -----
    Axis lengths are four times the square roots of the eigenvalues of the covariance of the voxel centres: those of an
    ellipsoid of the same covariance, but for the factor √5 / 2.

    Examples
    --------
    >>> features = shape_features(np.ones((3, 1, 1), dtype=bool), (2.0, 1.0, 1.0))
    >>> features["VoxelVolume"], round(features["MajorAxisLength"], 6), features["Flatness"]
    (6.0, 6.531973, 0.0)
    """
    surface = measure_surface(mask, spacing_mm)
    points = np.argwhere(mask) * np.array(spacing_mm)
    centred = points - points.mean(axis=0)
    eigenvalues = np.maximum(np.linalg.eigvalsh(centred.T @ centred / len(points)), 0.0)
    eigenvalues[eigenvalues < 1e-12 * eigenvalues[-1]] = 0.0
    least, minor, major = np.sqrt(eigenvalues)
    sphere = float(36 * np.pi * surface.volume_mm3**2) ** (1 / 3)
    row, column, across = surface.diameters_in_plane_mm
    return {
        "Elongation": float(minor / major) if major > 0 else np.nan,
        "Flatness": float(least / major) if major > 0 else np.nan,
        "LeastAxisLength": 4 * float(least),
        "MajorAxisLength": 4 * float(major),
        "Maximum2DDiameterColumn": column,
        "Maximum2DDiameterRow": row,
        "Maximum2DDiameterSlice": across,
        "Maximum3DDiameter": surface.diameter_mm,
        "MeshVolume": surface.volume_mm3,
        "MinorAxisLength": 4 * float(minor),
        "Sphericity": sphere / surface.area_mm2,
        "SurfaceArea": surface.area_mm2,
        "SurfaceVolumeRatio": surface.area_mm2 / surface.volume_mm3,
        "VoxelVolume": len(points) * float(np.prod(spacing_mm)),
    }
