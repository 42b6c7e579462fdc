"""What decided about some lesions: occlusion maps of a fitted classifier, and whether they depend on its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osteomet.evaluation.tables import Table, Value
from osteomet.inference.classify import load_classifier, randomised_classifier
from osteomet.inference.engine import Device
from osteomet.io.feature_table import read_classes
from osteomet.io.lesion_cases import list_lesion_images
from osteomet.io.model_package import read_package
from osteomet.nn.occlusion import likeness
from osteomet.pipeline.lesion_cubes import LesionCube, cut_case
from osteomet.report.chart_style import save_chart
from osteomet.report.evaluation_page import ChartFile
from osteomet.report.explanation_charts import Explained, explanation_chart
from osteomet.training.classifier_recipe import ClassifierRecipe

_SEED = 1


@dataclass(frozen=True, slots=True)
class Explanations:
    """A row a lesion, and a picture of all."""

    table: Table
    chart: ChartFile


def explain_lesions(
    data: Path, package: Path, recipe: ClassifierRecipe, figures: Path, *, n_each: int, device: Device
) -> Explanations:
    """Explain the first lesions of each class of a data set.

    Parameters
    ----------
    data
        Data set that the classifier was fitted to.
    package
        The classifier.
    recipe
        Its recipe.
    figures
        Folder for the picture.
    n_each
        How many of each class.
    """
    model = read_package(package)
    classifier = load_classifier(model, device=device)
    part = classifier.part
    others = randomised_classifier(part, [model.weights[name] for name in part.weights], seed=_SEED, device=device)
    rows: list[tuple[Value, ...]] = []
    explained = []
    for cube, label in _first_of_each(data, recipe, n_each):
        fall = classifier.occlusion_map(cube.values)
        probability = float(classifier.probabilities(cube.values[None])[0, 0])
        rows.append((*cube.key, label, probability, likeness(fall, others.occlusion_map(cube.values))))
        middle = recipe.side // 2
        title = f"{cube.key[0]} #{cube.key[1]}, {label}: {probability:.2f}"
        image, mask = cube.values[0, :, :, middle], cube.values[-1, :, :, middle]
        explained.append(Explained(title, image, mask, fall[:, :, middle]))
    figure = explanation_chart(explained, image_name=part.channels[0].name, positive=recipe.positive)
    _, svg = save_chart(figure, figures, "explanations")
    caption = (
        f"What decided about the first lesions of each class: {part.channels[0].name} with the outline, and how far "
        f"the probability of {recipe.positive} falls where a box of all maps is covered. By networks that were fitted "
        "to these lesions too."
    )
    return Explanations(_table(rows, recipe), ChartFile(svg, caption))


def _first_of_each(data: Path, recipe: ClassifierRecipe, n_each: int) -> Sequence[tuple[LesionCube, str]]:
    """The first lesions of each class, with their class."""
    left = dict.fromkeys(recipe.classes, n_each)
    found = []
    names, cases = list_lesion_images(data, recipe.channels)
    for case in cases:
        for cube in cut_case(case, names, side=recipe.side, edge_mm=recipe.edge_mm):
            key = [(*cube.key, "")]
            (one,) = read_classes(data / "cases.csv", key, column=recipe.label_column, words=recipe.meanings)
            if left[one.label]:
                left[one.label] -= 1
                found.append((cube, one.label))
        if not any(left.values()):
            break
    return found


def _table(rows: Sequence[tuple[Value, ...]], recipe: ClassifierRecipe) -> Table:
    columns = ("case", "lesion", "reference", f"probability_{recipe.positive}", "likeness_to_random")
    note = (
        "likeness_to_random: rank correlation of the map with that of the same networks with random weights. A map "
        "that explains decisions must change with the weights: near 1 it shows the image and not what was learnt."
    )
    return Table("explanations", "Explained lesions", columns, tuple(rows), note)
