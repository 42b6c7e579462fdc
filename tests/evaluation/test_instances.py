"""Lesions of label maps: components, ids, places, confidences, notes, and pairs by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.instances import CaseInstances, find_case_instances
from osteomet.evaluation.voxels import voxel_pair
from osteomet.io.case_images import CaseImages, LesionMap
from osteomet.io.dataset import CaseFacts, LesionNote

_TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
GRID = Grid.from_spacing((12, 10, 8), (1, 2, 5), origin_mm=(-50, 20, 7), direction=_TURN)
NAMES = {"lytic": 1, "sclerotic": 2}
FACTS = CaseFacts("case", "patient", {})


def semantic(array: NDArray[Any], *notes: LesionNote) -> LesionMap:
    return LesionMap(LabelMap(array, GRID, NAMES), tuple(NAMES), notes=notes)


def instances(array: NDArray[Any], *notes: LesionNote, scored: bool = False) -> LesionMap:
    names = {f"lesion_{n}": n for n in np.unique(array).tolist() if n}
    return LesionMap(LabelMap(array, GRID, names), (), is_instances=True, notes=notes, scored=scored)


def blank() -> NDArray[np.uint8]:
    return np.zeros(GRID.shape, np.uint8)


def find(
    reference: LesionMap, prediction: LesionMap | None, *, by_label: bool = False, probability: Volume | None = None
) -> CaseInstances:
    images = CaseImages(FACTS, reference, prediction, probability)
    pair = voxel_pair(reference.map, prediction.map if prediction else None)
    return find_case_instances(images, pair, by_label=by_label, tolerance_mm=1)


def test_components_touch_by_corners() -> None:
    array = blank()
    array[0, 0, 0] = array[1, 1, 1] = 1
    array[5, 5, 5] = array[7, 5, 5] = 1
    assert [x.n_voxels for x in find(semantic(array), None).references] == [2, 1, 1]


def test_touching_labels_are_one_lesion_or_two() -> None:
    array = blank()
    array[2:4, 2, 2], array[4:7, 2, 2] = 1, 2
    whole = find(semantic(array), None).references
    assert [(x.id, x.label, x.n_voxels) for x in whole] == [(1, "sclerotic", 5)]
    parts = find(semantic(array), None, by_label=True).references
    assert [(x.id, x.label, x.n_voxels) for x in parts] == [(1, "lytic", 2), (2, "sclerotic", 3)]


def test_size_and_place_on_an_oblique_grid() -> None:
    array = blank()
    array[2:6, 3, 1:3] = 1
    (lesion,) = find(semantic(array), None).references
    assert lesion.volume_ml == pytest.approx(0.08)
    assert lesion.centroid_xyz_mm == pytest.approx(tuple(GRID.to_xyz_mm((3.5, 3, 1.5))))


def test_values_of_an_instance_map_are_its_lesions() -> None:
    """Also when one is in two parts and two touch."""
    array = blank()
    array[0, 0, 0] = array[9, 9, 7] = 4
    array[1, 0, 0] = 200
    notes = (LesionNote(200, type="lytic", site="L3", cause="vessel", confidence=0.25),)
    first, second = find(semantic(blank()), instances(array, *notes, scored=True)).predictions
    assert (first.id, first.n_voxels, first.label, first.confidence) == (4, 2, None, None)
    assert (second.id, second.label, second.site, second.cause) == (200, "lytic", "L3", "vessel")
    assert second.confidence == 0.25


def test_confidence_is_the_highest_probability_inside() -> None:
    array, values = blank(), np.full(GRID.shape, 0.125, np.float32)
    array[1:3, 1, 1] = array[8, 8, 1] = 1
    values[1, 1, 1], values[2, 1, 1], values[8, 8, 1], values[5, 5, 5] = 0.5, 0.75, 0.25, 0.875
    probability = Volume(values, GRID, Modality.MR, Unit.ARBITRARY)
    case = find(semantic(blank()), semantic(array), probability=probability)
    assert [x.confidence for x in case.predictions] == [0.75, 0.25]
    assert case.score == 0.875


def test_score_of_a_case() -> None:
    array = blank()
    array[1, 1, 1], array[3, 3, 3] = 1, 2
    notes = (LesionNote(1, confidence=0.25), LesionNote(2, confidence=0.5))
    assert find(semantic(array), instances(array, *notes, scored=True)).score == 0.5
    assert find(semantic(array), instances(blank(), scored=True)).score == 0.0
    assert find(semantic(array), semantic(array)).score is None
    assert find(semantic(array), None).score is None


def test_site_of_a_component_by_place() -> None:
    """The place nearest to the centre of mass, of those inside the box, half a voxel granted."""
    array = blank()
    array[2:7, 2:5, 2] = 1
    array[10, 8, 6] = 1
    places = {"L3": (2, 2, 2), "L4": (4.4, 3, 2), "T12": (10, 8, 5.4), "L1": (9, 7, 7)}
    notes = []
    for site, ijk in places.items():
        x, y, z = GRID.to_xyz_mm(ijk).tolist()
        notes.append(LesionNote(site=site, xyz_mm=(x, y, z)))
    assert [x.site for x in find(semantic(array, *notes), None).references] == ["L4", None]


def test_pairs_by_hand() -> None:
    """A reference of 4×3×1 voxels shares 6 of its 12 with a prediction of that size; the others meet nothing."""
    reference, prediction = blank(), blank()
    reference[2:6, 2:5, 2] = reference[9, 8, 2] = 1
    prediction[4:8, 2:5, 2] = prediction[9, 8, 5] = 1
    case = find(semantic(reference), semantic(prediction))
    assert [(p.reference, p.prediction) for p in case.pairs] == [(1, 1)]
    (pair,) = case.pairs
    assert (pair.n_voxels, pair.iou, pair.dice) == (6, 6 / 18, 0.5)
    assert pair.box_iou == 6 / 18
    assert not pair.centroid_inside
    assert pair.surface is not None
    assert pair.surface.hausdorff_mm == pytest.approx(2)


def test_boxes_can_meet_where_masks_do_not() -> None:
    reference, prediction = blank(), blank()
    reference[2:6, 2, 2] = reference[2, 2:6, 2] = 1
    prediction[4:6, 4:6, 2] = 1
    (pair,) = find(semantic(reference), semantic(prediction)).pairs
    assert (pair.n_voxels, pair.iou, pair.box_iou, pair.surface) == (0, 0, 4 / 16, None)


def test_centre_of_mass_inside() -> None:
    reference, prediction = blank(), blank()
    reference[4, 4, 2] = 1
    prediction[3:6, 3:6, 2] = 1
    (pair,) = find(semantic(reference), semantic(prediction)).pairs
    assert pair.centroid_inside
    ring = prediction.copy()
    ring[4, 4, 2] = 0
    (pair,) = find(semantic(reference), semantic(ring)).pairs
    assert (pair.n_voxels, pair.centroid_inside) == (0, True)


def test_empty_maps_have_no_lesions() -> None:
    for prediction in (semantic(blank()), instances(blank()), None):
        case = find(semantic(blank()), prediction)
        assert (case.references, case.predictions, case.pairs) == ((), (), ())
        assert case.predicted == (prediction is not None)


def test_lesions_of_other_labels_are_no_pair_where_labels_matter() -> None:
    """A lytic lesion under a sclerotic prediction that overlaps it more than the lytic one does."""
    reference, prediction = blank(), blank()
    reference[1:9, 1, 1] = 1
    prediction[1:7, 1, 1], prediction[7:9, 1, 1] = 2, 1
    parts = find(semantic(reference), semantic(prediction), by_label=True)
    (pair,) = parts.pairs
    assert (parts.predictions[pair.prediction - 1].label, pair.n_voxels) == ("lytic", 2)
    assert pair.surface is not None
    (whole,) = find(semantic(reference), semantic(prediction)).pairs
    assert whole.iou == 1


def test_distances_of_the_best_prediction_only() -> None:
    reference, prediction = blank(), blank()
    reference[1:9, 1, 1] = 1
    prediction[1:3, 1, 1], prediction[4:9, 1, 1] = 1, 1
    worse, better = find(semantic(reference), semantic(prediction)).pairs
    assert worse.surface is None
    assert better.surface is not None
    assert better.surface.hausdorff_mm == 3


def test_one_label_alone() -> None:
    reference, prediction = blank(), blank()
    reference[1:4, 1, 1], reference[7:9, 7, 1] = 1, 2
    prediction[1:4, 1, 1], prediction[7:9, 7, 1] = 1, 1
    case = find(semantic(reference), semantic(prediction), by_label=True)
    lytic, sclerotic = case.of_label("lytic"), case.of_label("sclerotic")
    assert (len(lytic.references), len(lytic.predictions), len(lytic.pairs)) == (1, 2, 1)
    assert (len(sclerotic.references), len(sclerotic.predictions), len(sclerotic.pairs)) == (1, 0, 0)


def test_a_component_in_every_second_voxel() -> None:
    array = blank()
    array[::2, ::2, ::2] = 1
    assert len(find(semantic(array), None).references) == array.sum()


def test_matching_by_type_needs_types() -> None:
    array = blank()
    array[1, 1, 1] = 9
    with pytest.raises(
        DatasetError, match=r"case “case”: lesions are to be matched by type and some have none; got.*9"
    ):
        find(semantic(blank()), instances(array), by_label=True)
