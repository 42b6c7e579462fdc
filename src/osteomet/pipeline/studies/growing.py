"""Region growing as the method that the models of a study are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteomet.core.grid import check_same_grid
from osteomet.core.volume import LabelMap
from osteomet.image.region_growing import GrowingSettings, grow_region, sagittal_outline
from osteomet.io.formats import read_labels, write_labels
from osteomet.io.raw_dataset import RawCase
from osteomet.pipeline.studies.study_prediction import Draw
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.training.prepare import Prepared, read_sequences
from osteomet.training.study import GrowingRecipe, StudyRecipe


def draw_by_growing(run: StudyRun[StudyRecipe], wanted: GrowingRecipe) -> Draw:
    """Lesions that grow out of an outline on one sagittal slice.

    The outline is the one in ``outlinesTr``. Where there is none it is cut from the reference, which flatters: it is
    the largest section of the very lesion, drawn without an error.
    """
    settings = GrowingSettings(
        wanted.search_factor, wanted.smooth_mm, wanted.n_classes, wanted.least_touch, wanted.least_share
    )

    def draw(raw: RawCase, case: Prepared, folder: Path) -> None:
        enhancement = next(iter(read_sequences(raw, run.recipe).values()))
        lesion = read_labels(raw.labels)
        outline = sagittal_outline(lesion, thickness_mm=wanted.outline_mm)
        if raw.outline is not None:
            drawn = read_labels(raw.outline)
            check_same_grid(lesion.grid, drawn.grid, names=(f"case “{raw.name}”: its label map", "its outline"))
            outline = drawn.array > 0
        grown = grow_region(enhancement, outline, settings).astype(np.uint8)
        write_labels(LabelMap(grown, lesion.grid, {"lesion": 1}), folder / f"{case.case}.nii.gz")

    return draw
