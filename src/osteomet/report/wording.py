"""What the report says in words and how it writes numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osteomet.core.classification import Classification, ClassifierKind, ClassifierUse
from osteomet.core.findings import Exam, ExamGrade, Findings, LevelFinding, MStage, Sins, SinsPart
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.mr_grade import MrCategory, MrGrade
from osteomet.core.vocabulary import COLUMN, STRUCTURES, Group, LesionType

_MOST_SITES = 8
_STAGE_MEANING = {MStage.M0: "no distant spread to bone seen", MStage.M1B: "distant spread to bone"}


def count(n: int, noun: str) -> str:
    """Write a number with its noun in the right form.

    Examples
    --------
    >>> count(1, "lesion"), count(3, "lesion")
    ('1 lesion', '3 lesions')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def join_words(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> join_words(["T12", "L3", "left hip bone"])
    'T12, L3 and left hip bone'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def statement(lesions: Sequence[Lesion], *, has_bone: bool) -> str:
    """Say in one sentence what was found: number, types in fixed order, sites from head to foot."""
    if not lesions:
        return "No lesion found" if has_bone else "No bone found in the field of view"
    types = Counter(lesion.type for lesion in lesions)
    if len(lesions) == 1:
        kinds = type_name(lesions[0].type)
    else:
        kinds = ", ".join(f"{types[kind]} {type_name(kind)}" for kind in LesionType if types[kind])
    sites = [site_name(site) for site in sorted({lesion.site for lesion in lesions}, key=_head_to_foot)]
    if len(sites) > _MOST_SITES:
        sites = [*sites[:_MOST_SITES], count(len(sites) - _MOST_SITES, "other site")]
    return f"{count(len(lesions), 'lesion')} suspicious for bone metastasis found: {kinds}, in {join_words(sites)}"


def type_name(kind: LesionType) -> str:
    """Name of a lesion type as it reads before a noun."""
    return "marrow-replacing" if kind is LesionType.MARROW else kind.value


def _head_to_foot(site: str) -> tuple[int, int]:
    """Sort key: vertebrae in the order of the column, then everything else by id."""
    return (COLUMN.index(site), 0) if site in COLUMN else (len(COLUMN), STRUCTURES[site].id)


def site_name(site: str) -> str:
    """Name of a bone as it reads inside a sentence.

    Examples
    --------
    >>> site_name("hip_left"), site_name("vertebra")
    ('left hip bone', 'vertebra (level not determined)')
    """
    name, comma, remark = STRUCTURES[site].display.partition(", ")
    return f"{name} ({remark})" if comma else name


def place_name(site: str, subsite: str | None) -> str:
    """Name of a bone and the part of it.

    Examples
    --------
    >>> place_name("L3", "body"), place_name("L3", "facet_left"), place_name("hip_left", None)
    ('L3 vertebral body', 'L3 left facet', 'left hip bone')
    >>> place_name("vertebra", "body")
    'vertebral body (level not determined)'
    """
    if subsite is None:
        return site_name(site)
    if subsite == "body":
        part = "vertebral body" if site in (*COLUMN, "vertebra") else "body"
    else:
        stem, _, side = subsite.rpartition("_")
        sided = side in ("left", "right")
        part = f"{side} {'posterior elements' if stem == 'posterior' else stem}" if sided else subsite
    part = part.replace("_", " ")
    return f"{part} (level not determined)" if site == "vertebra" else f"{site_name(site)} {part}"


def suggestions(exam: Exam) -> tuple[str, ...]:
    """Sentences on stage, grade and probability, each worded as a suggestion or as its absence."""
    stage = "No M category is suggested."
    if exam.m_stage is not None:
        stage = f"Suggestion: {exam.m_stage.value} ({_STAGE_MEANING[exam.m_stage]})."
    grade = "No exam grade is suggested."
    if exam.grade is not None:
        grade = f"Suggestion: exam grade {exam.grade.value} (none, mild or apparent)."
    probability = "Probability of bone metastasis not scored."
    if exam.probability is not None:
        state = "not calibrated" if exam.calibrated_on is None else f"calibrated on {exam.calibrated_on}"
        probability = f"Model's probability of bone metastasis: {exam.probability:.2f} ({state})."
    if exam.grade_probabilities is None:
        return stage, grade, probability
    shares = (f"{kind} {exam.grade_probabilities.of(kind):.2f}" for kind in ExamGrade)
    return stage, grade, probability, f"Probability of each grade: {', '.join(shares)}."


def package_name(one: Classification | ClassifierUse) -> str:
    """Name of a package that classifies, as it reads inside a sentence.

    Examples
    --------
    >>> package_name(Classification(ClassifierKind.GRADER, "wangd2023", "0.1.0", None, None, "no canal"))
    'the grader wangd2023 0.1.0'
    """
    return f"the {one.kind.value} {one.package} {one.version}"


def classification(one: Classification) -> str:
    """Say in a sentence what a package calls a lesion or an exam.

    Examples
    --------
    >>> shares = {"metastasis": 0.81, "primary": 0.19}
    >>> classification(Classification(ClassifierKind.NETWORKS, "a", "1", "metastasis", shares))
    'By the networks a 1: metastasis 0.81, primary 0.19.'
    """
    return f"By {package_name(one)}: {_shares(one)}."


def _shares(one: Classification) -> str:
    """Probabilities of a classification, or why there are none."""
    shares = ", ".join(f"{label} {number(share, 2)}" for label, share in (one.probabilities or {}).items())
    return "; ".join(part for part in (shares, one.note) if part)


def classification_sentences(findings: Findings) -> tuple[str, ...]:
    """Say what packages make of the exam, and how many lesions each of them calls of each class."""
    sentences = []
    for one in findings.exam.gradings:
        grade = "No exam grade" if one.prediction is None else f"Exam grade {one.prediction}"
        sentences.append(f"{grade} by {package_name(one)}: {_shares(one)}.")
    for use in findings.provenance.classifiers:
        if use.kind is ClassifierKind.GRADER or not findings.lesions:
            continue
        said = [x for lesion in findings.lesions for x in lesion.classifications]
        called = Counter(x.prediction for x in said if (x.kind, x.package) == (use.kind, use.package))
        parts = [f"{called[label]} {label}" for label in use.classes if called[label]]
        parts += [f"{called[None]} not classified"] if called[None] else []
        sentences.append(f"Lesions by {package_name(use)}: {join_words(parts)}.")
    return tuple(sentences)


def category_name(grade: MrGrade) -> str:
    """Say the category of a lesion on MR, or that it meets no primary criterion.

    Examples
    --------
    >>> category_name(MrGrade(MrCategory.PROBABLE, ())), category_name(MrGrade(None, ()))
    ('Probable metastasis', 'No primary criterion met')
    """
    if grade.category is None:
        return "No primary criterion met"
    noun = "lesion" if grade.category is MrCategory.INDETERMINATE else "metastasis"
    return f"{grade.category.value.capitalize()} {noun}"


def not_assessed(findings: Findings, bones: Iterable[str]) -> tuple[str, ...]:
    """Say what a reader must not take for looked at and normal, given the names of the bones that were outlined."""
    groups = {STRUCTURES[name].group for name in bones}
    columns = {
        Group.CERVICAL: "cervical spine",
        Group.THORACIC: "thoracic spine",
        Group.LUMBAR: "lumbar spine",
        Group.SACRAL: "sacrum",
        Group.PELVIS: "hip bones",
        Group.FEMUR: "proximal femora",
        Group.THORAX: "ribs and sternum",
    }
    missing = [words for group, words in columns.items() if group not in groups]
    cut_off = [site_name(level.name) for level in findings.levels if not level.complete]
    sentences = []
    if missing:
        sentences.append(f"Not in the field of view, or not recognised: {join_words(missing)}.")
    if cut_off:
        sentences.append(f"Cut off by the field of view, so only partly searched: {join_words(cut_off)}.")
    return (
        *sentences,
        "Skull, shoulder girdle, arms and legs below the proximal femur were not searched.",
        "Only bone was searched: soft tissue, organs, spinal canal, cord and nerve roots were not assessed.",
        "Pain and prior treatment are not visible on images; a score that needs them is given as a range.",
        "Benign causes of the same appearance (degeneration, fracture, haemangioma, bone island) are not excluded.",
    )


def number(value: float, digits: int) -> str:
    """Write a number with a true minus sign and no negative zero.

    Examples
    --------
    >>> number(-12.34, 1), number(-0.01, 1)
    ('−12.3', '0.0')
    """
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", "−")


def optional_number(value: float | None, digits: int, missing: str) -> str:
    """Write a number, or the given words where there is none."""
    return missing if value is None else number(value, digits)


def millilitres(value_ml: float) -> str:
    """Write a volume with two decimals below 10 ml and one above; the unit stands in the column's head."""
    return number(value_ml, 2 if value_ml < 10 else 1)


def orientation(grid: Grid) -> str:
    """Say where the array axes run in the patient, and by how much they miss the patient axes.

    Examples
    --------
    >>> orientation(Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)))
    'array axes run to the left, posterior and head'
    """
    words = (("right", "left"), ("anterior", "posterior"), ("feet", "head"))
    axes, tilt_deg = [], 0.0
    for column in grid.direction.T:
        main = int(np.argmax(np.abs(column)))
        axes.append(words[main][int(column[main] > 0)])
        tilt_deg = max(tilt_deg, float(np.degrees(np.arccos(min(1.0, abs(column[main]))))))
    oblique = f", up to {tilt_deg:.0f}° oblique" if tilt_deg >= 0.5 else ""
    return f"array axes run to the {join_words(axes)}{oblique}"


def geometry(grid: Grid) -> str:
    """Describe a grid in one line."""
    shape = " × ".join(str(n) for n in grid.shape)
    spacing = " × ".join(number(s, 2) for s in grid.spacing_mm)
    return f"{shape} voxels of {spacing} mm; {orientation(grid)}"


@dataclass(frozen=True, slots=True)
class SinsTable:
    """Scores side by side: names of the parts, then for each level its name, its score and its parts in that order."""

    parts: tuple[str, ...]
    rows: tuple[tuple[str, Sins, tuple[SinsPart | None, ...]], ...]


def sins_table(levels: Sequence[LevelFinding]) -> SinsTable | None:
    """Lay out the scores of all scored levels, None without any; a part that a level lacks is None."""
    scored = [(site_name(level.name), level.sins) for level in levels if level.sins is not None]
    if not scored:
        return None
    names = tuple(dict.fromkeys(part.name for _, score in scored for part in score.parts))
    rows = []
    for level, score in scored:
        parts = {part.name: part for part in score.parts}
        rows.append((level, score, tuple(parts.get(name) for name in names)))
    return SinsTable(names, tuple(rows))


def score_range(low: int, high: int) -> str:
    """Write points as one number or as a range.

    Examples
    --------
    >>> score_range(2, 2), score_range(7, 10)
    ('2', '7–10')
    """
    return str(low) if low == high else f"{low}–{high}"


def flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested settings or metrics into rows of dotted name and text; a figure with limits is one row.

    Examples
    --------
    >>> flatten({"lesion": {"dice": 0.7}, "classes": ["lytic", "sclerotic"]})
    [('lesion.dice', '0.7'), ('classes', 'lytic, sclerotic')]
    >>> flatten({"recall": {"value": 0.5, "low": 0.25, "high": 0.75, "unit": "1"}})
    [('recall', '0.500 (0.250–0.750)')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and {"value", "low", "high"} <= set(value):
            rows.append((name, _with_limits(value["value"], value["low"], value["high"])))
        elif isinstance(value, Mapping):
            rows += flatten(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            rows.append((name, ", ".join(str(v) for v in value)))
        else:
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _with_limits(value: float | None, low: float | None, high: float | None) -> str:
    """Write a figure with its interval, where it has one."""
    if value is None:
        return "undefined"
    limits = "" if low is None or high is None else f" ({number(low, 3)}–{number(high, 3)})"
    return f"{number(value, 3)}{limits}"
