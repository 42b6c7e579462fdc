"""The report as one HTML file that needs no network and no script."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from osteomet.core.classification import ClassifierKind
from osteomet.core.findings import Findings
from osteomet.core.model import ModelDescription
from osteomet.core.vocabulary import LesionType
from osteomet.core.volume import LabelMap, Volume
from osteomet.report import wording
from osteomet.report.figures import lesion_figures
from osteomet.report.marks import STYLES, Diamond, Line, Outline, Word
from osteomet.report.overview import overview_figures
from osteomet.report.scene import make_scene


def write_report(
    findings: Findings, volume: Volume, bones: LabelMap, lesions: LabelMap, model: ModelDescription, path: Path
) -> None:
    """Write the report of one study to ``path``; see `render_report`."""
    path.write_text(render_report(findings, volume, bones, lesions, model), encoding="utf-8")


def render_report(
    findings: Findings, volume: Volume, bones: LabelMap, lesions: LabelMap, model: ModelDescription
) -> str:
    """Render the report of one study as HTML.

    Parameters
    ----------
    findings
        What is said about the study.
    volume
        The image that the pictures are cut from, of any orientation; never copied whole.
    bones, lesions
        Structures, named as in the vocabulary, and lesion instances whose values are the ids of the findings, both on
        the grid of ``volume``.
    model
        Description of the model package that made the findings.

    Returns
    -------
    str
        A whole document with pictures and style inside. A study without lesions, or without any bone, has a report too.

    Raises
    ------
    GeometryError
        If the maps do not lie on the grid of the image.
    InputError
        If the lesion map and the findings do not hold the same lesions.

    Notes
    -----
    Pictures are cut along the patient's axes by trilinear sampling, so they look the same for every orientation of the
    grid. The marks over them are SVG: they stay sharp, and can be lifted without a script.
    """
    scene = make_scene(findings, volume, bones, lesions)
    return _template().render(
        findings=findings,
        model=model,
        grid=volume.grid,
        unit=volume.unit.value,
        window=scene.window.text,
        statement=wording.statement(findings.lesions, has_bone=bool(scene.bone_names)),
        not_assessed=wording.not_assessed(findings, scene.bone_names),
        sins=wording.sins_table(findings.levels),
        overview=overview_figures(scene),
        classifying=[use for use in findings.provenance.classifiers if use.kind is not ClassifierKind.GRADER],
        legend=[kind for kind in LesionType if any(lesion.type is kind for lesion in findings.lesions)],
        lesion_figures={shape.lesion.id: lesion_figures(scene, shape) for shape in scene.shapes},
    )


def _template() -> Template:
    """Load the page, so that everything that comes from a file is escaped."""
    environment = Environment(
        loader=PackageLoader("osteomet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(wording=wording, styles=STYLES)
    kinds = {"outline": Outline, "line": Line, "word": Word, "diamond": Diamond}
    environment.tests.update({name: lambda mark, kind=kind: isinstance(mark, kind) for name, kind in kinds.items()})
    return environment.get_template("page.html")
