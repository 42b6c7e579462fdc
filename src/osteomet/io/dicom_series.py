"""DICOM series: found in folders and zips, split into stacks that make one volume each, and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydicom import Dataset

from osteomet.core.errors import SeriesError
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_files import FileRef, damaged, list_files, open_each, quiet_pydicom, read_header
from osteomet.io.dicom_frames import REPEAT_TAGS, Frame, Identity, frames_of
from osteomet.io.dicom_geometry import (
    SAME_PLACE_MM,
    arrange,
    distinct_offsets_mm,
    head_foot_extent_mm,
    is_parallel,
    slice_offsets_mm,
)
from osteomet.io.dicom_pixels import read_array
from osteomet.io.sequence_roles import SequenceTags

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """A series, or one stack of a series that mixes several, known from its headers alone.

    ``frames`` share orientation, matrix, pixel spacing and everything in ``tags`` that changes what is seen. A series
    without geometry (reports, structure sets, screen captures) is listed too, so that it can be named when it is set
    aside; it is not `is_readable`.
    """

    identity: Identity
    tags: SequenceTags
    frames: tuple[Frame, ...]

    @property
    def is_readable(self) -> bool:
        """Whether it is CT or MR and its frames say where they lie."""
        return self.tags.is_image and self.tags.modality in tuple(Modality) and self.frames[0].plane is not None

    @property
    def n_slices(self) -> int:
        """Number of slices at different positions; 0 without geometry."""
        return len(distinct_offsets_mm(self.frames)) if self.is_readable else 0

    @property
    def slice_spacing_mm(self) -> float:
        """Median distance of neighbouring slices, mm; infinite for fewer than two."""
        return float(np.median(np.diff(distinct_offsets_mm(self.frames)))) if self.n_slices > 1 else float("inf")

    @property
    def head_foot_mm(self) -> float:
        """Extent along LPS z, mm; 0 without geometry."""
        return head_foot_extent_mm(self.frames) if self.is_readable else 0.0

    @property
    def source(self) -> str:
        """Folder or archive that holds all its files."""
        return os.path.commonpath({frame.file.folder for frame in self.frames})


def find_series(path: Path) -> list[SeriesHeader]:
    """Find every DICOM series in a folder (any depth), a zip archive or a single file.

    Files may have any name. DICOMDIR, hidden files and files that are not DICOM are passed over. A series that mixes
    stacks (orientations, matrices, b-values, echo times, Dixon images, phases) comes as one header for each stack.

    Returns
    -------
    list of SeriesHeader
        In order of series number; empty where there is no DICOM file.

    Raises
    ------
    InputError
        If the path does not exist or cannot be read.
    FormatError
        If a DICOM file is truncated or corrupt (it is never left out silently), or an archive is damaged.
    """
    return find_series_in(list_files(path))


def find_series_in(files: Iterable[FileRef]) -> list[SeriesHeader]:
    """Like `find_series`, of files already listed."""
    frames: list[Frame] = []
    with quiet_pydicom():
        for file, stream in open_each(files):
            dataset = read_header(file, stream)
            if dataset is not None:
                frames += _frames_of(dataset, file)
    series = _grouped(frames, _series_key)
    headers = [header for members in series for header in _stacks(members)]
    return sorted(
        headers, key=lambda h: (h.identity.series_number or 0, h.identity.series_instance_uid or "", h.source)
    )


def read_series(header: SeriesHeader) -> tuple[Volume, tuple[str, ...]]:
    """Read the pixels of a stack onto a regular grid.

    Returns
    -------
    tuple of Volume and notes
        CT in HU, MR in arbitrary units, on a right-handed grid whose third axis is the slice normal. Array index
        (i, j, k) is column, row, slice. The notes say what reading had to do: gantry tilt, duplicates, padding.

    Raises
    ------
    SeriesError
        If the header is not readable, a slice is missing, slices at one position differ, spacing is mixed, or a CT
        does not say how its values become HU.
    FormatError
        If pixels cannot be decoded.
    """
    if not header.is_readable:
        raise SeriesError(
            "this series cannot be read as a volume",
            expected="CT or MR slices with position, orientation and pixel spacing",
            got=f"{header.tags.modality or 'unknown modality'}, {header.tags.sop_class} in {header.source}",
        )
    modality = Modality(header.tags.modality)
    stack = arrange(header.frames)
    with quiet_pydicom():
        array, notes = read_array(header.frames, stack, modality)
    unit = Unit.HU if modality is Modality.CT else Unit.ARBITRARY
    return Volume(array, stack.grid, modality, unit), (*stack.notes, *notes)


def _frames_of(dataset: Dataset, file: FileRef) -> list[Frame]:
    try:
        return frames_of(dataset, file)
    except MemoryError:
        raise
    except Exception as error:  # values are decoded when they are looked at; damage can show in any way
        raise damaged(file, str(error)) from error


def _series_key(frame: Frame) -> Hashable:
    """Series of a frame; where a de-identifier emptied the UID, the folder and what else tells series apart."""
    identity = frame.identity
    if identity.series_instance_uid:
        return identity.series_instance_uid
    return (frame.file.folder, identity.modality, identity.series_number, identity.description)


def _stack_key(frame: Frame) -> Hashable:
    """Collect what must be equal within a volume apart from the orientation.

    CT scanners add words of their own to ImageType, so that only its three defined values count there; MR scanners
    tell Dixon images, phase images and maps apart by all of them.
    """
    tags = frame.tags
    is_ct = tags.modality == "CT"
    raster = None if frame.plane is None else (*frame.plane.shape, *(round(s, 3) for s in frame.plane.spacing_mm))
    echo_time = None if is_ct or tags.echo_time_ms is None else round(tags.echo_time_ms, 1)
    image_type = tags.image_type[: 3 if is_ct else None]
    return tags.modality, tags.sop_class, raster, image_type, tags.b_value_s_per_mm2, echo_time


def _stacks(series: list[Frame]) -> list[SeriesHeader]:
    """Split one series into stacks."""
    n_echo_times = len({frame.tags.echo_time_ms for frame in series})
    stacks = []
    for alike in _grouped(series, _stack_key):
        whole = SeriesHeader(alike[0].identity, alike[0].tags, tuple(alike))
        if not whole.is_readable:
            stacks.append(whole)
            continue
        for parallel in _parallel(alike):
            tags = replace(parallel[0].tags, n_echo_times=n_echo_times)
            repeats = _repeats(parallel)
            for phase, frames in enumerate(repeats, start=1):
                phase_tags = tags if len(repeats) == 1 else replace(tags, phase=phase)
                stacks.append(SeriesHeader(frames[0].identity, phase_tags, tuple(frames)))
    return stacks


def _parallel(frames: list[Frame]) -> list[list[Frame]]:
    """Split by orientation, with tolerance for the last digits."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if is_parallel(frame, group[0]):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _repeats(frames: list[Frame]) -> list[list[Frame]]:
    """Split repetitions of the same positions by the first tag that does it cleanly, else return all as one.

    Cleanly means that every value of the tag has the same positions, each once. A single duplicate slice is therefore
    never taken for a repetition.
    """
    n_places = len(distinct_offsets_mm(frames))
    if n_places == len(frames):
        return [frames]
    for tag in REPEAT_TAGS:
        groups = _grouped_by_tag(frames, tag)
        if len(groups) > 1 and all(len(group) == n_places == len(distinct_offsets_mm(group)) for group in groups):
            offsets = [np.sort(slice_offsets_mm(group)) for group in groups]
            if all(np.allclose(offsets[0], other, rtol=0, atol=SAME_PLACE_MM) for other in offsets):
                return groups
    return [frames]


def _grouped_by_tag(frames: Iterable[Frame], tag: str) -> list[list[Frame]]:
    """Group by the value of one of the tags of repetition, in order of that value."""
    values: dict[str, list[Frame]] = {}
    for frame in frames:
        values.setdefault(frame.repeat_tags.get(tag, ""), []).append(frame)
    return [values[value] for value in sorted(values, key=_in_order)]


def _in_order(value: str) -> tuple[float, str]:
    """Sort numbers as numbers."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _grouped(items: Iterable[_T], key: Callable[[_T], Hashable]) -> list[list[_T]]:
    """Group by key, in order of first appearance."""
    groups: dict[Hashable, list[_T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
