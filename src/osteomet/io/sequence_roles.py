"""What a series is for, decided from its DICOM tags by a table that can be read from top to bottom.

The first rule whose test holds decides; its name and the values of the tags it looked at are the reason that users
see. A series that no rule knows gets no role: guessing wrong is worse than asking for ``--sequence ROLE=PATH``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from osteomet.core.vocabulary import SequenceRole
from osteomet.io.sequence_words import says


@dataclass(frozen=True, slots=True)
class SequenceTags:
    """The tags of one stack of slices that tell what it shows; empty or None where the file does not say.

    ``image_type`` is ImageType (FrameType in enhanced objects) in upper case, ``b_value_s_per_mm2`` comes from the
    standard tag or the private tag of the vendor, ``n_echo_times`` counts the echo times of the whole series,
    ``phase`` numbers the repetitions of a dynamic series from 1.
    """

    modality: str = ""
    sop_class: str = ""
    is_image: bool = True
    image_type: tuple[str, ...] = ()
    samples_per_pixel: int = 1
    series_description: str = ""
    protocol_name: str = ""
    sequence_name: str = ""
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_degree: float | None = None
    imaging_frequency_mhz: float | None = None
    n_echo_times: int = 1
    b_value_s_per_mm2: float | None = None
    phase: int | None = None
    contrast_agent: str = ""
    kernel: str = ""
    rescale_type: str = ""


@dataclass(frozen=True, slots=True)
class RoleDecision:
    """Role of a series, None where it is set aside, and the reason in words."""

    role: SequenceRole | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: what it is called, the role it gives, its test and the tags to quote."""

    name: str
    role: SequenceRole | None
    test: Callable[[SequenceTags], bool]
    evidence: tuple[str, ...]


_KEYWORDS = {
    "modality": "Modality",
    "sop_class": "SOPClass",
    "image_type": "ImageType",
    "samples_per_pixel": "SamplesPerPixel",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "sequence_name": "SequenceName",
    "scanning_sequence": "ScanningSequence",
    "sequence_variant": "SequenceVariant",
    "scan_options": "ScanOptions",
    "repetition_time_ms": "RepetitionTime",
    "echo_time_ms": "EchoTime",
    "inversion_time_ms": "InversionTime",
    "b_value_s_per_mm2": "DiffusionBValue",
    "phase": "TemporalPosition",
    "contrast_agent": "ContrastBolusAgent",
    "rescale_type": "RescaleType",
}

_FAT_WATER_SHIFT_PPM = 3.4


def _says(tags: SequenceTags, phrase: str) -> bool:
    """Look for a phrase in the description, or in the protocol where there is none.

    A protocol often names the whole exam ("lumbar without and with contrast"), so that it speaks only for a series that
    has no description of its own.
    """
    return says(tags.series_description or f"{tags.protocol_name} {tags.sequence_name}", phrase)


def _typed(tags: SequenceTags, *tokens: str) -> bool:
    return not set(tokens).isdisjoint(tags.image_type)


def _weighting_by_times(tags: SequenceTags) -> str | None:
    """T1 or T2 from repetition time, echo time and flip angle, None between them or without them.

    Spin echoes: TR below 1200 ms with TE below 40 ms is T1, TR of 1500 ms with TE of 60 ms and beyond is T2. Gradient
    echoes: only spoiled ones (SequenceVariant SP) with TE below 12 ms and a flip angle of 8 degrees and more count, as
    T1. Inversion recovery and echo-planar imaging follow other laws and are not judged here.
    """
    repetition, echo = tags.repetition_time_ms, tags.echo_time_ms
    if not repetition or echo is None or {"IR", "EP"} & set(tags.scanning_sequence):
        return None
    if "GR" in tags.scanning_sequence:
        is_flat = tags.flip_angle_degree is not None and tags.flip_angle_degree < 8
        return "t1" if "SP" in tags.sequence_variant and repetition < 1200 and echo < 12 and not is_flat else None
    if repetition < 1200 and echo < 40:
        return "t1"
    return "t2" if repetition >= 1500 and echo >= 60 else None


def _weighting(tags: SequenceTags) -> str | None:
    """T1 or T2 by the description or, where it says neither or both, by the times."""
    said = [name for name in ("t1", "t2") if _says(tags, name)]
    return said[0] if len(said) == 1 else _weighting_by_times(tags)


def _contradicts(tags: SequenceTags) -> bool:
    measured = _weighting_by_times(tags)
    return measured is not None and _weighting(tags) != measured


def _is_enhanced(tags: SequenceTags) -> bool:
    """Contrast medium by the description, else by the tag, which some scanners fill for the whole exam."""
    if _says(tags, "not enhanced"):
        return False
    agent = tags.contrast_agent.strip().upper()
    return _says(tags, "enhanced") or agent not in ("", "NO", "NONE", "N")


def _cycles(tags: SequenceTags) -> float | None:
    """Count the turns by which fat lags behind water at the echo time: a whole number is in phase, a half opposed."""
    if tags.n_echo_times != 2 or "GR" not in tags.scanning_sequence:
        return None
    if tags.echo_time_ms is None or not tags.imaging_frequency_mhz:
        return None
    return tags.echo_time_ms * 1e-3 * tags.imaging_frequency_mhz * _FAT_WATER_SHIFT_PPM


def _is_in_phase(tags: SequenceTags) -> bool:
    cycles = _cycles(tags)
    return (
        _typed(tags, "IN_PHASE", "IP", "IN")
        or _says(tags, "in phase")
        or (_says(tags, "dixon") and _says(tags, "in"))
        or (cycles is not None and cycles > 0.5 and abs(cycles - round(cycles)) < 0.2)
    )


def _is_opposed(tags: SequenceTags) -> bool:
    cycles = _cycles(tags)
    return (
        _typed(tags, "OPP_PHASE", "OP", "OUT_PHASE", "OPPOSED_PHASE", "OUT")
        or _says(tags, "opposed phase")
        or (_says(tags, "dixon") and _says(tags, "opposed"))
        or (cycles is not None and abs(cycles - round(cycles)) > 0.3)
    )


def _is_fat_only(tags: SequenceTags) -> bool:
    return (
        _typed(tags, "FAT", "F", "FAT_ONLY") or _says(tags, "fat only") or (_says(tags, "dixon") and _says(tags, "fat"))
    )


def _is_fat_free(tags: SequenceTags) -> bool:
    """Fat saturated, or the water image of a Dixon series."""
    return (
        _typed(tags, "WATER", "W", "WATER_ONLY")
        or not {"FS", "FAT_SAT", "SFS", "SPIR", "SPAIR", "FATSAT"}.isdisjoint(tags.scan_options)
        or _says(tags, "fat saturated")
        or _says(tags, "water only")
        or (_says(tags, "dixon") and _says(tags, "water"))
    )


def _is_stir(tags: SequenceTags) -> bool:
    """Inversion recovery that nulls fat: TI from 80 ms (0.3 T) to 350 ms (3 T with margin)."""
    nulls_fat = tags.inversion_time_ms is not None and 80 <= tags.inversion_time_ms <= 350
    return not _says(tags, "t1") and (_says(tags, "stir") or ("IR" in tags.scanning_sequence and nulls_fat))


def _is_diffusion(tags: SequenceTags) -> bool:
    """Tell diffusion; a b-value of 0 alone proves nothing, as some scanners write it into every series."""
    is_weighted = tags.b_value_s_per_mm2 is not None and tags.b_value_s_per_mm2 > 0
    return is_weighted or _typed(tags, "DIFFUSION", "TRACEW") or _says(tags, "diffusion")


def _is_t2_star(tags: SequenceTags) -> bool:
    """Named so, or a gradient echo that calls itself T2."""
    return _says(tags, "t2 star") or (tags.scanning_sequence == ("GR",) and _says(tags, "t2"))


def _is_projection(tags: SequenceTags) -> bool:
    types = ("PROJECTION IMAGE", "MIP", "MINIP", "MNIP", "MIN_IP", "MAX_IP", "CSA MIP", "VOLUME RENDERED", "VRT", "CPR")
    return _typed(tags, *types) or _says(tags, "projection")


_PLACE = ("image_type", "series_description")
_TIMES = ("series_description", "scanning_sequence", "repetition_time_ms", "echo_time_ms")
_NOT_ANATOMY = (
    *("P", "PHASE", "PHASE MAP", "I", "IMAGINARY", "REAL", "R", "FA", "TENSOR", "EADC", "EXPONENTIAL", "VELOCITY"),
    *("T1 MAP", "T2 MAP", "T2_STAR MAP", "R2_STAR MAP", "FAT_FRACTION", "WATER_FRACTION", "FF", "B0 MAP", "B1 MAP"),
)

RULES: tuple[Rule, ...] = (
    Rule("not an image of CT or MR", None, lambda t: t.modality not in ("CT", "MR"), ("modality", "sop_class")),
    Rule("not an image that can be read as slices", None, lambda t: not t.is_image, ("modality", "sop_class")),
    Rule("colour picture", None, lambda t: t.samples_per_pixel != 1, ("samples_per_pixel", "series_description")),
    Rule("localizer", None, lambda t: _typed(t, "LOCALIZER") or _says(t, "localizer"), _PLACE),
    Rule("projection or rendering", None, _is_projection, _PLACE),
    Rule(
        "material or spectral map, not in HU",
        None,
        lambda t: t.modality == "CT" and t.rescale_type in ("MGML", "Z_EFF", "ED", "EDW", "PCT", "OD"),
        ("rescale_type", "series_description"),
    ),
    Rule("CT in HU", SequenceRole.CT, lambda t: t.modality == "CT", ("modality", "image_type")),
    Rule("subtraction", None, lambda t: _typed(t, "SUBTRACT", "SUBTRACTION") or _says(t, "subtraction"), _PLACE),
    Rule("parameter or phase map", None, lambda t: _typed(t, *_NOT_ANATOMY) or _says(t, "map"), _PLACE),
    Rule("ADC map", SequenceRole.ADC, lambda t: _typed(t, "ADC", "ADC_UNSPECIFIED") or _says(t, "adc"), _PLACE),
    Rule("diffusion", SequenceRole.DWI, _is_diffusion, (*_PLACE, "sequence_name", "b_value_s_per_mm2")),
    Rule("T2* or susceptibility", None, _is_t2_star, ("series_description", "scanning_sequence")),
    Rule("fluid suppressed T2", None, lambda t: _says(t, "flair") and _weighting(t) != "t1", _TIMES),
    Rule(
        "dynamic series",
        SequenceRole.DYNAMIC,
        lambda t: _weighting(t) != "t2" and (t.phase is not None or _says(t, "dynamic")),
        ("series_description", "phase", "contrast_agent"),
    ),
    Rule("Dixon fat image", SequenceRole.FO, _is_fat_only, _PLACE),
    Rule("opposed phase has no role", None, _is_opposed, (*_PLACE, "echo_time_ms")),
    Rule(
        "T1-weighted after contrast medium",
        SequenceRole.CE,
        lambda t: not _is_stir(t) and not _contradicts(t) and _weighting(t) == "t1" and _is_enhanced(t),
        (*_TIMES, "contrast_agent"),
    ),
    Rule(
        "in phase",
        SequenceRole.T1_IP,
        lambda t: _is_in_phase(t) and _weighting(t) != "t2",
        (*_PLACE, "echo_time_ms"),
    ),
    Rule("short-TI inversion recovery", SequenceRole.STIR, _is_stir, (*_TIMES, "inversion_time_ms")),
    Rule("description and times disagree on the weighting", None, _contradicts, _TIMES),
    Rule(
        "T1-weighted with fat suppression and without contrast medium has no role",
        None,
        lambda t: _weighting(t) == "t1" and _is_fat_free(t),
        (*_TIMES, "scan_options", "image_type"),
    ),
    Rule("T1-weighted", SequenceRole.T1, lambda t: _weighting(t) == "t1", _TIMES),
    Rule("proton density", None, lambda t: _says(t, "proton density") and not _says(t, "t2"), _TIMES),
    Rule(
        "T2-weighted with fat suppression, read like STIR",
        SequenceRole.STIR,
        lambda t: _weighting(t) == "t2" and _is_fat_free(t),
        (*_TIMES, "scan_options", "image_type"),
    ),
    Rule("T2-weighted", SequenceRole.T2, lambda t: _weighting(t) == "t2", _TIMES),
)
"""The table; a role of None means: set aside."""


def decide_role(tags: SequenceTags, *, n_slices: int) -> RoleDecision:
    """Give a stack of slices its role by the first rule of `RULES` that holds.

    Parameters
    ----------
    tags
        What the headers say.
    n_slices
        Number of slices at different positions; fewer than two make no volume and get no role.

    Returns
    -------
    RoleDecision
        The role with the name of the rule and the tag values it looked at, or no role with the reason and what the
        user can do.

    Examples
    --------
    >>> decision = decide_role(SequenceTags(modality="MR", series_description="Sag T1 TSE"), n_slices=15)
    >>> decision.role.value, decision.reason
    ('T1', "T1-weighted: SeriesDescription 'Sag T1 TSE'")
    """
    for rule in RULES:
        if rule.test(tags):
            if rule.role is not None and n_slices < 2:
                return RoleDecision(None, f"{n_slices} slice makes no volume ({rule.name})")
            return RoleDecision(rule.role, _reason(rule, tags))
    unknown = Rule("no rule knows this series", None, lambda _: True, (*_TIMES, "image_type"))
    return RoleDecision(None, f"{_reason(unknown, tags)}; to use it pass --sequence ROLE=PATH")


def _reason(rule: Rule, tags: SequenceTags) -> str:
    quoted = _quote(tags, rule.evidence)
    return f"{rule.name}: {quoted}" if quoted else rule.name


def _quote(tags: SequenceTags, evidence: tuple[str, ...]) -> str:
    r"""Tag values in words, empty ones left out: ``ImageType ORIGINAL\PRIMARY; EchoTime 104``."""
    parts = []
    for field in evidence:
        value = getattr(tags, field)
        if isinstance(value, tuple):
            shown = "\\".join(value)
        elif isinstance(value, str):
            shown = f"'{value}'" if value else ""
        else:
            shown = "" if value is None else f"{value:g}"
        if shown:
            parts.append(f"{_KEYWORDS[field]} {shown}")
    return "; ".join(parts)
