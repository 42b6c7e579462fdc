import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.body import sample_body
from osteomet.phantom.ct.bone_density import bone_density
from osteomet.phantom.scene import view_body
from osteomet.phantom.skeleton.parts import PARTS


def test_the_wings_of_the_sacrum_are_full_of_fat() -> None:
    body = sample_body(np.random.default_rng(5), n_metastases=0, age_years=65.0)
    middle = body.column.sacrum_centre_mm
    grid = Grid.from_spacing((56, 40, 40), (2.0, 2.0, 2.0), origin_mm=(middle - [56, 40, 50]).tolist())
    scene = view_body(body, grid, margin_mm=3.0)
    density, _ = bone_density(scene, body.column, 150.0, 1.0, 0.0, 0.5, 1)
    aside = np.abs(scene.points_mm[..., 0] - middle[0])
    inside = (scene.owner == STRUCTURES["sacrum"].id) & (scene.depth_mm > 7)
    bodies, wings = density[inside & (aside < 12)], density[inside & (aside > 34)]
    assert min(bodies.size, wings.size) > 50
    assert 50 < np.median(bodies) < 120  # 0.6 of the loins
    # 0.3 of the bodies less 30 HU, of which a tenth is not yet reached at this depth
    assert -30 < np.median(wings) < 15


def test_the_femoral_head_bears_the_body_and_the_trochanters_are_fat() -> None:
    body = sample_body(np.random.default_rng(5), n_metastases=0, age_years=65.0)
    grid = Grid.from_spacing((60, 40, 60), (2.0, 2.0, 2.0), origin_mm=(50.0, -40.0, -80.0))
    scene = view_body(body, grid, margin_mm=3.0)
    density, _ = bone_density(scene, body.column, 100.0, 1.0, 0.0, 0.5, 1)
    deep = (scene.owner == STRUCTURES["femur_left"].id) & (scene.depth_mm > 5)
    head, shaft = (np.median(density[deep & (scene.part == PARTS[name])]) for name in ("femoral_head", "femur"))
    assert 190 < head < 250
    assert -40 < shaft < 40
