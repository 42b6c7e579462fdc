"""Bones made of boxes whose place, size and owner are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import ModelError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.inference.bones import BONE_OUTPUTS, PARTS, Bones, find_bones

CODE = {name: index for index, name in enumerate(BONE_OUTPUTS)}
CORE = {"C": CODE["core_cervical"], "T": CODE["core_thoracic"], "L": CODE["core_lumbar"]}
WIDTH_MM = {"C": 18.0, "T": 28.0, "L": 44.0}
PITCH_MM = {"C": 17.0, "T": 24.0, "L": 34.0}
SPACING_MM = (2.0, 2.5, 2.4)


@dataclass
class Scene:
    """A map of classes under construction, and which bone each voxel was meant for."""

    grid: Grid
    classes: NDArray[np.uint8] = field(init=False)
    owner: NDArray[np.uint8] = field(init=False)
    centres: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = np.zeros(self.grid.shape, dtype=np.uint8)
        self.owner = np.zeros(self.grid.shape, dtype=np.uint8)
        self.xyz = self.grid.to_xyz_mm(np.moveaxis(np.indices(self.grid.shape), 0, -1))

    def box(self, centre: ArrayLike, size: Sequence[float], axes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Voxels whose centre lies in a box; axes are columns left, posterior, superior."""
        reach = np.linalg.norm(size) / 2 / np.array(self.grid.spacing_mm) + 1
        middle = self.grid.to_ijk(centre)
        block = tuple(slice(max(0, int(m - r)), max(0, int(m + r) + 1)) for m, r in zip(middle, reach, strict=True))
        local = (self.xyz[block] - np.asarray(centre)) @ axes
        mask = np.zeros(self.grid.shape, dtype=bool)
        mask[block] = (np.abs(local) <= np.asarray(size) / 2).all(axis=-1)
        return mask

    def paint(self, mask: NDArray[np.bool_], class_name: str, bone: str) -> None:
        self.classes[mask] = CODE[class_name]
        self.owner[mask] = STRUCTURES[bone].id

    def vertebra(self, name: str, centre: NDArray[np.float64], tilt: float, lean: float) -> None:
        """A body 0.7 pitches high, pedicles, and a lamina that reaches down behind the next body."""
        axes = frame(tilt, lean)
        width, pitch = WIDTH_MM[name[0]], PITCH_MM[name[0]]
        height, depth = 0.7 * pitch, 0.75 * width

        def at(u: float, v: float, w: float) -> NDArray[np.float64]:
            return np.asarray(centre + axes @ np.array([u, v, w]))

        for side in (-0.3, 0.3):
            pedicle = at(side * width, depth / 2 + 7, 0.2 * height)
            self.paint(self.box(pedicle, (6, 16, 0.4 * height), axes), "posterior", name)
        lamina = at(0, depth / 2 + 16, -0.25 * pitch)
        self.paint(self.box(lamina, (0.8 * width, 7, 0.9 * pitch), axes), "posterior", name)
        self.paint(self.box(centre, (width, depth, height), axes), "body_rim", name)
        core = self.box(centre, (width - 5, depth - 5, height - 5), axes)
        self.paint(core, BONE_OUTPUTS[CORE[name[0]]], name)
        self.centres[name] = centre

    def find(self) -> Bones:
        return find_bones(self.classes, BONE_OUTPUTS, self.grid, field_of_view=self.grid)


def frame(tilt: float, lean: float) -> NDArray[np.float64]:
    up = np.array([np.sin(lean), np.sin(tilt) * np.cos(lean), np.cos(tilt) * np.cos(lean)])
    left = np.array([1.0, 0, 0]) - up[0] * up
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(up, left), up], axis=1)


def spine(names: Sequence[str], *, tilt_deg: float = 0, lean_deg: float = 0, sacrum: bool = False) -> Scene:
    """A column from the first name down, bending evenly from −tilt to +tilt and −lean to +lean."""
    n = len(names)
    tilts, leans = (np.deg2rad(np.linspace(-angle, angle, n)) for angle in (tilt_deg, lean_deg))
    centres, here = [], np.zeros(3)
    for index, name in enumerate(names):
        if index:
            step = (PITCH_MM[names[index - 1][0]] + PITCH_MM[name[0]]) / 2
            up = frame(tilts[index - 1], leans[index - 1])[:, 2] + frame(tilts[index], leans[index])[:, 2]
            here = here - step * up / np.linalg.norm(up)
        centres.append(here)
    middles = np.array(centres)
    low = middles.min(axis=0) - np.array([60, 50, 120 if sacrum else 60])
    high = middles.max(axis=0) + np.array([60, 60, 40])
    shape = (np.ceil((high - low) / SPACING_MM / 2) * 2).astype(int)
    scene = Scene(Grid.from_spacing(shape.tolist(), SPACING_MM, origin_mm=low.tolist()))
    for name, centre, tilt, lean in zip(names, middles, tilts, leans, strict=True):
        scene.vertebra(name, centre, tilt, lean)
    if sacrum:
        below = middles[-1] - [0, 0, 0.5 * PITCH_MM[names[-1][0]] + 5 + 35]
        scene.paint(scene.box(below, (80, 40, 70), np.eye(3)), "sacrum", "sacrum")
    return scene


LOWER = ["T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"]


def names_of(found: Bones) -> list[str]:
    return [vertebra.name for vertebra in found.vertebrae]


def agreement(found: Bones, scene: Scene, class_names: Sequence[str]) -> float:
    where = np.isin(scene.classes, [CODE[name] for name in class_names])
    return float((found.structures.array[where] == scene.owner[where]).mean())


CORES = ("core_cervical", "core_thoracic", "core_lumbar")


@pytest.mark.parametrize(("tilt_deg", "lean_deg"), [(0, 0), (35, 0), (-35, 0), (0, 35), (30, -30)])
def test_column_with_sacrum(tilt_deg: float, lean_deg: float) -> None:
    scene = spine(LOWER, tilt_deg=tilt_deg, lean_deg=lean_deg, sacrum=True)
    found = scene.find()
    assert names_of(found) == LOWER
    assert min(vertebra.confidence for vertebra in found.vertebrae) > 0.8
    assert found.abstentions == ()
    assert all(vertebra.complete and vertebra.body_complete for vertebra in found.vertebrae)
    assert agreement(found, scene, CORES) == 1
    assert agreement(found, scene, ["sacrum"]) == 1
    assert agreement(found, scene, ["body_rim"]) > 0.97
    assert agreement(found, scene, ["posterior"]) > 0.8
    for vertebra in found.vertebrae:
        np.testing.assert_allclose(vertebra.centroid_xyz_mm, scene.centres[vertebra.name], atol=1.0)


def test_parts_are_body_and_posterior() -> None:
    scene = spine(LOWER, sacrum=True)
    found = scene.find()
    vertebral = found.parts.array > 0
    np.testing.assert_array_equal(found.parts.mask("posterior"), scene.classes == CODE["posterior"])
    body = np.isin(scene.classes, [CODE[name] for name in (*CORES, "body_rim")])
    np.testing.assert_array_equal(found.parts.array == PARTS["body"], body)
    assert not (vertebral & (scene.owner == STRUCTURES["sacrum"].id)).any()


def test_three_regions_without_sacrum() -> None:
    names = ["C5", "C6", "C7", *(f"T{n}" for n in range(1, 13)), "L1", "L2"]
    scene = spine(names, tilt_deg=25)
    found = scene.find()
    assert names_of(found) == names
    assert found.abstentions == ()
    assert agreement(found, scene, CORES) == 1


def test_a_lamina_belongs_to_the_vertebra_above_the_disc() -> None:
    """The lower part of each lamina hangs behind the next body, which is nearer than its own."""
    scene = spine(LOWER, sacrum=True)
    found = scene.find()
    below_the_disc = scene.centres["L2"] + np.array([0, 0.75 * 22 + 16, -0.55 * PITCH_MM["L"]])
    i, j, k = np.rint(scene.grid.to_ijk(below_the_disc)).astype(int)
    assert scene.owner[i, j, k] == STRUCTURES["L2"].id
    assert found.structures.array[i, j, k] == STRUCTURES["L2"].id


def test_a_vertebra_without_core_leaves_its_name_out() -> None:
    scene = spine(LOWER, sacrum=True)
    scene.classes[scene.owner == STRUCTURES["L2"].id] = 0
    found = scene.find()
    assert names_of(found) == [name for name in LOWER if name != "L2"]
    assert agreement(found, scene, CORES) == 1


def test_bone_that_no_body_explains_is_kept_without_a_level() -> None:
    scene = spine(LOWER, sacrum=True)
    far = scene.centres["T10"] + [48, 30, 20]
    scene.paint(scene.box(far, (12, 12, 12), np.eye(3)), "posterior", "vertebra")
    found = scene.find()
    piece = scene.owner == STRUCTURES["vertebra"].id
    assert (found.structures.array[piece] == STRUCTURES["vertebra"].id).all()
    assert names_of(found) == LOWER


def test_a_piece_of_vertebra_below_the_sacrum_is_none() -> None:
    """Streaks of a hip prosthesis are taken for vertebral bone at times."""
    scene = spine(LOWER, sacrum=True)
    low = scene.xyz[scene.classes == CODE["sacrum"]].mean(axis=0) + np.array([50, 0, -30])
    scene.paint(scene.box(low, (12, 12, 12), np.eye(3)), "posterior", "vertebra")
    assert "vertebra" not in scene.find().structures.present()


def test_cores_joined_by_a_thin_bridge_are_two_vertebrae() -> None:
    scene = spine(LOWER, sacrum=True)
    middle = (scene.centres["L3"] + scene.centres["L4"]) / 2
    bridge = scene.box(middle, (9, 9, 30), np.eye(3))
    scene.classes[bridge] = CODE["core_lumbar"]
    found = scene.find()
    assert names_of(found) == LOWER
    assert agreement(found, scene, CORES) > 0.97


def test_three_cores_in_one_piece() -> None:
    scene = spine(["T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2"], tilt_deg=20)
    for upper, lower in (("T8", "T9"), ("T9", "T10")):
        middle = (scene.centres[upper] + scene.centres[lower]) / 2
        scene.classes[scene.box(middle, (6, 6, 22), np.eye(3))] = CODE["core_thoracic"]
    assert names_of(scene.find()) == ["T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2"]


def test_a_column_whose_cores_have_all_fused() -> None:
    """Slices of 5 mm leave hardly a disc: bridges of four fifths of the cross-section, down a bent column."""
    names = ["T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3"]
    scene = spine(names, tilt_deg=25)
    for upper, lower in pairwise(names):
        middle, width = (scene.centres[upper] + scene.centres[lower]) / 2, WIDTH_MM[upper[0]]
        bridge = scene.box(middle, (0.9 * (width - 5), 0.9 * (0.75 * width - 5), 16), np.eye(3))
        scene.classes[bridge] = CORE[upper[0]]
    assert names_of(scene.find()) == names


@pytest.mark.parametrize("size", [(7.0, 60.0, 60.0), (60.0, 7.0, 60.0), (60.0, 60.0, 7.0)])
def test_pieces_of_one_body_are_one_vertebra(size: tuple[float, float, float]) -> None:
    """A lesion that cuts the core of L2 along any of its three planes."""
    scene = spine(LOWER, sacrum=True)
    gone = scene.box(scene.centres["L2"], size, np.eye(3)) & (scene.classes == CODE["core_lumbar"])
    scene.classes[gone & (scene.owner == STRUCTURES["L2"].id)] = CODE["background"]
    found = scene.find()
    assert names_of(found) == LOWER
    assert agreement(found, scene, CORES) == 1


def test_noise_neither_moves_names_nor_adds_vertebrae() -> None:
    rng = np.random.default_rng(2)
    scene = spine(LOWER, sacrum=True)
    is_core = np.isin(scene.classes, [CODE[name] for name in CORES])
    wrong = is_core & (rng.random(is_core.shape) < 0.3)
    scene.classes[wrong] = rng.choice(list(CORE.values()), int(wrong.sum()))
    crumbs = (scene.classes == 0) & (rng.random(is_core.shape) < 0.002)
    scene.classes[crumbs] = rng.choice(np.arange(1, 13), int(crumbs.sum()))
    stray = scene.box(scene.centres["L1"] + [50, -30, 0], (12, 12, 12), np.eye(3))
    scene.classes[stray] = CODE["core_lumbar"]
    found = scene.find()
    assert names_of(found) == LOWER
    assert set(found.structures.present()) <= {*LOWER, "sacrum", "vertebra"}


def test_a_core_inside_the_sacrum_is_no_vertebra() -> None:
    scene = spine(LOWER, sacrum=True)
    centre = scene.xyz[scene.classes == CODE["sacrum"]].mean(axis=0) + np.array([0, 0, 18])
    scene.classes[scene.box(centre, (24, 20, 15), np.eye(3))] = CODE["core_lumbar"]
    found = scene.find()
    assert names_of(found) == LOWER
    assert found.abstentions == ()


def test_a_core_inside_a_hip_is_no_vertebra() -> None:
    scene = pelvis()
    stray = scene.box((80, 0, scene.grid.origin_mm[2] + 75), (20, 20, 20), np.eye(3))
    scene.classes[stray] = CODE["core_lumbar"]
    found = scene.find()
    assert names_of(found) == ["L3", "L4", "L5"]
    assert "vertebra" not in found.structures.present()


def test_a_core_below_the_sacrum_is_no_vertebra() -> None:
    scene = pelvis()
    stray = scene.box((10, -10, scene.grid.origin_mm[2] + 15), (20, 20, 20), np.eye(3))
    scene.classes[stray] = CODE["core_lumbar"]
    assert names_of(scene.find()) == ["L3", "L4", "L5"]


def test_a_heart_full_of_contrast_is_no_vertebra() -> None:
    """A ball of 30 mm radius, called core, lies in front of T8: larger than any body, but no arch belongs to it."""
    names = ["T6", "T7", "T8", "T9", "T10"]
    scene = spine(names)
    clean = scene.find()
    heart = scene.centres["T8"] - [0, 24 + 14 + 30, 0]
    scene.classes[np.linalg.norm(scene.xyz - heart, axis=-1) < 30] = CODE["core_thoracic"]
    found = scene.find()
    assert [v.centroid_xyz_mm for v in found.vertebrae] == [v.centroid_xyz_mm for v in clean.vertebrae]
    assert len(found.vertebrae) == len(names)


def test_a_core_far_from_all_others_is_no_vertebra() -> None:
    scene = pelvis()
    top = scene.grid.shape[2]
    tall = Scene(scene.grid.crop((0, 0, 0), (*scene.grid.shape[:2], top + 100)))
    tall.classes[:, :, :top] = scene.classes
    high = tall.centres.get("L3", np.array([0, 0, 200.0]))
    tall.classes[tall.box(high, (14, 14, 14), np.eye(3))] = CODE["core_thoracic"]
    assert names_of(tall.find()) == ["L3", "L4", "L5"]


def test_a_shoulder_is_no_hip() -> None:
    scene = spine(["T2", "T3", "T4", "T5", "T6"])
    beside = scene.centres["T3"]
    scene.classes[scene.box(beside + [40, 20, 0], (15, 30, 60), np.eye(3))] = CODE["hip_left"]
    scene.classes[scene.box(beside + [-40, 20, 0], (15, 30, 60), np.eye(3))] = CODE["femur_right"]
    scene.classes[scene.box(beside + [0, -35, 10], (15, 15, 15), np.eye(3))] = CODE["sacrum"]
    assert not set(scene.find().structures.present()) & {"hip_left", "hip_right", "femur_right", "sacrum"}


def test_a_crumb_of_sacrum_is_no_anchor() -> None:
    """Two thoracic vertebrae over 8 ml called sacrum: no ground to name them from."""
    scene = spine(["T2", "T3"])
    below = scene.centres["T3"] - np.array([0, 0, 40])
    scene.paint(scene.box(below, (20, 20, 20), np.eye(3)), "sacrum", "sacrum")
    found = scene.find()
    assert "sacrum" in found.structures.present()
    assert [a.code for a in found.abstentions] == ["numbering_uncertain"]


def test_ribs_correct_a_network_that_sees_lumbar_vertebrae_in_the_chest() -> None:
    names = ["T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3"]
    scene = spine(names)
    scene.classes[np.isin(scene.classes, list(CORE.values()))] = CODE["core_lumbar"]
    for name, centre in scene.centres.items():
        for side in (-1, 1):
            if name[0] == "T":
                head = centre + np.array([side * (WIDTH_MM["T"] / 2 + 12), 6, 4])
                scene.paint(scene.box(head, (20, 8, 8), np.eye(3)), "rib", "rib")
    assert names_of(scene.find()) == names


def test_a_cropped_view_says_what_it_cuts() -> None:
    scene = spine(["T9", *LOWER], sacrum=True)
    k = int(scene.grid.to_ijk(scene.centres["T9"])[2])
    cropped = Scene(scene.grid.crop((0, 0, 0), (*scene.grid.shape[:2], k)))
    cropped.classes = scene.classes[:, :, :k].copy()
    found = cropped.find()
    assert names_of(found) == ["T9", *LOWER]
    assert [v.name for v in found.vertebrae if not v.body_complete] == ["T9"]
    (abstention,) = found.abstentions
    assert abstention.code == "field_of_view_cropped"
    assert "cuts T9:" in abstention.reason


def test_the_field_of_view_may_end_inside_the_grid() -> None:
    """An oblique scan fills only part of the grid along the patient axes: its own box counts."""
    scene = spine(LOWER, sacrum=True)
    i, j, k = scene.grid.shape
    inner = scene.grid.crop((0, int(scene.grid.to_ijk(scene.centres["L3"])[1]) + 2, 0), (i, j, k))
    found = find_bones(scene.classes, BONE_OUTPUTS, scene.grid, field_of_view=inner)
    assert not any(vertebra.body_complete for vertebra in found.vertebrae)


def test_arches_cut_away_leave_bodies_complete() -> None:
    scene = spine(LOWER, sacrum=True)
    j = int(scene.grid.to_ijk(scene.centres["L3"] + [0, 0.75 * 22 + 12, 0])[1])
    cropped = Scene(scene.grid.crop((0, 0, 0), (scene.grid.shape[0], j, scene.grid.shape[2])))
    cropped.classes = scene.classes[:, :j].copy()
    lumbar = [v for v in cropped.find().vertebrae if v.name[0] == "L"]
    assert len(lumbar) == 5
    assert all(v.body_complete and not v.complete for v in lumbar)


def test_no_anchor_gives_unique_names_and_an_abstention() -> None:
    found = spine(["T5", "T6", "T7", "T8"]).find()
    assert len(set(names_of(found))) == 4
    assert [a.code for a in found.abstentions] == ["numbering_uncertain"]
    assert all(vertebra.confidence < 0.5 for vertebra in found.vertebrae)


def pelvis() -> Scene:
    scene = spine(["L3", "L4", "L5"], sacrum=True)
    wide = Scene(
        scene.grid.crop((-60, 0, -20), (scene.grid.shape[0] + 120, scene.grid.shape[1], scene.grid.shape[2] + 20))
    )
    wide.classes[60:-60, :, 20:] = scene.classes
    wide.owner[60:-60, :, 20:] = scene.owner
    bottom = wide.grid.origin_mm[2]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        wide.paint(wide.box((sign * 80, 0, bottom + 75), (40, 60, 100), np.eye(3)), f"hip_{side}", f"hip_{side}")
        wide.paint(wide.box((sign * 130, 0, bottom + 30), (30, 30, 50), np.eye(3)), f"femur_{side}", f"femur_{side}")
    return wide


def test_hips_and_femora_keep_their_sides() -> None:
    scene = pelvis()
    found = scene.find()
    assert agreement(found, scene, ["hip_left", "hip_right", "femur_left", "femur_right"]) == 1


def test_sides_that_the_network_confused() -> None:
    scene = pelvis()
    lower = scene.xyz[..., 2] < scene.grid.origin_mm[2] + 60
    scene.classes[(scene.classes == CODE["hip_left"]) & lower] = CODE["hip_right"]
    scene.classes[scene.classes == CODE["femur_right"]] = CODE["femur_left"]
    found = scene.find()
    hips = np.isin(
        scene.owner, [STRUCTURES[name].id for name in ("hip_left", "hip_right", "femur_left", "femur_right")]
    )
    np.testing.assert_array_equal(found.structures.array[hips], scene.owner[hips])


def test_structures_of_a_hip_take_the_side_of_the_hip() -> None:
    """Upper half ilium, lower half ischium, some of it called the other side's; a hole takes the nearest structure."""
    scene = pelvis()
    outputs = (*(name for name in BONE_OUTPUTS if not name.startswith("hip")), "ilium_left", "ilium_right")
    outputs += ("ischium_left", "ischium_right")
    classes = np.zeros_like(scene.classes)
    for index, name in enumerate(BONE_OUTPUTS):
        if not name.startswith("hip"):
            classes[scene.classes == index] = outputs.index(name)
    upper = {}
    for side in ("left", "right"):
        hip = scene.classes == CODE[f"hip_{side}"]
        z_mm = scene.xyz[..., 2]
        upper[side] = hip & (z_mm > np.median(z_mm[hip]))
        classes[hip] = outputs.index(f"ischium_{side}")
        classes[upper[side]] = outputs.index(f"ilium_{side}")
    confused = upper["left"] & (scene.xyz[..., 1] > np.median(scene.xyz[..., 1][upper["left"]]))
    classes[confused] = outputs.index("ilium_right")
    middle = np.rint(np.argwhere(upper["right"]).mean(axis=0)).astype(int)
    classes[tuple(middle)] = 0
    found = find_bones(classes, outputs, scene.grid, field_of_view=scene.grid).structures
    for side in ("left", "right"):
        hip = scene.classes == CODE[f"hip_{side}"]
        np.testing.assert_array_equal(found.array[hip] == STRUCTURES[f"ilium_{side}"].id, upper[side][hip])
        np.testing.assert_array_equal(found.array[hip] == STRUCTURES[f"ischium_{side}"].id, ~upper[side][hip])
    assert not {"hip_left", "hip_right"} & set(found.present())


def test_small_pieces_of_large_bones_are_dropped() -> None:
    scene = pelvis()
    stray = scene.box((0, -30, scene.grid.origin_mm[2] + 40), (10, 10, 10), np.eye(3))
    scene.classes[stray] = CODE["hip_left"]
    assert not scene.find().structures.array[stray].any()


def test_ribs_and_sternum() -> None:
    scene = spine(["T5", "T6", "T7"])
    scene.paint(scene.box((45, 0, 0), (8, 40, 8), np.eye(3)), "rib", "rib")
    scene.paint(scene.box((0, -40, -20), (20, 8, 40), np.eye(3)), "sternum", "sternum")
    found = scene.find()
    assert agreement(found, scene, ["rib", "sternum"]) == 1


@pytest.mark.parametrize("n_voxels", [0, 3])
def test_nothing_or_crumbs_only(n_voxels: int) -> None:
    grid = Grid.from_spacing((20, 20, 20), SPACING_MM)
    classes = np.zeros(grid.shape, dtype=np.uint8)
    classes[:n_voxels, 5, 5] = CODE["core_lumbar"]
    found = find_bones(classes, BONE_OUTPUTS, grid, field_of_view=grid)
    assert found.is_empty
    assert found.vertebrae == ()
    assert found.abstentions == ()
    assert dict(found.structures.labels) == {}


def test_arches_without_any_body() -> None:
    grid = Grid.from_spacing((20, 20, 20), SPACING_MM)
    classes = np.zeros(grid.shape, dtype=np.uint8)
    classes[5:12, 5:12, 5:12] = CODE["posterior"]
    found = find_bones(classes, BONE_OUTPUTS, grid, field_of_view=grid)
    assert found.structures.present() == {"vertebra": STRUCTURES["vertebra"].id}


def test_a_network_that_knows_other_classes() -> None:
    grid = Grid.from_spacing((4, 4, 4), SPACING_MM)
    classes = np.zeros(grid.shape, dtype=np.uint8)
    with pytest.raises(ModelError, match=r"other outputs than osteomet can use.*got \['background', 'bone'\]"):
        find_bones(classes, ("background", "bone"), grid, field_of_view=grid)
    few = BONE_OUTPUTS[:6]
    assert find_bones(classes, few, grid, field_of_view=grid).is_empty
