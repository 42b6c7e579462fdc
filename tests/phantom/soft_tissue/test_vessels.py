"""Heart and vessels: densities by phase at their places, contact with the column, bone before everything."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct.rendering import CtScanner, render_ct
from osteomet.phantom.geometry.distances import CAPSULE, LOFT
from osteomet.phantom.geometry.shapes import Warp, cut, distance_to_one, warped_points
from osteomet.phantom.skeleton.anatomy import Numbering
from osteomet.phantom.soft_tissue import aorta, devices
from osteomet.phantom.soft_tissue.assembly import SoftTissue, sample_soft_tissue
from osteomet.phantom.soft_tissue.canvas import Canvas, Levels, chest_of, levels_of
from osteomet.phantom.soft_tissue.phases import PHASE_ODDS, PHASES
from osteomet.phantom.soft_tissue.room import Room, room_of

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
QUIET = CtScanner(blur_mm=0.5, noise_hu=0.0, beam_hardening=0.0)


@pytest.fixture(scope="module")
def body() -> Body:
    drawn = sample_body(np.random.default_rng(21), n_metastases=0, age_years=60.0, numbering=Numbering.USUAL)
    return replace(drawn, warp=STILL, deposits=(), hardware=None)


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No disease of the aorta and no device."""
    monkeypatch.setattr(aorta, "_DISEASE_ODDS", {"none": 1.0})
    monkeypatch.setattr(devices, "_ODDS", dict.fromkeys(devices._ODDS, 0.0))


def drawn(body: Body, phase: str, seed: int = 4) -> SoftTissue:
    return sample_soft_tissue(np.random.default_rng(seed), body.column, body.bones, phase=phase)


def hu_at(tissue: SoftTissue, point: NDArray[np.float64]) -> float:
    """HU of the last shape that holds a point, by asking every shape whose box does."""
    near = ((tissue.shapes.boxes[:, 0] <= point) & (tissue.shapes.boxes[:, 1] >= point)).all(axis=1)
    inside = [n for n in np.flatnonzero(near) if distance_to_one(tissue.shapes, int(n), point) < 0]
    return float(tissue.values_hu[inside[-1]]) if inside else -1000.0


def room(body: Body) -> Room:
    return room_of(levels_of(body.column), chest_of(body.bones), body.column.scale)


def aorta_at(body: Body, tissue: SoftTissue, levels: Levels, place: float) -> NDArray[np.float64]:
    """Middle of the arterial segment nearest to the column at a place."""
    height = levels.height_mm(place)
    boxes = tissue.shapes.boxes
    rows = [n for n, name in enumerate(tissue.tissues) if name == "artery" and tissue.shapes.kinds[n] == LOFT
            and boxes[n, 0, 2] <= height <= boxes[n, 1, 2]]  # fmt: skip
    middles = boxes[rows].mean(axis=1)
    return np.asarray(middles[np.argmin(np.abs(middles[:, 0] - body.column.nearest("L2").centre_mm[0]))])


def test_phases_are_drawn_in_their_odds() -> None:
    assert set(PHASE_ODDS) == set(PHASES)
    assert sum(PHASE_ODDS.values()) == pytest.approx(1)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("phase", list(PHASES))
def test_each_chamber_holds_blood_of_its_phase(body: Body, phase: str) -> None:
    tissue, here = drawn(body, phase), room(body)
    table = PHASES[phase]
    left, trunk = hu_at(tissue, here.at(12.6, -8, 30)), hu_at(tissue, here.at(11.3, 22, 66))
    # The dose differs between patients by a factor of 0.65 to 1.5, each region by 5 per cent more.
    for found, expected in ((left, table.artery_hu), (trunk, table.pulmonary_hu)):
        assert 40 + 0.6 * (expected - 40) * 0.8 - 8 < found < 40 + 1.5 * (expected - 40) * 1.2 + 8
    assert tissue.marrow_shift_hu == table.marrow_shift_hu


@pytest.mark.usefixtures("healthy")
def test_blood_comes_to_the_right_heart_first_and_then_to_the_left(body: Body) -> None:
    here = room(body)

    def left_over_right(phase: str) -> float:
        tissue = drawn(body, phase)
        return hu_at(tissue, here.at(12.6, -8, 30)) / hu_at(tissue, here.at(11.3, 22, 66))

    assert left_over_right("pulmonary") < 0.7
    assert left_over_right("arterial") > 0.95
    assert left_over_right("portal") == pytest.approx(1, abs=0.25)


@pytest.mark.usefixtures("healthy")
def test_the_muscle_of_the_heart_parts_its_chambers(body: Body) -> None:
    """From the right ventricle through the septum to the left one blood, muscle and blood follow one another."""
    tissue, here = drawn(body, "arterial"), room(body)
    a, b = here.at(13.6, 2, 100), (here.at(14.7, 62, 90) + here.at(13.2, 14, 48)) / 2
    line = np.array([hu_at(tissue, a + f * (b - a)) for f in np.linspace(0, 1, 60)])
    assert line[0] > 200
    assert line[-1] > 200
    assert ((line > 60) & (line < 160)).sum() > 4


@pytest.mark.usefixtures("healthy")
def test_the_aorta_touches_the_column(body: Body) -> None:
    """Between the middle of the aorta and that of the vertebra there are never more than a few mm of anything else."""
    levels = levels_of(body.column)
    for seed in range(4):
        tissue = drawn(body, "arterial", seed)
        for place in (18.0, 20.0, 21.0):
            height = levels.height_mm(place)
            start = aorta_at(body, tissue, levels, place)
            start[2] = height
            way = levels.at(place) - start
            ahead = way / np.linalg.norm(way)
            axes = np.column_stack([ahead, np.cross([0.0, 0.0, 1.0], ahead), [0.0, 0.0, 1.0]])
            line = Grid.from_spacing((120, 1, 1), (0.25, 1.0, 1.0), origin_mm=start.tolist(), direction=axes)
            points = warped_points(line, STILL)
            in_bone = cut(body.bones, points, line, STILL, margin_mm=3.0).distance_mm.ravel() < 0
            blood = np.array([hu_at(tissue, p) > 150 for p in points.reshape(-1, 3).astype(float)])
            between_mm = 0.25 * (int(np.argmax(in_bone)) - int(np.flatnonzero(blood)[-1]) - 1)
            # A wall of 1.2 mm, a gap of at most 2 mm, and the waist of a vertebral body.
            assert in_bone.any()
            assert between_mm < 6.5


@pytest.mark.usefixtures("healthy")
def test_portal_blood_is_as_dense_as_homogeneous_marrow(body: Body) -> None:
    levels = levels_of(body.column)
    tissue = drawn(body, "portal")
    found = hu_at(tissue, aorta_at(body, tissue, levels, 20.0))
    assert 110 < found < 230


def test_a_stent_lines_the_aorta_with_thin_metal(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aorta, "_DISEASE_ODDS", {"stent": 1.0})
    monkeypatch.setattr(devices, "_ODDS", dict.fromkeys(devices._ODDS, 0.0))
    tissue = drawn(body, "arterial")
    wires = np.array([name == "metal" for name in tissue.tissues]) & (tissue.shapes.kinds == CAPSULE)
    struts = wires & (np.abs(tissue.shapes.parameters[:, 6] - 0.35) < 1e-9)
    # Fourteen struts a ring.
    assert struts.sum() >= 28
    assert struts.sum() % 14 == 0
    assert tissue.values_hu[struts].min() >= 1300


def test_rings_of_a_stent_lie_on_its_cylinder() -> None:
    canvas = Canvas()
    aorta.add_rings(canvas, np.array([[0.0, 0, 0], [0, 0, 52.0]]), np.full(2, 10.2), 2000.0)
    ends = np.array(canvas.table.parameters)[:, :6].reshape(-1, 3)
    np.testing.assert_allclose(np.hypot(ends[:, 0], ends[:, 1]), 10.0, atol=1e-9)
    # Rings 13 mm apart from 6.5 mm on: four in 52 mm.
    assert len(canvas.tissues) == 4 * 14


def test_aneurysm_has_a_clot_around_its_lumen(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aorta, "_DISEASE_ODDS", {"aneurysm": 1.0})
    levels = levels_of(body.column)
    wide = 0
    for seed in range(6):
        tissue = drawn(body, "arterial", seed)
        clot = np.array([n == "bowel_wall" for n in tissue.tissues]) & (tissue.values_hu < 50.5)
        column = np.abs(tissue.shapes.boxes.mean(axis=1)[:, 0] - levels.at(20.8)[0]) < 40
        lofts = clot & column & (tissue.shapes.kinds == LOFT) & (tissue.values_hu != 42.0)
        sizes = (tissue.shapes.boxes[lofts, 1] - tissue.shapes.boxes[lofts, 0])[:, 0]
        wide += bool(sizes.size) and float(sizes.max()) > 26
    assert wide >= 5


def test_devices_and_lookalikes_leave_bone_and_its_labels_alone(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth depends on bone alone, and where bone is deep the image does not know what was drawn around it."""
    v = body.column.nearest("T8")
    grid = Grid.from_spacing((40, 40, 8), (1.5, 1.5, 1.5), origin_mm=(v.centre_mm - [30, 30, 6]).tolist())
    native = replace(body, soft_tissue=replace(drawn(body, "native"), seed=5, marrow_shift_hu=0.0))
    monkeypatch.setattr(aorta, "_DISEASE_ODDS", {"stent": 1.0})
    monkeypatch.setattr(devices, "_ODDS", dict.fromkeys(devices._ODDS, 1.0))
    full = replace(body, soft_tissue=replace(drawn(body, "pulmonary", 9), seed=5, marrow_shift_hu=0.0))
    seen = [render_ct(b, grid, QUIET, np.random.default_rng(0)) for b in (native, full)]
    np.testing.assert_array_equal(seen[0].truth.bones, seen[1].truth.bones)
    assert seen[0].truth.bones.max() > 0
    deep = seen[0].depth_mm > 4
    change = np.abs(seen[0].volume.array.astype(int) - seen[1].volume.array)[deep]
    assert deep.sum() > 100
    assert np.percentile(change, 99) <= 2


def test_same_seed_same_bytes_whatever_the_phase(body: Body) -> None:
    for phase in ("pulmonary", "portal"):
        first, again = drawn(body, phase, 6), drawn(body, phase, 6)
        assert first.shapes.parameters.tobytes() == again.shapes.parameters.tobytes()
        assert first.values_hu.tobytes() == again.values_hu.tobytes()
        assert first.tissues == again.tissues


def test_vessels_of_the_lung_are_two_to_eight_mm_wide_and_end_in_it(body: Body) -> None:
    tissue = drawn(body, "arterial")
    lungs = np.array([n == "lung" for n in tissue.tissues])
    first = int(np.flatnonzero(lungs)[0])
    last = int(np.flatnonzero([hu == tissue.fat_hu + 8 for hu in tissue.values_hu]).min())
    rows = [n for n in range(first, last) if tissue.tissues[n] == "vein"]
    radii = tissue.shapes.parameters[rows, 6]
    assert len(rows) > 200
    assert radii.max() <= 4.0
    assert np.mean((radii > 1.0) & (radii <= 4.0)) > 0.4
    reach = tissue.shapes.boxes[lungs]
    ends = tissue.shapes.boxes[rows]
    assert ends[:, :, 0].max() < reach[:, 1, 0].max() + 6
    assert ends[:, :, 0].min() > reach[:, 0, 0].min() - 6


def test_some_patients_have_homogeneous_marrow() -> None:
    bodies = [sample_body(np.random.default_rng(seed), n_metastases=0, age_years=60.0) for seed in range(24)]
    even = [b for b in bodies if b.rim < 1]
    assert 1 <= len(even) <= 10
    for b in even:
        assert 150 <= b.density <= 250
        assert b.texture_hu <= 30
        # The wall of a vertebral body is 0.40 mm times this.
        assert 0.3 <= 0.40 * b.cortex_factor <= 0.5


def test_homogeneous_marrow_stays_even_up_to_the_wall(body: Body) -> None:
    """The spongiosa just below the wall exceeds that of the middle by a rim that homogeneous marrow lacks."""
    v = body.column.nearest("L2")
    grid = Grid.from_spacing((3, 40, 3), (0.5, 0.5, 0.5), origin_mm=(v.at(0, -v.depth_mm / 2 - 6, 0) - 0.5).tolist())
    rise = []
    for rim in (1.0, 0.1):
        plain = replace(body, texture_hu=0.0, density=190.0, rim=rim)
        seen = render_ct(plain, grid, QUIET, np.random.default_rng(0))
        line, depth = seen.volume.array[1, :, 1].astype(float), seen.depth_mm[1, :, 1]
        rise.append(line[(depth > 1.8) & (depth < 2.6)].mean() - line[depth > 6].mean())
    assert rise[0] > rise[1] + 20
    assert abs(rise[1]) < 20


def test_the_cartilage_of_the_ribs_stays_below_the_skin(body: Body) -> None:
    tissue = drawn(body, "native")
    rods = np.array([name == "cartilage" for name in tissue.tissues]) & (tissue.shapes.kinds == CAPSULE)
    rods &= np.isin(tissue.shapes.parameters[:, 6], [5.0, 5.5])
    skin, boxes = np.array([name == "skin" for name in tissue.tissues]), tissue.shapes.boxes
    # Ten ribs a side, two pieces each.
    assert rods.sum() == 40
    for row in np.flatnonzero(rods):
        middle = tissue.shapes.parameters[row, :6].reshape(2, 3).mean(axis=0)
        near = np.flatnonzero(skin & (boxes[:, 0, 2] <= middle[2]) & (boxes[:, 1, 2] > middle[2]))
        assert min(distance_to_one(tissue.shapes, int(n), middle) for n in near) < -4
