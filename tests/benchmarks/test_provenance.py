"""Objects are cut out exactly, scenes say where they stand, penalties hit what they say."""

import numpy as np
import pytest
import torch
from classification import ARMS, Data, Scale, compare, measure, penalty, train
from objects import Object, cut_out, drawn_objects, segmented
from PIL import Image, ImageDraw
from spurious import make_scenes, on_other_grounds

RNG = np.random.default_rng(0)


def drawn(*boxes, ground="white", size=(60, 40)):
    picture = Image.new("RGB", size, ground)
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill="red")
    return picture


def test_one_object_on_a_plain_ground_is_cut_out():
    matte = segmented(drawn((10, 10, 39, 29)))
    assert matte.sum() == 30 * 20
    assert matte[10:30, 10:40].all()
    hole = drawn((10, 10, 39, 29))
    ImageDraw.Draw(hole).rectangle((20, 15, 25, 20), fill="white")
    assert segmented(hole).sum() == 30 * 20  # no flood from the border reaches it


@pytest.mark.parametrize(
    "picture",
    [
        drawn((10, 10, 14, 14)),  # too small
        drawn((2, 2, 58, 38)),  # too large
        drawn((5, 5, 20, 30), (35, 5, 50, 30)),  # two
        Image.fromarray(RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)),  # no plain ground
        drawn(),
    ],
)
def test_what_is_no_such_object_is_left_out(picture):
    assert segmented(picture) is None


def test_the_largest_classes_are_kept_and_counted():
    good, bad = drawn((10, 10, 39, 29)), drawn()
    pictures = [("a", good), ("b", good), ("b", good), ("c", bad), ("a", bad), ("d", good)]
    objects, counts = cut_out([*pictures, ("a", good)], classes=2)
    assert counts == {"a": 2, "b": 2}
    assert sorted(each.label for each in objects) == ["a", "a", "b", "b"]


def scenes(count=30, correlated=0.9):
    objects = [
        Object(label, np.full((8, 8, 3), value, np.uint8), np.ones((8, 8), bool))
        for label, value in (("a", 200), ("b", 250))
        for _ in range(count)
    ]
    grounds = [[np.full((5, 5, 3), value, np.uint8)] for value in (10, 60)]
    return make_scenes(objects, grounds, 32, np.random.default_rng(1), correlated=correlated)


def test_a_scene_is_an_object_where_its_matte_is_and_a_ground_elsewhere():
    made = scenes()
    for image, matte, label, ground in zip(
        made.images, made.mattes[:, 0] > 0, made.labels, made.grounds, strict=True
    ):
        assert 16**2 - 1 <= matte.sum() <= 29**2
        assert torch.allclose(image[:, matte] * 255, torch.tensor((200.0, 250.0)[label]))
        assert torch.allclose(image[:, ~matte] * 255, torch.tensor((10.0, 60.0)[ground]))
    assert 0.8 < (made.labels == made.grounds).float().mean() < 1


def test_an_edited_scene_keeps_its_object_alone():
    made, grounds = scenes(), torch.full((3, 3, 32, 32), 0.5)
    edited = on_other_grounds(made, grounds, torch.Generator().manual_seed(0))
    matte = made.mattes.expand_as(made.images) > 0
    assert torch.equal(edited.images[matte], made.images[matte])
    assert (edited.images[~matte] == 0.5).all()
    assert torch.equal(edited.masks, made.mattes)


def test_arms_penalise_what_they_are_called_after():
    gradient, masks = torch.ones(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    masks[0, :, :2] = 1
    assert float(penalty("true", gradient, masks)) == 3 * (8 + 16) / 2
    assert float(penalty("random", gradient, masks)) == 3 * (16 + 8) / 2
    gradient[1] = 0
    assert float(penalty("true", gradient, masks)) == 3 * 8 / 2
    assert float(penalty("random", gradient, masks)) == 3 * 16 / 2
    assert float(penalty("full", gradient, masks)) == 3 * 16 / 2


def test_every_arm_runs_and_is_measured():
    small = Scale(side=32, train=32, test=10, epochs=1, seeds=1, weights=(0.1,))
    part = scenes(32)
    data = Data(part, scenes(10, 0.5), scenes(10, 0.5), torch.rand(4, 3, 32, 32), ("a", "b"))
    figures = compare(data, small, seed=0)
    assert set(figures) == set(ARMS)
    assert all(0 < each["off_target"] < 1 for each in figures.values())
    again = train("true", 0.1, data, small, 0)
    assert measure(again, data.test)["off_target"] == figures["true"]["off_target"]


def test_outlines_are_drawn_whole():
    objects = drawn_objects(2, 64, np.random.default_rng(3))
    assert len({each.label for each in objects}) == 4
    for each in objects:
        assert 0.05 < each.matte.mean() < 0.9
        border = [each.matte[0], each.matte[-1], each.matte[:, 0], each.matte[:, -1]]
        assert not np.concatenate(border).any()
