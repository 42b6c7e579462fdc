"""Moves that can be told pixel by pixel."""

import numpy as np
import torch

from osteomet.nn.augment import Augmentation, draw_affine, move


def test_a_quarter_turn_turns_the_labels_with_the_image() -> None:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    image = torch.arange(16.0).reshape(1, 4, 4)
    moved, classes = move(image, image[0].long(), turn)
    torch.testing.assert_close(moved[0], torch.rot90(image[0], -1), atol=1e-5, rtol=0)
    assert torch.equal(classes, torch.rot90(image[0].long(), -1))


def test_a_shift_along_the_first_axis_by_one_pixel_of_four() -> None:
    """Half a unit of −1 … 1 is a quarter of the side: row 1 comes to row 0, and zeros come in below."""
    shift = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
    image = torch.arange(16.0).reshape(1, 4, 4) + 1
    moved, classes = move(image, image[0].long(), shift)
    expected = torch.cat([image[0, 1:], torch.zeros(1, 4)])
    torch.testing.assert_close(moved[0], expected, atol=1e-5, rtol=0)
    assert torch.equal(classes, expected.long())


def test_a_stack_moves_as_its_slices() -> None:
    rng = np.random.default_rng(3)
    affine = draw_affine(Augmentation(rotation_deg=20, translation=0.1, zoom=(0.9, 1.1)), rng)
    stack = torch.from_numpy(rng.random((2, 8, 8, 3), dtype=np.float32))
    classes = torch.from_numpy(rng.integers(0, 2, (8, 8, 3)))
    moved, moved_classes = move(stack, classes, affine)
    for k in range(3):
        one, one_classes = move(stack[..., k], classes[..., k], affine)
        torch.testing.assert_close(moved[..., k], one)
        assert torch.equal(moved_classes[..., k], one_classes)


def test_what_is_drawn_stays_within_its_limits() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_affine(Augmentation(rotation_deg=20, translation=0.1, zoom=(0.9, 1.1)), rng) for _ in range(300)]
    angles = [np.rad2deg(np.arctan2(a[1, 0], a[0, 0])) for a in drawn]
    zooms = [1 / np.sqrt(np.linalg.det(a[:, :2])) for a in drawn]
    shifts = [np.abs(a[:, 2]).max() / 2 for a in drawn]
    assert 18 < max(np.abs(angles)) <= 20
    assert 0.9 <= min(zooms) < 0.91
    assert 1.09 < max(zooms) <= 1.1
    assert 0.09 < max(shifts) <= 0.1
