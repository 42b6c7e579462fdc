"""The user's own bones in cohorts: fields of view follow them, lesions lie in them, and what is lacking is named."""

from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.core.volume import LabelMap
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.cohorts import follow_up
from osteomet.phantom.cohorts.draw import COHORTS, draw_patient
from osteomet.phantom.cohorts.fields import labelled_box, pelvic_box, spine_boxes
from osteomet.phantom.cohorts.follow_up import Change, draw_changes
from osteomet.phantom.cohorts.own_bones import check_bones, ids_of, share_of, shown
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bones_from_labels

HIP, SACRUM, FEMUR, L3 = (STRUCTURES[name].id for name in ("hip_left", "sacrum", "femur_left", "L3"))


def block(owner: int, *, shape: tuple[int, int, int] = (30, 20, 24), origin_mm: tuple[float, float, float]) -> LabelMap:
    """A map with a border of 4 voxels of 2 mm around one block."""
    array = np.zeros([n + 8 for n in shape], dtype=np.uint8)
    array[4:-4, 4:-4, 4:-4] = owner
    return LabelMap(array, Grid.from_spacing(array.shape, (2.0,) * 3, origin_mm=origin_mm), {"bone": owner})


def bones(*owners: int, away_mm: float = 0.0) -> LabelledBones:
    """Blocks, each 100 mm above the one before."""
    maps = [block(owner, origin_mm=(away_mm, 0.0, 100.0 * n)) for n, owner in enumerate(owners)]
    return LabelledBones(tuple(bone for labels in maps for bone in bones_from_labels(labels).bones))


def body_around(labelled: LabelledBones, seed: int = 3) -> Body:
    return sample_body(np.random.default_rng(seed), n_metastases=0, labelled=labelled)


def moved(body: Body, shift_mm: tuple[float, float, float]) -> Body:
    """The body whose labelled bones lie elsewhere, and nothing else."""
    assert body.labelled is not None
    there = []
    for bone in body.labelled.bones:
        affine = bone.grid.affine.copy()
        affine[:3, 3] += shift_mm
        there.append(replace(bone, grid=Grid(bone.grid.shape, affine)))
    return replace(body, labelled=LabelledBones(tuple(there)))


def test_a_pelvic_box_moves_with_the_labelled_bones() -> None:
    body = body_around(bones(HIP))
    shift = (31.0, -17.0, 23.0)
    np.testing.assert_allclose(pelvic_box(moved(body, shift)), pelvic_box(body) + shift)


def test_a_pelvic_box_stands_to_a_labelled_hip_as_to_a_drawn_one() -> None:
    """The middle of the box lies as far from the block as that of an unlabelled body from the hip bone there."""
    body = body_around(bones(HIP))
    assert body.labelled is not None
    free = replace(body, labelled=None)
    hips = body.scaffold.boxes[body.scaffold.owners == HIP]
    drawn = (hips[:, 0].min(axis=0) + hips[:, 1].max(axis=0)) / 2
    there = body.labelled.corners_mm().mean(axis=0)
    np.testing.assert_allclose(pelvic_box(body).mean(axis=0) - there, pelvic_box(free).mean(axis=0) - drawn)


def test_a_pelvic_box_grows_around_bones_that_reach_beyond_it() -> None:
    tall = bones_from_labels(block(HIP, shape=(30, 20, 160), origin_mm=(0.0, 0.0, 0.0)))
    body = body_around(tall)
    assert body.labelled is not None
    low, high = body.labelled.corners_mm()
    box = pelvic_box(body)
    np.testing.assert_allclose(box[:, 2], [low[2] - 8, high[2] + 8])
    assert box[1, 0] - box[0, 0] == pytest.approx(360 * body.column.scale)


def test_femora_do_not_draw_the_box_down() -> None:
    with_femur, without = body_around(bones(FEMUR, HIP)), body_around(bones(HIP))
    ends = labelled_box(with_femur)
    assert ends is not None
    assert with_femur.labelled is not None
    np.testing.assert_allclose(ends, with_femur.labelled.only([HIP]).corners_mm())
    size = pelvic_box(with_femur)[1] - pelvic_box(with_femur)[0]
    assert size == pytest.approx(pelvic_box(without)[1] - pelvic_box(without)[0], rel=0.2)


def test_one_vertebra_has_one_stack_around_it() -> None:
    body = body_around(bones(L3))
    assert body.labelled is not None
    (box,) = spine_boxes(body, 3, half_width_mm=30.0)
    low, high = body.labelled.corners_mm()
    # Half the overlap of stacks, 12.5 mm, is added below and above, and 8 mm beside the bone.
    np.testing.assert_allclose(box[:, 2], [low[2] - 20.5, high[2] + 20.5])


def test_lesions_go_to_labelled_bones_in_their_share() -> None:
    body = body_around(bones(L3))
    spine = ids_of((Group.CERVICAL, Group.THORACIC, Group.LUMBAR, Group.SACRAL))
    assert shown(body, spine) == [L3]
    n_bones = len(set(body.scaffold.owners.tolist()) & set(spine))
    assert share_of(body, spine, 3 * n_bones) == 3
    assert [share_of(body, spine, n) for n in (0, 1, 4)] == [0, 1, 1]
    free = replace(body, labelled=None)
    assert shown(free, spine) == sorted(spine)
    assert share_of(free, spine, 17) == 17


def test_lesions_of_two_time_points_lie_in_the_labelled_bone() -> None:
    body = body_around(bones(L3))
    pair = draw_changes(np.random.default_rng(1), body, [Change.NEW, Change.RESOLVED], bones=[L3])
    assert 1 <= len(pair.links) <= 2
    lesions = [d for time in (pair.prior, pair.current) for d in time.deposits if d.is_metastasis]
    assert {d.owner for d in lesions} == {L3}


def test_bones_without_room_for_a_change_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_up, "_ATTEMPTS", 3)
    small = bones_from_labels(block(L3, shape=(3, 3, 3), origin_mm=(0.0, 0.0, 0.0)))
    body = body_around(small)
    with pytest.raises(InputError, match=r"no room for a lesion that changes; expected .*; got none after .*; remedy"):
        draw_changes(np.random.default_rng(1), body, [Change.SPLIT], bones=[L3])


@pytest.mark.parametrize(
    ("owners", "cohorts"),
    [
        ([L3], "ct-spine mr-spine ce-dynamic graded follow-up readers"),
        ([HIP], "ct-spine mr-pelvis follow-up"),
        ([SACRUM, FEMUR], "ct-spine mr-pelvis follow-up"),
        ([FEMUR], ""),
        ([STRUCTURES["C3"].id], "ct-spine mr-spine follow-up readers"),
        ([L3, SACRUM], " ".join(COHORTS)),
    ],
    ids=["L3", "hip", "sacrum", "femur", "C3", "L3 and sacrum"],
)
def test_bones_serve_the_cohorts_that_image_them(owners: list[int], cohorts: str) -> None:
    for cohort in COHORTS:
        if cohort in cohorts.split():
            check_bones(cohort, owners)
        else:
            with pytest.raises(InputError, match=rf"lack what the cohort {cohort} images; expected .*; got .*; remedy"):
                check_bones(cohort, owners)


def test_a_pelvic_exam_shows_the_labelled_hip_where_it_is_far_from_a_drawn_one() -> None:
    """A hip bone in the frame of a scanner, 250 mm from where a phantom is built, with a vertebra above it."""
    labelled = bones(HIP, L3, away_mm=250.0)
    (case,) = draw_patient("mr-pelvis", seed=1, number=0, coarse=5.0, labelled=labelled).cases
    volume_mm3 = np.count_nonzero(case.bones.array == HIP) * case.bones.grid.voxel_volume_mm3
    # Labelled bones are made up to 10 % larger or smaller; slices of 25 to 30 mm round the volume.
    assert volume_mm3 == pytest.approx(60 * 40 * 48, rel=0.5)
