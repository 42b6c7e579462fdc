"""All features of one region."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.volume import Volume
from osteomet.radiomics.co_occurrence import co_occurrence_features
from osteomet.radiomics.first_order import first_order_features
from osteomet.radiomics.laplacian import laplacian_of_gaussian, too_short
from osteomet.radiomics.names import INTENSITY_FEATURES, ORIGINAL, SHAPE, log_name, wavelet_bands
from osteomet.radiomics.neighbourhood import neighbourhood_features
from osteomet.radiomics.preparation import Prepared, prepare
from osteomet.radiomics.region import LevelRegion, directions, find_levels, lay_out
from osteomet.radiomics.runs_and_zones import run_features, zone_features
from osteomet.radiomics.settings import RadiomicsSettings
from osteomet.radiomics.shape import shape_features
from osteomet.radiomics.wavelets import wavelet_bands_of

_SINGLE = "the region is a single voxel"


@dataclass(frozen=True, slots=True)
class RadiomicFeatures:
    """Features of one region.

    ``values`` has every feature of `osteomet.radiomics.names.feature_names`, in that order; NaN where it cannot be
    computed, and ``not_computed`` then says why. ``n_voxels`` counts the voxels of the region after resampling.
    """

    values: Mapping[str, float]
    not_computed: Mapping[str, str]
    n_voxels: int


def extract_features(volume: Volume, mask: NDArray[np.bool_], settings: RadiomicsSettings) -> RadiomicFeatures:
    """Compute the features of one region of an image.

    Parameters
    ----------
    volume
        The image.
    mask
        Voxels of the region, shape of the image.

    Returns
    -------
    RadiomicFeatures
        What needs more than the region has (two voxels, two grey levels, a larger image) is NaN, with the reason.

    Raises
    ------
    InputError
        If the mask is empty or of another shape, ``bin_width`` gives more than a million levels, or the settings leave
        no voxel.

    Notes
    -----
    Filters look beyond the region, and as far into the image as they reach. Texture is computed within the region only.
    Axes are those of the stored array: an image stored along other axes has the same voxels but other wavelet bands.
    The images are worked on in as many threads as there are processors; the result does not depend on their number.
    """
    if mask.shape != volume.grid.shape:
        raise InputError("mask and image differ in shape", got=f"{mask.shape} against {volume.grid.shape}")
    prepared = prepare(volume, mask, settings)
    shape = {f"{ORIGINAL}_{SHAPE}_{k}": float(v) for k, v in shape_features(prepared.mask, prepared.spacing_mm).items()}
    not_computed = {name: _SINGLE for name, value in shape.items() if np.isnan(value)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        filtered = pool.map(lambda work: work(), _filters(prepared, settings))
        images = {name: image for part in filtered for name, image in part.items()}
        figures = list(pool.map(lambda image: _intensity_features(image, prepared, settings), images.values()))
    values = dict(shape)
    for name, (features, reasons) in zip(images, figures, strict=True):
        values |= {f"{name}_{feature}": value for feature, value in features.items()}
        not_computed |= {f"{name}_{feature}": reason for feature, reason in reasons.items()}
    return RadiomicFeatures(values, not_computed, int(np.count_nonzero(prepared.mask)))


def _filters(prepared: Prepared, settings: RadiomicsSettings) -> list[Callable[[], dict[str, NDArray[Any] | str]]]:
    """Work that gives the images in the box of the region by name, or why one cannot be made; in order of the names."""
    array, spacing, box = prepared.array, prepared.spacing_mm, prepared.box

    def laplacian(sigma_mm: float) -> dict[str, NDArray[Any] | str]:
        reason = too_short(array.shape, sigma_mm, spacing)
        return {log_name(sigma_mm): reason or laplacian_of_gaussian(array, spacing, sigma_mm, box)}

    def wavelets() -> dict[str, NDArray[Any] | str]:
        bands = wavelet_bands_of(array, settings.wavelet, box)
        return {f"wavelet-{passes}": bands[passes] for passes in wavelet_bands(settings)}

    work: list[Callable[[], dict[str, NDArray[Any] | str]]] = [lambda: {ORIGINAL: array[box]}]
    work += [partial(laplacian, sigma) for sigma in settings.log_sigmas_mm]
    return work if settings.wavelet == "none" else [*work, wavelets]


def _intensity_features(
    image: NDArray[Any] | str, prepared: Prepared, settings: RadiomicsSettings
) -> tuple[dict[str, float], dict[str, str]]:
    """Features of one image in the box of the region, by class and name, and why some are NaN."""
    if isinstance(image, str):
        names = [f"{kind}_{name}" for kind, features in INTENSITY_FEATURES.items() for name in features]
        return dict.fromkeys(names, np.nan), dict.fromkeys(names, image)
    mask = prepared.counted
    intensities = image[mask].astype(np.float64)
    levels = find_levels(intensities, settings)
    region = lay_out(mask, levels, margin=max(settings.distances))
    steps = directions(settings.distances, in_plane=settings.in_plane)
    touching = directions((1,), in_plane=settings.in_plane)
    dependence, tone = neighbourhood_features(region, steps)
    classes = {
        "firstorder": first_order_features(intensities, levels, float(np.prod(prepared.spacing_mm))),
        "glcm": co_occurrence_features(region, steps, settings.aggregation),
        "gldm": dependence,
        "glrlm": run_features(region, touching, settings.aggregation),
        "glszm": zone_features(region, touching),
        "ngtdm": tone,
    }
    values = {f"{kind}_{name}": classes[kind][name] for kind, names in INTENSITY_FEATURES.items() for name in names}
    reasons = {name: _reason(name, region) for name, value in values.items() if np.isnan(value)}
    return values, reasons


def _reason(name: str, region: LevelRegion) -> str:
    """Why a feature cannot be computed."""
    if region.n_voxels == 1:
        return _SINGLE
    if name == "firstorder_RobustMeanAbsoluteDeviation":
        return "no value lies between the 10th and the 90th percentile"
    if name.startswith("firstorder"):
        return "all voxels of the region have one value"
    if len(region.present) == 1:
        return "all voxels of the region have one grey level"
    if name.startswith("glrlm"):
        return "no two voxels of the region lie on a line"
    return "no two neighbours in the region differ in grey level"
