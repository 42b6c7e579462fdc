"""Maps of dynamic series, one series or a whole data set: how strongly, how fast and how long each voxel enhances."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from osteomet import __version__
from osteomet.core.errors import InputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.dynamic import DynamicSeries, align_phases, enhancement_curves, enhancement_maps, find_arrival_s
from osteomet.image.tofts import concentration_mm, fit_extended_tofts
from osteomet.io.formats import read_volume, write_volume
from osteomet.io.lesion_cases import list_lesion_images
from osteomet.io.naming import naming_case
from osteomet.io.output import output_folder
from osteomet.io.phase_times import read_phase_times, times_of
from osteomet.io.study import read_dynamic
from osteomet.pipeline.studies.study_job import Tell
from osteomet.radiomics.settings import read_toml

MAPS = ("wash_in_per_s", "wash_out_per_s", "peak_enhancement", "time_to_peak_s", "area_s")
"""Maps that are always made, in the order of their channels."""
TOFTS_MAPS = ("ktrans_per_min", "ve", "vp")
_WHERE_FOUND = {
    "t1_ms": "of the tissue before contrast medium, measured or from a table",
    "tr_ms": "as the series names it (RepetitionTime)",
    "flip_degree": "as the series names it (FlipAngle)",
    "relaxivity_per_mm_s": "of the contrast medium at this field strength, such as 4.5",
}
"""Where the settings of the Tofts model come from, for the remedy of an error."""
_KEPT_TABLES = ("cases.csv", "lesions.csv")
_KEPT_FOLDERS = ("labels", "instances", "bones")


@dataclass(frozen=True, slots=True)
class ToftsSettings:
    """What turns signal into concentration: T1 before contrast, the protocol, and the relaxivity of the medium."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    t1_ms: float
    tr_ms: float
    flip_degree: float
    relaxivity_per_mm_s: float

    def __post_init__(self) -> None:
        for key in ("t1_ms", "tr_ms", "flip_degree", "relaxivity_per_mm_s"):
            if not 0 < getattr(self, key) < float("inf"):
                raise UsageError(
                    f"{key} cannot be meant",
                    expected="a positive number",
                    got=f"{getattr(self, key):g}",
                    remedy=f"write {key} {_WHERE_FOUND[key]}",
                )


def read_tofts(path: Path) -> ToftsSettings:
    """Read settings from a TOML file; raises as `osteomet.radiomics.settings.read_settings`."""
    return read_toml(path, ToftsSettings)


@dataclass(frozen=True, slots=True)
class MapSettings:
    """How maps are made.

    Parameters
    ----------
    arrival_s
        When the contrast medium arrives, by the clock of the times; None finds it in each series.
    align
        Whether motion between the phases is undone.
    tofts
        Settings of the extended Tofts model, whose maps are made too; None for none.
    """

    arrival_s: float | None = None
    align: bool = True
    tofts: ToftsSettings | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the maps."""
        return MAPS + (TOFTS_MAPS if self.tofts is not None else ())


@dataclass(frozen=True, slots=True, eq=False)
class SeriesMaps:
    """Maps of one series by name, and what is worth knowing about them: arrival, motions, voxels without a value."""

    maps: Mapping[str, Volume]
    facts: Mapping[str, Any]


def make_maps(phases: Sequence[Volume], times_s: Sequence[float], settings: MapSettings) -> SeriesMaps:
    """Make the maps of one series.

    A voxel without a value, in air or where there is no such slope, is 0 in a map; ``undefined_voxels`` counts them.

    Raises
    ------
    SeriesError, GeometryError, InputError
        As `osteomet.image.dynamic.DynamicSeries`, `find_arrival_s` and `osteomet.image.tofts.fit_extended_tofts`.
    """
    arrival = find_arrival_s(phases, times_s) if settings.arrival_s is None else settings.arrival_s
    series, motions = DynamicSeries(tuple(phases), tuple(times_s), arrival), (np.eye(4),) * len(phases)
    if settings.align:
        series, motions = align_phases(series)
    found = enhancement_maps(series)
    arrays = {name: getattr(found, name) for name in MAPS}
    if settings.tofts is not None:
        arrays |= _tofts(series, settings.tofts)
    facts = {
        "times_s": list(times_s),
        "arrival_s": arrival,
        "motion_mm": [round(float(np.linalg.norm(_at_middle(series.phases[0].grid, m))), 3) for m in motions],
        "undefined_voxels": {name: int((~np.isfinite(array)).sum()) for name, array in arrays.items()},
    }
    grid = series.phases[0].grid
    maps = {
        name: Volume(np.nan_to_num(a, posinf=0.0, neginf=0.0).astype(np.float32), grid, Modality.MR, Unit.ONE)
        for name, a in arrays.items()
    }
    return SeriesMaps(maps, facts)


def map_series(
    phases: Sequence[Path], times_s: Sequence[float], out: Path, settings: MapSettings, *, overwrite: bool
) -> SeriesMaps:
    """Write the maps of one series into a folder, ``NAME.nii.gz`` each, with ``maps.json``.

    Raises
    ------
    UsageError
        If phases and times differ in number, or the folder exists.
    InputError
        If a file cannot be read, and as `make_maps`.
    """
    if len(phases) != len(times_s):
        raise _wrong_times(len(phases), len(times_s))
    found = make_maps([read_volume(path, modality=Modality.MR) for path in phases], times_s, settings)
    _write_maps(found, {"phases": [path.name for path in phases]}, out, overwrite=overwrite)
    return found


def map_dicom(
    path: Path, times_s: Sequence[float] | None, out: Path, settings: MapSettings, *, overwrite: bool
) -> SeriesMaps:
    """Write the maps of a dynamic DICOM series into a folder, as `map_series` does.

    Parameters
    ----------
    path
        As for `osteomet.io.study.read_dynamic`.
    times_s
        When each phase was taken; None takes the times of the headers.

    Raises
    ------
    UsageError
        If phases and times differ in number, or the folder exists.
    InputError
        If the series cannot be read or its headers do not say when phases were taken, and as `make_maps`.
    """
    phases = read_dynamic(path)
    source = Path(phases[0].facts.source).name
    known = [one.time_s for one in phases if one.time_s is not None]
    if times_s is None and len(known) < len(phases):
        raise InputError(
            f"the headers of {source} do not say when its phases were taken",
            expected="TemporalPositionTimeOffset, AcquisitionTime or TriggerTime in each of two phases or more",
            got=f"{len(phases)} phases",
            remedy="state them with --times",
        )
    if times_s is not None and len(times_s) != len(phases):
        raise _wrong_times(len(phases), len(times_s))
    found = make_maps([one.volume for one in phases], known if times_s is None else times_s, settings)
    facts = {"series": source, "description": phases[0].facts.description, "n_phases": len(phases)}
    _write_maps(found, facts, out, overwrite=overwrite)
    return found


def map_dataset(data: Path, out: Path, settings: MapSettings, *, overwrite: bool, tell: Tell) -> tuple[str, ...]:
    """Make a data set of maps, a channel each, of one whose channels are the phases of dynamic series.

    Tables, label maps, instances and bones come along. Returns the names of the cases.

    Raises
    ------
    UsageError
        If the folder exists.
    DatasetError, GeometryError
        If ``phases.csv`` lacks a time, a phase is missing, or they are not in order; the message names the case.
    """
    times = read_phase_times(data)
    channels, cases = list_lesion_images(data)
    facts = {}
    with output_folder(out, overwrite=overwrite) as folder:
        for done, case in enumerate(cases, start=1):
            with naming_case(case.case):
                taken = times_of(times, case.case, channels)
                found = make_maps([read_volume(p, modality=Modality.MR) for p in case.images], taken, settings)
            images = folder / case.images[0].parent.name
            images.mkdir(exist_ok=True)
            for number, name in enumerate(settings.names):
                write_volume(found.maps[name], images / f"{case.case}_{number:04d}.nii.gz")
            facts[case.case] = found.facts
            tell("maps", done, len(cases), case.case)
        _copy_rest(data, folder)
        _write_dataset(data, folder, settings.names)
        _write_facts({"cases": facts}, folder)
    return tuple(facts)


def _wrong_times(n_phases: int, n_times: int) -> UsageError:
    return UsageError(
        "each phase of a dynamic series has its time", expected=f"--times with {n_phases} numbers", got=f"{n_times}"
    )


def _write_maps(found: SeriesMaps, source: Mapping[str, Any], out: Path, *, overwrite: bool) -> None:
    """Write the maps of one series, and what is worth knowing about them."""
    with output_folder(out, overwrite=overwrite) as folder:
        for name, volume in found.maps.items():
            write_volume(volume, folder / f"{name}.nii.gz")
        _write_facts({**source, **found.facts}, folder)


def _tofts(series: DynamicSeries, tofts: ToftsSettings) -> dict[str, NDArray[np.float64]]:
    """Maps of the extended Tofts model."""
    _, curves = enhancement_curves(series)
    concentration = concentration_mm(
        curves,
        t1_ms=tofts.t1_ms,
        tr_ms=tofts.tr_ms,
        flip_degree=tofts.flip_degree,
        relaxivity_per_mm_s=tofts.relaxivity_per_mm_s,
    )
    fit = fit_extended_tofts(concentration, [time - series.arrival_s for time in series.times_s])
    return {name: getattr(fit, name) for name in TOFTS_MAPS}


def _at_middle(grid: Grid, motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much a motion displaces the middle of the image."""
    middle = grid.to_xyz_mm((np.array(grid.shape) - 1) / 2)
    return np.asarray(motion[:3, :3] @ middle + motion[:3, 3] - middle)


def _copy_rest(data: Path, folder: Path) -> None:
    """Copy tables and label maps."""
    for name in _KEPT_TABLES:
        if (data / name).is_file():
            shutil.copy(data / name, folder / name)
    for part in ("Tr", "Ts"):
        for kind in _KEPT_FOLDERS:
            if (data / f"{kind}{part}").is_dir():
                shutil.copytree(data / f"{kind}{part}", folder / f"{kind}{part}")


def _write_dataset(data: Path, folder: Path, names: Sequence[str]) -> None:
    """Write ``dataset.json`` with the maps as channels and all else as it was."""
    path = data / "dataset.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    content |= {"channel_names": {str(n): name for n, name in enumerate(names)}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_facts(facts: Mapping[str, Any], folder: Path) -> None:
    text = json.dumps({"software": f"osteomet {__version__}", **facts}, indent=2, ensure_ascii=False)
    (folder / "maps.json").write_text(text + "\n", encoding="utf-8")
