"""Every composite is, place by place, what its mask says of its sources."""

import pytest
import torch
from torch.nn import functional

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.mixing import cutmix, puzzlemix, resizemix
from attribution.synthesis.composites.pasting import paste
from attribution.synthesis.composites.regions import ellipses, rectangles
from attribution.synthesis.composites.skeletons import cut_frames, join_persons

SOURCES = torch.tensor([[0, 1], [2, 0], [1, 2], [3, 3]])


def pictures(n=4, size=(24, 36)):
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(n, 3, 5, 6, generator=generator)
    return functional.interpolate(coarse, size=size, mode="bilinear")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("compose", [cutmix, puzzlemix, paste])
def test_a_mix_is_blended_by_its_mask_pixel_by_pixel(compose):
    images = pictures()
    made = compose(images, SOURCES, generator())
    assert torch.equal(made.sources, SOURCES)
    assert made.masks.shape == (4, 1, 24, 36)
    for row, (first, second) in enumerate(SOURCES.tolist()):
        for y, x in ((0, 0), (12, 18), (23, 35), (5, 30), (17, 4), (9, 21)):
            share = float(made.masks[row, 0, y, x])
            wanted = share * images[first, :, y, x] + (1 - share) * images[second, :, y, x]
            assert made.images[row, :, y, x].tolist() == pytest.approx(wanted.tolist(), abs=1e-6)


def test_soft_masks_are_soft_and_hard_ones_hard():
    soft = paste(pictures(), SOURCES, generator()).masks
    assert ((soft > 0.1) & (soft < 0.9)).any()
    for compose in (cutmix, puzzlemix, resizemix):
        assert set(compose(pictures(), SOURCES, generator()).masks.unique().tolist()) == {0.0, 1.0}


def test_an_object_is_pasted_by_its_own_matte():
    images, mattes = pictures(), torch.zeros(4, 1, 24, 36)
    mattes[2, 0, 3:9, 5:20] = 0.5
    made = paste(images, torch.tensor([[2, 0]]), generator(), mattes=mattes)
    assert torch.equal(made.masks[0], mattes[2])
    assert torch.allclose(made.images[0], mattes[2] * images[2] + (1 - mattes[2]) * images[0])


def test_resizemix_shows_the_whole_of_the_second_where_the_mask_is_zero():
    images = pictures()
    made = resizemix(images, SOURCES, generator(3))
    for row, (first, second) in enumerate(SOURCES.tolist()):
        inside = made.masks[row, 0] == 0
        assert torch.equal(made.images[row][:, ~inside], images[first][:, ~inside])
        rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
        pasted = made.images[row][:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.sum() == pasted[0].numel()
        small = functional.interpolate(
            images[second][None], size=pasted.shape[1:], mode="bilinear", antialias=True
        )
        assert torch.equal(pasted, small[0])


def test_a_puzzle_gives_each_cell_to_who_has_more_to_show_there():
    images = torch.full((2, 3, 32, 32), 0.5)
    images[0, :, :, :16] = images[1, :, :, 16:] = (torch.arange(16) // 2 % 2).float()
    pairs = torch.tensor([[0, 1]]).expand(40, -1)
    made = puzzlemix(images, pairs, generator())
    shares = made.masks.mean(dim=(1, 2, 3))
    assert 0.25 <= shares.min() < 0.4
    assert 0.6 < shares.max() <= 0.75
    left, right = (half.mean(dim=(1, 2, 3)) for half in made.masks.split(16, dim=3))
    assert torch.allclose(left, (2 * shares).clamp(max=1))
    assert torch.allclose(right, (2 * shares - 1).clamp(min=0))
    blocks = made.masks.view(40, 8, 4, 8, 4)
    assert torch.equal(blocks.amin(dim=(2, 4)), blocks.amax(dim=(2, 4)))


def test_regions_have_the_share_that_they_were_asked_for():
    boxes = rectangles(200, (60, 80), generator(), share=(0.2, 0.3)).float()
    assert 0.18 < boxes.mean(dim=(1, 2, 3)).min() < boxes.mean(dim=(1, 2, 3)).max() < 0.32
    hard = ellipses(200, (60, 80), generator(), share=(0.1, 0.2), feather=0).mean(dim=(1, 2, 3))
    soft = ellipses(200, (60, 80), generator(), share=(0.1, 0.2)).mean(dim=(1, 2, 3))
    assert 0.04 < hard.min() < hard.max() < 0.205  # the frame cuts some off
    assert (soft - hard).abs().max() < 0.02


@pytest.mark.parametrize("compose", [cutmix, resizemix, puzzlemix, paste])
def test_the_generator_decides(compose):
    first, again, other = (
        compose(pictures(), SOURCES, generator(seed)).masks for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("compose", [cutmix, resizemix, puzzlemix, paste])
def test_a_mix_of_one_is_refused(compose):
    with pytest.raises(ValueError, match="two sources"):
        compose(pictures(), torch.tensor([[0]]), generator())


def test_persons_of_both_are_there_once_and_the_mask_says_whose():
    sequences = torch.arange(3 * 2 * 2 * 4 * 5.0).view(3, 2, 2, 4, 5)
    made = join_persons(sequences, torch.tensor([[0, 1], [2, 1]] * 4), generator())
    assert made.images.shape == (8, 2, 4, 4, 5)
    assert made.masks.shape == (8, 1, 4, 4, 5)
    orders = set()
    for image, mask, (first, second) in zip(
        made.images, made.masks, made.sources.tolist(), strict=True
    ):
        whose = []
        for slot in range(4):
            [owner] = mask[0, slot].unique().tolist()
            source = sequences[first if owner else second]
            assert any(torch.equal(image[:, slot], source[:, person]) for person in range(2))
            whose.append(owner)
        assert sorted(whose) == [0, 0, 1, 1]
        assert len({each[0].sum().item() for each in image.unbind(1)}) == 4
        orders.add(tuple(whose))
    assert len(orders) > 2


def test_frames_of_the_second_are_one_stretch():
    sequences = torch.rand(2, 3, 2, 20, 5, generator=generator(5))
    made: Composites = cut_frames(sequences, torch.tensor([[0, 1]] * 10), generator())
    for image, mask in zip(made.images, made.masks, strict=True):
        assert torch.equal(image, mask * sequences[0] + (1 - mask) * sequences[1])
        frames = mask[0, 0, :, 0]
        assert torch.equal(mask[0], frames[None, :, None].expand(2, 20, 5))
        assert 4 <= int((frames == 0).sum()) <= 16
        assert int((frames[1:] != frames[:-1]).sum()) <= 2
