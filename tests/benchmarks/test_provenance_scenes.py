"""Objects are cut out exactly, and scenes say where they stand and on what."""

import json
import tarfile
from io import BytesIO

import numpy as np
import pytest
import torch
from boxes import on_one_ground
from gradients import heat, sheet
from objects import Object, drawn_objects, segmented
from pictures import Size, made
from PIL import Image, ImageDraw
from pool import KINDS, objects_and_grounds
from spurious import Scenes, balanced, habitual, make_scenes, on_other_grounds, resized

RNG = np.random.default_rng(0)


def drawn(*boxes, ground="white", size=(60, 40), shape="ellipse"):
    picture = Image.new("RGB", size, ground)
    for box in boxes:
        getattr(ImageDraw.Draw(picture), shape)(box, fill="red")
    return picture


def test_one_object_on_a_plain_ground_is_cut_out():
    whole = drawn((10, 10, 39, 29))
    red = np.asarray(whole)[..., 1] == 0
    assert np.array_equal(segmented(whole), red)
    ImageDraw.Draw(whole).rectangle((20, 15, 25, 20), fill="white")
    assert np.array_equal(segmented(whole), red)  # no flood from the border reaches the hole


@pytest.mark.parametrize(
    "picture",
    [
        drawn((10, 10, 14, 14)),  # too small
        drawn((0, 0, 59, 39)),  # too large
        drawn((5, 5, 20, 30), (35, 5, 50, 30)),  # two
        drawn((10, 10, 39, 29), shape="rectangle"),  # a framed picture
        Image.fromarray(RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)),  # no plain ground
        drawn(),
    ],
)
def test_what_is_no_such_object_is_left_out(picture):
    assert segmented(picture) is None


def test_a_pool_is_cut_out_once_and_its_largest_classes_are_kept(tmp_path):
    good, bad = drawn((10, 10, 39, 29)), drawn()
    labels = ["a", "b", "b", "c", "a", "d"]
    pictures = [*zip(labels, [good, good, good, bad, bad, good], strict=True), ("a", good)]
    rows = [("pacs", label, picture) for label, picture in pictures]
    rows += [("dtd10", KINDS[0], bad), ("dtd10", "elsewhere", good), ("clothing", "a", good)]
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for number, (_, _, picture) in enumerate(rows):
            data = BytesIO()
            picture.save(data, "PNG")
            header = tarfile.TarInfo(f"{number}.png")
            header.size = data.tell()
            data.seek(0)
            archive.addfile(header, data)
    lines = [
        json.dumps({"file": f"{number}.png", "set": of, "label": label})
        for number, (of, label, _) in enumerate(rows)
    ]
    (tmp_path / "index.jsonl").write_text("\n".join(lines))
    for _ in range(2):
        objects, grounds = objects_and_grounds(tmp_path, tmp_path / "kept.npz", classes=2)
        assert sorted(each.label for each in objects) == ["a", "a", "b", "b"]
        assert np.array_equal(objects[0].matte, segmented(good))
        assert objects[0].pixels.shape == (40, 60, 3)
        assert [len(each) for each in grounds] == [1, 0, 0, 0]
        (tmp_path / "0.tar").unlink(missing_ok=True)  # the second time nothing is read


def things(count=30):
    return [
        Object(label, np.full((8, 8, 3), value, np.uint8), np.ones((8, 8), bool))
        for label, value in (("a", 200), ("b", 250))
        for _ in range(count)
    ]


GROUNDS = [[np.full((5, 5, 3), value, np.uint8)] * 2 for value in (10, 60)]


def scenes(objects, kinds):
    return make_scenes(objects, kinds, GROUNDS, 32, np.random.default_rng(1))


def test_a_scene_is_an_object_where_its_matte_is_and_a_ground_elsewhere():
    shown = scenes(things(), [0, 1] * 30)
    for image, matte, label, ground in zip(
        shown.images, shown.mattes[:, 0] > 0, shown.labels, shown.grounds, strict=True
    ):
        assert 25**2 <= matte.sum() <= 32**2
        assert torch.allclose(image[:, matte] * 255, torch.tensor((200.0, 250.0)[label]))
        assert torch.allclose(image[:, ~matte] * 255, torch.tensor((10.0, 60.0)[ground]))


def test_grounds_go_with_classes_by_habit_and_in_tests_with_none():
    kinds = habitual(things(500), np.random.default_rng(0), 0.95)
    assert np.mean(np.array(kinds) == np.repeat([0, 1], 500)) == pytest.approx(0.95, abs=0.02)
    objects, crossed = balanced(things(2))
    assert [(each.label, kind) for each, kind in zip(objects, crossed, strict=True)] == [
        (label, kind) for label in "aabb" for kind in (0, 1)
    ]


def test_parts_of_a_seed_share_no_object_and_training_no_ground_with_the_rest():
    objects = [
        Object(label, np.full((8, 8, 3), value, np.uint8), np.ones((8, 8), bool))
        for label, values in (("a", range(100, 110)), ("b", range(200, 210)))
        for value in values
    ]
    grounds = [[np.full((5, 5, 3), 10 * kind + n, np.uint8) for n in range(4)] for kind in (0, 1)]
    data = made(objects, grounds, Size(32, 6, 2, 0.5), np.random.default_rng(0))
    assert [len(each) for each in (data.train, data.validation, data.test)] == [12, 8, 8]
    values = [
        {round(float(v)) for v in (part.images * 255).amax(dim=(1, 2, 3))}
        for part in (data.train, data.validation, data.test)
    ]
    assert not values[0] & values[1]
    assert not values[1] & values[2]
    seen = {round(float(v) * 255) for v in data.grounds.flatten(1)[:, 0]}
    assert seen == {0, 2, 10, 12}
    assert {round(float(v)) for v in (data.test.images * 255).amin(dim=(1, 2, 3))} <= {
        1,
        3,
        11,
        13,
        *values[2],
    }
    with pytest.raises(ValueError, match="larger pool"):
        made(objects, grounds, Size(32, 7, 2, 0.5), np.random.default_rng(0))


@pytest.mark.parametrize("change", [-0.3, -0.1, 0.1, 0.3])
def test_a_mask_is_dilated_and_eroded_by_a_share_of_its_area(change):
    matte = torch.zeros(1, 30, 30)
    matte[0, 10:20, 8:22] = 1
    found = resized(matte, change)
    assert found.sum() == round(140 * (1 + change))
    both = torch.minimum(matte, found)
    assert torch.equal(both, matte if change > 0 else found)
    rows = found[0].any(dim=1).nonzero()[:, 0]  # grown or shrunk on all sides alike
    assert abs(int(rows[0]) - 10 - (19 - int(rows[-1]))) <= 1


def test_an_edited_scene_keeps_its_object_alone():
    shown, grounds = scenes(things(), [0, 1] * 30), torch.full((3, 3, 32, 32), 0.5)
    edited = on_other_grounds(shown, grounds, torch.Generator().manual_seed(0))
    matte = shown.mattes.expand_as(shown.images) > 0
    assert torch.equal(edited.images[matte], shown.images[matte])
    assert (edited.images[~matte] == 0.5).all()
    assert torch.equal(edited.masks, shown.mattes)


def test_outlines_are_drawn_whole():
    objects = drawn_objects(2, 64, np.random.default_rng(3))
    assert len({each.label for each in objects}) == 4
    for each in objects:
        assert 0.05 < each.matte.mean() < 0.9
        border = [each.matte[0], each.matte[-1], each.matte[:, 0], each.matte[:, -1]]
        assert not np.concatenate(border).any()


def test_boxes_are_measured_of_every_object_once():
    scenes = Scenes(
        torch.arange(24.0).view(24, 1, 1, 1),
        torch.zeros(24, 1, 1, 1),
        torch.zeros(24, dtype=torch.long),
        torch.arange(24) % 4,
    )
    chosen = on_one_ground(scenes)
    assert (chosen.images.flatten() // 4).tolist() == list(range(6))
    assert chosen.grounds.tolist() == [0, 1, 2, 3, 0, 1]


def test_heat_is_where_the_score_of_the_own_class_changes():
    class Corner(torch.nn.Module):
        def forward(self, images):
            return torch.stack([4 * images[:, 0, 1, 2], images[:, 1, 0, 0] - images[:, 2, 3, 3]], 1)

    nothing = torch.zeros(2, 3, 4, 4)
    scenes = Scenes(nothing, nothing[:, :1], torch.tensor([0, 1]), torch.tensor([0, 1]))
    found = heat(Corner(), scenes)
    wanted = torch.zeros(2, 4, 4)
    wanted[0, 1, 2] = wanted[1, 0, 0] = wanted[1, 3, 3] = 1  # whatever the gradient's length
    assert torch.equal(found, wanted)
    drawn_sheet = np.asarray(sheet({"object": scenes.mattes, "heat": found}))
    heads, cell, gap = 18, 72, 4
    assert drawn_sheet.shape == (heads + 2 * cell + gap, 2 * cell + gap, 3)
    assert (drawn_sheet[heads + 20, cell + gap + 40] == 255).all()  # row 1, column 2 of the first
    assert (drawn_sheet[heads + 20, cell + gap + 10] == 0).all()
