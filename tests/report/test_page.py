import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.classification import Classification, ClassifierKind, ClassifierUse
from osteomet.core.errors import GeometryError, InputError
from osteomet.core.findings import DISCLAIMER, Abstention, Exam, Findings, Provenance, StudyFacts
from osteomet.core.grid import Grid
from osteomet.core.model import ModelDescription
from osteomet.core.vocabulary import LesionType
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.report.page import render_report, write_report

Phantom = tuple[Findings, Volume, LabelMap, LabelMap]
MakePhantom = Callable[..., Phantom]

HOSTILE = "<script>alert('x')</script> & \"quoted\""


class Reader(HTMLParser):
    """Collects tags and text, and notices tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "input"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script", "title"} & set(self._open):
            self.text += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(column: Phantom, model: ModelDescription) -> str:
    return render_report(*column, model)


@pytest.fixture(scope="module")
def page(html: str) -> Reader:
    return Reader(html)


def words(reader: Reader) -> str:
    return re.sub(r"\s+", " ", reader.text)


def test_the_page_says_what_was_found_in_the_order_of_reading(page: Reader) -> None:
    text = words(page)
    order = [
        DISCLAIMER,
        "2 lesions suspicious for bone metastasis found: 1 lytic, 1 sclerotic, in L1 and L3",
        "Suggestion: M1b",
        "Suggestion: exam grade apparent",
        "Overview",
        "Bone window, level 300 HU, width 1200 HU",
        "20.0 × 16.0",
        "(0.0, 0.0, −40.0)",
        "Lesion 1 lytic, L3 vertebral body",
        "Lesion 2 sclerotic, L1 vertebral body",
        "27.0 / – / 28.0",
        "12.5 %",
        "Spinal Instability Neoplastic Score",
        "2–5",
        "Not assessed",
        "set aside",
        "localizer",
        "72 × 80 × 60 voxels of 2.00 × 2.00 × 2.50 mm; array axes run to the right, anterior and head",
        "Model and provenance",
        "small lesions are missed",
        "ab" * 32,
    ]
    place = 0
    for part in order:
        assert part in text[place:], f"{part!r} is missing or stands too early"
        place = text.index(part, place)


def test_nothing_is_loaded_from_anywhere(page: Reader, html: str) -> None:
    assert not re.search(r"(https?:)?//[a-z]|@import|url\(", re.sub(r'src="data:[^"]*"', "", html))
    for attrs in page.all("img"):
        assert (attrs["src"] or "").startswith("data:image/webp;base64,")
    targets = [attrs["href"] or "" for tag in ("a", "link") for attrs in page.all(tag)]
    assert all(target.startswith("#") or target == "data:," for target in targets)
    (policy,) = (attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs)
    assert policy is not None
    assert "default-src 'none'" in policy


def test_the_page_is_accessible(page: Reader) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("img")) == 2 + 2 * 3
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(attrs["scope"] in ("col", "row") for attrs in page.all("th"))
    ids = Counter(attrs["id"] for _, attrs in page.tags if "id" in attrs)
    assert max(ids.values()) == 1
    named = {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs}
    links = {(attrs["href"] or "")[1:] for attrs in page.all("a")}
    assert named | links <= set(ids)


def test_every_word_from_outside_is_escaped(
    make_phantom: MakePhantom, column_grid: Grid, model: ModelDescription
) -> None:
    box = ((-20.0, -15.0, 0.0), (20.0, 15.0, 24.0))
    findings, volume, bones, instances = make_phantom(
        column_grid, {"L2": (box,)}, abstentions=(Abstention("metal", HOSTILE),)
    )
    series = tuple(
        dataclasses.replace(one, description=HOSTILE, reason=HOSTILE, source=HOSTILE, notes=(HOSTILE,))
        for one in findings.study.series
    )
    findings = dataclasses.replace(
        findings,
        study=dataclasses.replace(findings.study, series=series),
        provenance=dataclasses.replace(findings.provenance, settings={HOSTILE: HOSTILE}, inputs=(HOSTILE,)),
    )
    hostile_model = dataclasses.replace(model, limitations=HOSTILE, metrics={HOSTILE: HOSTILE})
    page = Reader(render_report(findings, volume, bones, instances, hostile_model))
    assert len(page.all("script")) == 1
    assert page.text.count(HOSTILE) == 1 + 2 * 4 + 3 + 3


def test_abstentions_stand_at_the_top_with_their_reasons(
    make_phantom: MakePhantom, column_grid: Grid, model: ModelDescription
) -> None:
    box = ((-20.0, -15.0, 0.0), (20.0, 15.0, 24.0))
    reasons = (Abstention("numbering_uncertain", "no landmark"), Abstention("metal", "metal in the left hip"))
    text = words(Reader(render_report(*make_phantom(column_grid, {"L2": (box,)}, abstentions=reasons), model)))
    assert (
        0
        < text.find("Numbering uncertain no landmark")
        < text.find("Metal metal in the left hip")
        < text.find("Overview")
    )
    assert "No lesion found" in text
    assert "Suggestion: M0" in text


def test_a_scan_without_bone_has_a_report(
    make_phantom: MakePhantom, column_grid: Grid, model: ModelDescription, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(*make_phantom(column_grid, {}), model, path)
    page = Reader(path.read_text(encoding="utf-8"))
    assert "No bone found in the field of view" in page.text
    assert len(page.all("img")) == 2
    assert "straight" in page.text
    assert page.all("article") == []


def test_bones_without_a_column_and_a_single_vertebra_have_reports(
    make_phantom: MakePhantom, column_grid: Grid, model: ModelDescription
) -> None:
    box = ((30.0, -15.0, 0.0), (60.0, 15.0, 24.0))
    lesion = (LesionType.MIXED, "hip_left", ((40.0, -5.0, 5.0), (50.0, 5.0, 15.0)))
    html = render_report(*make_phantom(column_grid, {"hip_left": (box,)}, [lesion]), model)
    assert "1 lesion suspicious for bone metastasis found: mixed, in left hip bone" in html
    assert "Levels" not in Reader(html).text
    assert "No lesion found" in render_report(*make_phantom(column_grid, {"sacrum": (box,)}), model)


def test_an_oblique_mr_has_a_report(model: ModelDescription) -> None:
    a = np.deg2rad(20)
    direction = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    grid = Grid.from_spacing((16, 30, 30), (4.0, 1.0, 1.0), direction=direction)
    rng = np.random.default_rng(0)
    volume = Volume(rng.normal(100, 10, grid.shape).astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)
    nothing = LabelMap(np.zeros(grid.shape, np.uint8), grid, {})
    html = render_report(empty_findings(), volume, nothing, nothing, model)
    assert "percentiles 1 and 99.5" in html
    assert "up to 20° oblique" in html


def test_pictures_of_a_lesion_stay_small_even_in_pure_noise(
    make_phantom: MakePhantom, column_grid: Grid, model: ModelDescription
) -> None:
    # 5 MB for 30 lesions leave some 150 kB a lesion.
    box = ((-20.0, -15.0, 0.0), (20.0, 15.0, 24.0))
    lesions = [(LesionType.LYTIC, "L2", ((x, -4.0, 4.0), (x + 8.0, 4.0, 12.0))) for x in (-18.0, -2.0, 10.0)]
    sizes = []
    for n in (1, 3):
        findings, volume, bones, instances = make_phantom(column_grid, {"L2": (box,)}, lesions[:n])
        noise = np.random.default_rng(0).normal(200, 200, volume.grid.shape).astype(np.int16)
        sizes.append(len(render_report(findings, volume.with_array(noise), bones, instances, model)))
    assert (sizes[1] - sizes[0]) / 2 < 150_000


def test_maps_that_do_not_fit_are_refused(column: Phantom, column_grid: Grid, model: ModelDescription) -> None:
    findings, volume, bones, lesions = column
    moved = LabelMap(bones.array, Grid(column_grid.shape, np.diag([2.0, 2.0, 2.5, 1.0])), bones.labels)
    with pytest.raises(GeometryError, match=r"the map of bones does not lie on the grid of the image; expected shape"):
        render_report(findings, volume, moved, lesions, model)
    with pytest.raises(
        InputError, match=r"hold different lesions; expected voxels of the lesions \[\]; got .* \[1, 2\]"
    ):
        render_report(empty_findings(), volume, bones, lesions, model)


def empty_findings() -> Findings:
    provenance = Provenance("osteomet", "0.1", "m", "ab" * 32, "cpu", {}, (), "2026-01-02")
    return Findings(StudyFacts(None, None, ()), Exam(None, None, None), (), (), provenance)


def classified(findings: Findings) -> Findings:
    """Networks that call the first lesion and say nothing of the second, and a grader."""
    networks, grader = ClassifierKind.NETWORKS, ClassifierKind.GRADER
    says = Classification(networks, HOSTILE, "2", "metastasis", {"metastasis": 0.814, "primary": 0.186})
    silent = Classification(networks, HOSTILE, "2", None, None, "the lesion lies outside of what CE shows")
    grades = {"none": 0.05, "mild": 0.75, "apparent": 0.2}
    lesions = zip(findings.lesions, (says, silent), strict=True)
    uses = (
        ClassifierUse(networks, HOSTILE, "2", "cd" * 32, ("metastasis", "primary"), ("CE",)),
        ClassifierUse(grader, "spine", "1", "ef" * 32, tuple(grades), ("T1", "T2")),
    )
    return dataclasses.replace(
        findings,
        exam=dataclasses.replace(
            findings.exam, gradings=(Classification(grader, "spine", "1", "mild", grades, "it was hard"),)
        ),
        lesions=tuple(dataclasses.replace(lesion, classifications=(one,)) for lesion, one in lesions),
        provenance=dataclasses.replace(findings.provenance, classifiers=uses),
    )


def test_what_packages_say_stands_with_exam_lesions_and_provenance(column: Phantom, model: ModelDescription) -> None:
    html = render_report(classified(column[0]), *column[1:], model)
    assert HOSTILE not in html
    text = words(Reader(html))
    order = [
        "Exam grade mild by the grader spine 1: none 0.05, mild 0.75, apparent 0.20; it was hard.",
        f"Lesions by the networks {HOSTILE} 2: 1 metastasis and 1 not classified.",
        f"Confidence {HOSTILE} 2 (networks) Centre, LPS mm",
        "0.80 metastasis 0.81 (",
        "0.80 – (",
        f"By the networks {HOSTILE} 2: metastasis 0.81, primary 0.19.",
        f"By the networks {HOSTILE} 2: the lesion lies outside of what CE shows.",
        f"{HOSTILE} 2 (networks) metastasis, primary; on CE; SHA-256 {'cd' * 32}",
        f"spine 1 (grader) none, mild, apparent; on T1, T2; SHA-256 {'ef' * 32}",
    ]
    places = [text.find(part) for part in order]
    assert places == sorted(places), list(zip(order, places, strict=True))
    assert min(places) >= 0, order[places.index(-1)]
