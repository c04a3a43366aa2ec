"""Edits change what they say, and their masks are found from the pictures alone."""

import numpy as np
import pytest
import torch

from attribution.synthesis.composites.editing import inpaint, recolour, unedited
from attribution.synthesis.nearest_neighbours import patches_of


def pictures(photographs, size=48):
    names = ("astronaut", "coffee", "camera", "gravel")
    small = [np.asarray(photographs[name].resize((size, size))) for name in names]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255


ROWS = torch.tensor([[0], [1], [2], [3]])


@pytest.mark.parametrize("edit", [recolour, inpaint])
def test_what_the_mask_calls_unedited_is_hardly_changed(photographs, edit):
    images = pictures(photographs)
    made = edit(images, ROWS, torch.Generator().manual_seed(2))
    assert torch.equal(made.sources, ROWS)
    changed = (made.images - images).abs().mean(dim=1, keepdim=True)
    for row in range(4):
        kept = made.masks[row] == 1
        assert 0.6 < kept.float().mean() < 1
        assert changed[row][kept].max() < changed[row][~kept].min()
        assert (changed[row] == 0).float().mean() > 0.5
    assert made.images.min() >= 0
    assert made.images.max() <= 1


def test_a_hole_is_filled_with_what_the_picture_has(photographs):
    """Patches that reach into the hole resemble the picture's own; those of noise do not."""
    images = pictures(photographs)[3:]
    made = inpaint(images, torch.tensor([[0]]), torch.Generator().manual_seed(0))
    hole = made.images != images
    noise = torch.where(hole, torch.rand(images.shape), images)
    reaching = patches_of(hole[0].float(), 7).amax(dim=1) > 0
    own = patches_of(images[0], 7)

    def distance(picture):
        return float(
            torch.cdist(patches_of(picture[0], 7)[reaching], own[~reaching]).amin(1).mean()
        )

    assert distance(made.images) < 0.6 * distance(noise)


def test_where_nothing_was_edited_all_is_unedited():
    same = torch.rand(2, 3, 8, 8)
    assert unedited(same, same.clone()).min() == 1
    other = same.clone()
    other[0, :, :4] += 0.5
    mask = unedited(same, other)
    assert mask[0, 0, :4].max() == 0
    assert mask[0, 0, 4:].min() == 1
    assert mask[1].min() == 1


@pytest.mark.parametrize("edit", [recolour, inpaint])
def test_an_edit_of_two_is_refused(edit):
    with pytest.raises(ValueError, match="one source"):
        edit(torch.rand(2, 3, 16, 16), torch.tensor([[0, 1]]), torch.Generator())
