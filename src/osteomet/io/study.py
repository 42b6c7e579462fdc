"""One study from whatever the user has: DICOM folders, zips, single files, image files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import numpy as np

from osteomet.core.errors import FormatError, InputError
from osteomet.core.findings import SeriesFacts
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Volume
from osteomet.io.dicom_files import FileRef, list_files, open_each
from osteomet.io.dicom_series import SeriesHeader, find_series_in, read_series
from osteomet.io.formats import is_image_file, read_volume
from osteomet.io.phase_clock import phase_times_s
from osteomet.io.sequence_roles import RoleDecision, decide_role
from osteomet.io.series_choice import Candidate, choose

FAT_HU = -50
FAT_FRACTION = 1e-3
"""An image in HU has at least this part of its voxels below this value; see `read_study`."""

_MAX_LISTED = 8


@dataclass(frozen=True, slots=True)
class StudySeries:
    """One series to analyse.

    ``b_value_s_per_mm2`` is known for DWI, ``phase`` counts the repetitions of a dynamic series from 1, and
    ``time_s`` is when one was taken, counted from the first; None where the files do not say.
    """

    role: SequenceRole
    volume: Volume
    facts: SeriesFacts
    b_value_s_per_mm2: float | None = None
    phase: int | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """The series of one patient at one time; UIDs and date are None for image files.

    ``set_aside`` names every other series that was found and says why it takes no part. ``study_date`` is
    ``YYYY-MM-DD``.
    """

    series: tuple[StudySeries, ...]
    set_aside: tuple[SeriesFacts, ...]
    study_instance_uid: str | None
    study_date: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies under some paths: image files and DICOM stacks."""

    images: tuple[FileRef, ...]
    headers: tuple[SeriesHeader, ...]


def read_study(inputs: Sequence[Path], *, sequences: Mapping[SequenceRole, Path]) -> Study:
    """Read the series of one study and say what was chosen and why.

    Parameters
    ----------
    inputs
        Folders (DICOM at any depth, or one image file), zip archives, DICOM files, or one image file (NIfTI, NRRD,
        MHA), which is taken for CT. May be empty when ``sequences`` is not.
    sequences
        Series whose role the user states (``--sequence ROLE=PATH``): an image file, or a path with one DICOM series.
        They win over what rules find.

    Returns
    -------
    Study
        At least one series.

    Raises
    ------
    InputError
        If there is nothing to analyse; a file is not an image; several studies, patients or image files are mixed; or
        values called CT cannot be HU.
    FormatError, SeriesError, GeometryError
        If a chosen series is damaged or incomplete; the message names file or position.

    Notes
    -----
    An image file does not say its modality. Any CT of a body shows fat, about −100 HU, and mostly air; an image with
    fewer than one voxel in a thousand below −50 is therefore not in HU (an MR, a label map, a CT scaled to 0–255 or
    with its offset lost) and is refused rather than measured. The same holds for DICOM.
    """
    if not inputs and not sequences:
        raise InputError("there is no input", remedy="pass a DICOM folder, a zip or an image file")
    stated = {role: _find([path]) for role, path in sequences.items()}
    found = _without(_find(inputs), {file for each in stated.values() for file in _files_of(each)})
    _check_one_study([*found.headers, *(header for each in stated.values() for header in each.headers)])
    series = [entry for role, each in stated.items() for entry in _read_stated(role, sequences[role], each)]
    candidates = [Candidate(h, decide_role(h.tags, n_slices=h.n_slices)) for h in found.headers]
    chosen, left = _choose(candidates, stated=set(stated))
    series += _read_candidates(chosen)
    set_aside = [_facts(c.header, c.decision.reason) for c in left]
    if found.images and not chosen and SequenceRole.CT not in stated:
        series.append(_read_only_image(found.images))
    else:
        set_aside += [_image_facts(file) for file in found.images]
    if not series:
        _refuse_unusable(inputs, set_aside)
    identity = _identity([c.header for c in chosen] or [h for each in stated.values() for h in each.headers])
    return Study(tuple(series), tuple(set_aside), *identity)


def read_dynamic(path: Path) -> tuple[StudySeries, ...]:
    """Read the phases of the one dynamic series under a path, in order.

    Parameters
    ----------
    path
        DICOM folder, at any depth, or zip. Of several series the one is taken that the rules for roles call dynamic; a
        series that is there alone is taken whatever it is called.

    Raises
    ------
    InputError
        If there is no such series, several series could be meant, or several studies or patients are mixed.
    FormatError, SeriesError, GeometryError
        If the series is damaged or incomplete.
    """
    headers = _find([path]).headers
    _check_one_study(headers)
    candidates = [Candidate(h, decide_role(h.tags, n_slices=h.n_slices)) for h in headers]
    chosen, _ = choose([c for c in candidates if c.decision.role is SequenceRole.DYNAMIC])
    if not chosen:
        return read_study([], sequences={SequenceRole.DYNAMIC: path}).series
    return tuple(_read_candidates(chosen))


def _find(paths: Sequence[Path]) -> _Found:
    """Sort the files under some paths into image files and DICOM stacks; a path with neither is refused."""
    files = {path: list_files(path) for path in paths}
    distinct = list(dict.fromkeys(file for listed in files.values() for file in listed))
    headers = find_series_in([file for file in distinct if not _has_image_suffix(file)])
    found = _Found(tuple(file for file in distinct if _is_scan_file(file)), tuple(headers))
    usable = {*found.images, *(frame.file for header in headers for frame in header.frames)}
    for path, listed in files.items():
        if usable.isdisjoint(listed):
            _refuse_empty(path, listed)
    return found


def _has_image_suffix(file: FileRef) -> bool:
    return is_image_file(Path(file.name))


def _is_scan_file(file: FileRef) -> bool:
    """Tell an image file by its name; ``.seg.nrrd`` holds segments and is passed over."""
    return _has_image_suffix(file) and not file.name.lower().endswith(".seg.nrrd")


def _refuse_empty(path: Path, files: Sequence[FileRef]) -> NoReturn:
    expected = "DICOM, or one image file (.nii, .nii.gz, .nrrd, .mha)"
    if path.is_file() and files == [FileRef(path)]:
        raise InputError("the file is not an image", expected=expected, got=str(path))
    if not files:
        raise InputError("the folder is empty", expected=expected, got=str(path))
    suffixes = Counter(Path(file.name).suffix or "no suffix" for file in files)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5))
    raise InputError(
        "there is no image in this folder", expected=expected, got=f"{len(files)} other files ({kinds}) in {path}"
    )


def _files_of(found: _Found) -> set[FileRef]:
    """Every file, by its resolved path."""
    files = {*found.images, *(frame.file for header in found.headers for frame in header.frames)}
    return {_resolved(file) for file in files}


def _resolved(file: FileRef) -> FileRef:
    return FileRef(file.path.resolve(), file.member)


def _without(found: _Found, files: set[FileRef]) -> _Found:
    """Leave out what the user gave a role by hand; ``files`` are resolved."""
    headers = tuple(header for header in found.headers if _resolved(header.frames[0].file) not in files)
    return _Found(tuple(file for file in found.images if _resolved(file) not in files), headers)


def _check_one_study(headers: Sequence[SeriesHeader]) -> None:
    """Refuse to mix patients or time points; series without UID or patient do not count."""
    images = [header for header in headers if header.tags.is_image]
    studies = {h.identity.study_instance_uid: h for h in images if h.identity.study_instance_uid}
    patients = {h.identity.patient: h for h in images if h.identity.patient}
    if len(studies) > 1 or len(patients) > 1:
        named = studies if len(studies) > 1 else patients
        listed = "; ".join(
            f"study {h.identity.study_instance_uid} of {h.identity.study_date or 'unknown date'} in {h.source}"
            for h in sorted(named.values(), key=lambda h: (h.identity.study_date or "", h.source))
        )
        what = "studies" if len(studies) > 1 else "patients"
        raise InputError(
            f"the input mixes {len(named)} {what}",
            expected="one study of one patient",
            got=listed,
            remedy="pass one of these folders",
        )


def _choose(candidates: Sequence[Candidate], *, stated: set[SequenceRole]) -> tuple[list[Candidate], list[Candidate]]:
    """Choose among the candidates for roles that the user has not filled; the others with their reasons."""
    open_ = [c for c in candidates if c.decision.role is not None and c.decision.role not in stated]
    chosen, left = choose(open_)
    for candidate in candidates:
        role = candidate.decision.role
        if role is None:
            left.append(candidate)
        elif role in stated:
            reason = f"{role.value} is given by --sequence ({candidate.decision.reason})"
            left.append(Candidate(candidate.header, RoleDecision(None, reason)))
    return chosen, left


def _read_stated(role: SequenceRole, path: Path, found: _Found) -> list[StudySeries]:
    """Read what the user gave for a role."""
    modality = Modality.CT if role is SequenceRole.CT else Modality.MR
    reason = f"given by --sequence {role.value}={path}"
    if found.images and not found.headers:
        if len(found.images) > 1:
            _refuse_several([str(file) for file in found.images], f"--sequence {role.value}")
        return [_read_image(found.images[0], role, reason)]
    usable = [h for h in found.headers if h.n_slices > 1 and h.tags.modality == modality]
    if not usable:
        raise InputError(f"--sequence {role.value} names no {modality.value} series that makes a volume", got=str(path))
    names = [h.identity.series_instance_uid or h.source for h in usable]
    multiple = role in (SequenceRole.DWI, SequenceRole.DYNAMIC)
    if len(set(names)) > 1 or (len(usable) > 1 and not multiple):
        _refuse_several([_title(h) for h in usable], f"--sequence {role.value}")
    return _read_candidates([Candidate(header, RoleDecision(role, reason)) for header in usable])


def _refuse_several(names: Sequence[str], where: str) -> NoReturn:
    raise InputError(
        "several images could be meant", expected=f"one for {where}", got="; ".join(names), remedy="pass the one to use"
    )


def _read_candidates(candidates: Sequence[Candidate]) -> list[StudySeries]:
    """Read chosen stacks; the phases of a dynamic series with their times."""
    phases = [c for c in candidates if c.decision.role is SequenceRole.DYNAMIC]
    times = phase_times_s([c.header for c in phases]) if len(phases) > 1 else None
    known = {} if times is None else {id(c): time for c, time in zip(phases, times, strict=True)}
    return [replace(_read_candidate(c), time_s=known.get(id(c))) for c in candidates]


def _read_candidate(candidate: Candidate) -> StudySeries:
    """Read the pixels of a chosen stack."""
    header, decision = candidate.header, candidate.decision
    role = decision.role
    assert role is not None
    volume, notes = read_series(header)
    _check_hounsfield(volume, header.source)
    b_value = header.tags.b_value_s_per_mm2 if role is SequenceRole.DWI else None
    phase = header.tags.phase if role is SequenceRole.DYNAMIC else None
    if b_value is not None:
        notes = (*notes, f"b = {b_value:g} s/mm²")
    if phase is not None:
        notes = (*notes, f"phase {phase}")
    facts = _with_volume(replace(_facts(header, decision.reason), role=role.value, notes=notes), volume)
    return StudySeries(role, volume, facts, b_value, phase)


def _read_only_image(images: Sequence[FileRef]) -> StudySeries:
    """Read the one image file, which is taken for CT."""
    if len(images) > 1:
        _refuse_several([str(file) for file in images], "one study (image files do not say whose they are)")
    return _read_image(images[0], SequenceRole.CT, "an image file is taken for CT")


def _refuse_unusable(inputs: Sequence[Path], set_aside: Sequence[SeriesFacts]) -> NoReturn:
    reasons = [f"{facts.description or facts.source}: {facts.reason}" for facts in set_aside[:_MAX_LISTED]]
    more = len(set_aside) - len(reasons)
    raise InputError(
        "the input has no series that can be analysed",
        expected="a CT, or an MR whose sequence is known",
        got="; ".join(reasons) + (f"; and {more} more" if more else "") or ", ".join(str(path) for path in inputs),
        remedy="pass the folder of a whole CT or MR series, or say what a series is with --sequence ROLE=PATH",
    )


def _read_image(file: FileRef, role: SequenceRole, reason: str) -> StudySeries:
    """Read an image file; one inside a zip is unpacked for the moment."""
    modality = Modality.CT if role is SequenceRole.CT else Modality.MR
    if file.member:
        with TemporaryDirectory(prefix="osteomet-") as folder:
            copy = Path(folder, file.name)
            for _, stream in open_each([file]):
                copy.write_bytes(stream.read())
            volume = read_volume(copy, modality=modality)
    else:
        volume = read_volume(file.path, modality=modality)
    _check_hounsfield(volume, str(file))
    facts = SeriesFacts(source=str(file), role=role.value, reason=reason, modality=modality.value)
    return StudySeries(role, volume, _with_volume(facts, volume))


def _check_hounsfield(volume: Volume, source: str) -> None:
    """Refuse a CT without fat and air."""
    if volume.modality is not Modality.CT:
        return
    fraction = np.count_nonzero(volume.array < FAT_HU) / volume.array.size
    if fraction < FAT_FRACTION:
        raise FormatError(
            "the values of this image are not HU, so that it cannot be read as CT",
            expected=f"fat and air: at least {FAT_FRACTION:.1%} of the voxels below {FAT_HU} HU",
            got=f"{fraction:.2%} in {source}, values {volume.array.min():g} to {volume.array.max():g}",
            remedy="export the CT in HU; for an MR say its sequence with --sequence ROLE=PATH",
        )


def _facts(header: SeriesHeader, reason: str) -> SeriesFacts:
    """Facts of a stack before it is read, without role."""
    identity = header.identity
    return SeriesFacts(
        source=header.source,
        role=None,
        reason=reason,
        modality=identity.modality or None,
        series_instance_uid=identity.series_instance_uid,
        frame_of_reference_uid=identity.frame_of_reference_uid,
        description=identity.description,
    )


def _with_volume(facts: SeriesFacts, volume: Volume) -> SeriesFacts:
    """Add the geometry that the volume ended up with."""
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in volume.grid.affine)
    return replace(facts, shape=volume.grid.shape, spacing_mm=volume.grid.spacing_mm, affine=rows)


def _image_facts(file: FileRef) -> SeriesFacts:
    reason = "image file beside a chosen series; to use it pass it by itself or with --sequence ROLE=PATH"
    return SeriesFacts(source=str(file), role=None, reason=reason)


def _title(header: SeriesHeader) -> str:
    tags = header.tags
    detail = "" if tags.b_value_s_per_mm2 is None else f", b = {tags.b_value_s_per_mm2:g} s/mm²"
    return f"'{header.identity.description or header.source}' ({header.n_slices} slices{detail})"


def _identity(headers: Sequence[SeriesHeader]) -> tuple[str | None, str | None]:
    """UID and date of the study, from the first series that states them."""
    uids = [h.identity.study_instance_uid for h in headers if h.identity.study_instance_uid]
    dates = [h.identity.study_date for h in headers if h.identity.study_date]
    return (uids[0] if uids else None), (dates[0] if dates else None)
