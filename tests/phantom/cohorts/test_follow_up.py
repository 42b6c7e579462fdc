"""Two time points: each change is what it says, and volumes have the ratio that was asked for."""

import numpy as np
import pytest
from scipy.ndimage import label

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LesionType
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.cohorts.follow_up import Change, FollowUp, Link, draw_changes
from osteomet.phantom.cohorts.resizing import sphere_of
from osteomet.phantom.geometry.pose import random_pose
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.scene import label_scene, lobes_in, view_body
from osteomet.phantom.truth import measure_truth


@pytest.fixture(scope="module")
def pair() -> FollowUp:
    rng = np.random.default_rng(11)
    return draw_changes(rng, sample_body(rng, n_metastases=0), list(Change))


def metastases(body: Body) -> list[Deposit]:
    return [deposit for deposit in body.deposits if deposit.is_metastasis]


def link_of(pair: FollowUp, change: Change) -> Link:
    return next(link for link in pair.links if link.change is change)


def volume(body: Body, number: int) -> float:
    return measure_truth(body, number).volume_ml


def n_pieces(body: Body, numbers: tuple[int, ...]) -> int:
    """Connected pieces of some lesions on cubes of 0.8 mm."""
    spheres = [sphere_of(metastases(body)[n - 1]) for n in numbers]
    low = np.min([centre - reach - 8 for centre, reach in spheres], axis=0)
    high = np.max([centre + reach + 8 for centre, reach in spheres], axis=0)
    shape = np.ceil((high - low) / 0.8).astype(int)
    scene = view_body(body, Grid.from_spacing(shape.tolist(), (0.8,) * 3, origin_mm=low.tolist()), margin_mm=2.0)
    lesions = label_scene(scene, list(lobes_in(scene, body.deposits))).lesions
    return int(label(np.isin(lesions, numbers), np.ones((3, 3, 3)))[1])


@pytest.mark.parametrize("change", [Change.STABLE, Change.GROWTH, Change.SHRINKAGE, Change.FLARE])
def test_volumes_have_the_ratio_asked_for(pair: FollowUp, change: Change) -> None:
    link = link_of(pair, change)
    assert link.ratio is not None
    found = volume(pair.current, link.current[0]) / volume(pair.prior, link.prior[0])
    assert found == pytest.approx(link.ratio, rel=0.02)


def test_growth_grows_and_shrinkage_shrinks(pair: FollowUp) -> None:
    assert link_of(pair, Change.STABLE).ratio == 1.0
    assert (link_of(pair, Change.GROWTH).ratio or 0) >= 1.4
    assert (link_of(pair, Change.SHRINKAGE).ratio or 1) <= 0.7


def test_a_flare_turns_lysis_into_sclerosis(pair: FollowUp) -> None:
    link = link_of(pair, Change.FLARE)
    assert set(metastases(pair.prior)[link.prior[0] - 1].types) == {LesionType.LYTIC}
    assert set(metastases(pair.current)[link.current[0] - 1].types) == {LesionType.SCLEROTIC}


def test_new_lesions_have_no_prior_and_resolved_ones_no_current(pair: FollowUp) -> None:
    new, resolved = link_of(pair, Change.NEW), link_of(pair, Change.RESOLVED)
    assert (new.prior, resolved.current) == ((), ())
    place, _ = sphere_of(metastases(pair.prior)[resolved.prior[0] - 1])
    others = [sphere_of(deposit) for deposit in metastases(pair.current)]
    assert all(np.linalg.norm(place - centre) > reach for centre, reach in others)


def test_split_and_merged_lesions_are_one_piece_and_two(pair: FollowUp) -> None:
    split, merged = link_of(pair, Change.SPLIT), link_of(pair, Change.MERGED)
    assert (len(split.prior), len(split.current)) == (1, 2)
    assert (len(merged.prior), len(merged.current)) == (2, 1)
    assert (n_pieces(pair.prior, split.prior), n_pieces(pair.current, split.current)) == (1, 2)
    assert (n_pieces(pair.prior, merged.prior), n_pieces(pair.current, merged.current)) == (2, 1)


def test_every_lesion_is_linked_once(pair: FollowUp) -> None:
    prior = [n for link in pair.links for n in link.prior]
    current = [n for link in pair.links for n in link.current]
    assert prior == list(range(1, len(metastases(pair.prior)) + 1))
    assert current == list(range(1, len(metastases(pair.current)) + 1))


def test_a_pose_moves_rigidly_and_within_its_limits() -> None:
    grid = Grid.from_spacing((4, 5, 6), (1.0, 2.0, 3.0), origin_mm=(7.0, -8.0, 9.0))
    about = grid.to_xyz_mm((2, 2, 3))
    pose = random_pose(np.random.default_rng(3), turn_degree=3.0, shift_mm=(2.0, 0.0, 5.0), about_mm=about)
    moved = pose.in_body(grid)
    assert moved.spacing_mm == pytest.approx(grid.spacing_mm)
    before, after = grid.corners_xyz_mm(), moved.corners_xyz_mm()
    np.testing.assert_allclose(
        np.linalg.norm(before[:, None] - before, axis=-1), np.linalg.norm(after[:, None] - after, axis=-1), atol=1e-9
    )
    shift = (pose.matrix @ [*about, 1.0])[:3] - about
    assert abs(shift[1]) < 1e-9
    assert abs(shift[0]) <= 4.0
    assert abs(shift[2]) <= 10.0
