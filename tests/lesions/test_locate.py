from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.lesions.anatomy import read_anatomy
from osteomet.lesions.frame import Frame
from osteomet.lesions.locate import Site, locate_lesions

CENTRE_MM = np.array([13.0, -92.0, 405.0])
Spine = tuple[LabelMap, LabelMap]
NAMES = {name: structure.id for name, structure in STRUCTURES.items()}


def scoliotic() -> Frame:
    """Turned by 30° about its axis: there a lesion in the right pedicle lies left of the body's centre."""
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    return Frame(CENTRE_MM, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))


def balls(grid: Grid, centres_mm: list[NDArray[np.float64]], radius_mm: float) -> NDArray[np.uint16]:
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    instances = np.zeros(grid.shape, dtype=np.uint16)
    for number, centre in enumerate(centres_mm, start=1):
        instances[((xyz - centre) ** 2).sum(axis=-1) <= radius_mm**2] = number
    return instances


@pytest.mark.parametrize("frame", [Frame(CENTRE_MM, np.eye(3)), scoliotic()], ids=["straight", "scoliotic"])
def test_parts_of_a_vertebra_are_told_apart_in_its_own_frame(
    make_spine: Callable[..., Spine], vertebra_grid: Grid, frame: Frame
) -> None:
    bones, parts = make_spine(vertebra_grid, [("T8", frame)])
    expected = {
        "body": (8, -2, 3),
        "posterior_left": (13, 22, 0),
        "posterior_right": (-13, 22, 0),
        "spinous_process": (0, 46, 0),
    }
    centres = [frame.to_xyz_mm(local) for local in expected.values()]
    anatomy = read_anatomy(bones, parts, field_of_view=vertebra_grid)
    sites = locate_lesions(balls(vertebra_grid, centres, 3.0), anatomy)
    assert [site and (site.site, site.subsite) for site in sites.values()] == [("T8", part) for part in expected]


def test_the_scoliotic_case_would_fool_the_axes_of_the_patient() -> None:
    right_pedicle = scoliotic().to_xyz_mm((-13, 30, 0))
    patient_left_mm = right_pedicle[0] - CENTRE_MM[0]
    assert patient_left_mm < -20
    assert scoliotic().to_xyz_mm((13, 30, 0))[0] - CENTRE_MM[0] < 0


def line(labels: list[int], lesion: slice) -> tuple[NDArray[np.uint16], LabelMap]:
    """A row of 1 mm voxels of the given bone labels with one lesion."""
    bones = np.array(labels, dtype=np.uint8)[:, None, None]
    instances = np.zeros(bones.shape, dtype=np.uint16)
    instances[lesion] = 4
    return instances, LabelMap(bones, Grid.from_spacing(bones.shape, (1, 1, 1)), NAMES)


def site(labels: list[int], lesion: slice) -> Site | None:
    instances, bones = line(labels, lesion)
    parts = LabelMap(np.zeros_like(bones.array), bones.grid, {"body": 1, "posterior": 2})
    return locate_lesions(instances, read_anatomy(bones, parts, field_of_view=bones.grid))[4]


def test_most_voxels_decide_and_those_outside_vote_for_the_nearest_bone() -> None:
    hip, sacrum = NAMES["hip_left"], NAMES["sacrum"]
    assert site([hip] * 4 + [sacrum] * 6, slice(0, 7)) == Site("hip_left", None, 1.0)
    assert site([hip] * 4 + [sacrum] * 6, slice(2, 10)) == Site("sacrum", None, 1.0)
    # In the gap two voxels are nearer to the hip bone and six nearer to the sacrum.
    assert site([hip] * 2 + [0] * 12 + [sacrum] * 2, slice(6, 14)) == Site("sacrum", None, 0.0)
    # One voxel in the hip bone, five beside it.
    grown_out = site([hip] * 2 + [0] * 12 + [sacrum] * 2, slice(1, 7))
    assert grown_out is not None
    assert grown_out.site == "hip_left"
    assert grown_out.inside_fraction == pytest.approx(1 / 6)


def test_a_lesion_wholly_outside_gets_the_nearest_bone_within_reach_or_none() -> None:
    rib = NAMES["rib"]
    assert site([rib] + [0] * 19, slice(9, 11)) == Site("rib", None, 0.0)
    assert site([rib] + [0] * 19, slice(11, 13)) is None
    assert site([0] * 20, slice(5, 8)) is None


def test_no_lesion_has_no_site_and_what_does_not_fit_is_refused() -> None:
    instances, bones = line([1, 1, 1], slice(0, 0))
    parts = LabelMap(np.zeros_like(bones.array), bones.grid, {"body": 1, "posterior": 2})
    anatomy = read_anatomy(bones, parts, field_of_view=bones.grid)
    assert locate_lesions(instances, anatomy) == {}
    with pytest.raises(GeometryError, match="instances and bones differ in shape"):
        locate_lesions(instances[:2], anatomy)
    with pytest.raises(FormatError, match="must name body and posterior"):
        read_anatomy(bones, LabelMap(parts.array, parts.grid, {"body": 1}), field_of_view=bones.grid)
    elsewhere = Grid.from_spacing(bones.grid.shape, (2, 1, 1))
    with pytest.raises(GeometryError, match="bones and vertebra parts differ in geometry"):
        read_anatomy(bones, LabelMap(parts.array, elsewhere, parts.labels), field_of_view=bones.grid)
