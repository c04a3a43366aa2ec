"""CUB, Waterbirds and UCF101-24 in their published layouts, tiny, through the one command."""

import csv
import json
import os
import pickle
import sys

import numpy as np
import published
import pytest
import table
import torch
from layouts import OtherLayout, person_tubes, read_cub, read_ucf, read_waterbirds
from network import TimmClassifier
from PIL import Image, ImageDraw
from videos import FRAMES, PERSONS, normalised


@pytest.fixture(autouse=True, scope="module")
def threads():
    """The command sets them for its own process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def picture(path, colour, box, ground="grey", size=(60, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = Image.new("RGB", size, ground)
    ImageDraw.Draw(shown).rectangle(box, fill=colour)
    shown.save(path)


@pytest.fixture(scope="module")
def cub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("CUB_200_2011")
    lines = {name: [] for name in ("images", "image_class_labels", "train_test_split")}
    boxes = []
    for number in range(1, 45):
        label = 1 + number % 2
        name = f"{label:03}.Bird_{label}/Bird_{number:04}_9.jpg"
        left = 5 + number % 20
        picture(folder / "images" / name, ("red", "blue")[label - 1], (left, 10, left + 19, 29))
        lines["images"].append(f"{number} {name}")
        lines["image_class_labels"].append(f"{number} {label}")
        lines["train_test_split"].append(f"{number} {int(number <= 40)}")
        boxes.append(f"{number} {left}.0 10.0 20.0 20.0")
    for name, each in (lines | {"bounding_boxes": boxes}).items():
        (folder / f"{name}.txt").write_text("\n".join(each) + "\n")
    return folder


@pytest.fixture(scope="module")
def waterbirds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waterbird_complete95_forest2water2")
    columns = ["img_id", "img_filename", "y", "split", "place", "place_filename"]
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for number in range(24):
            label, place = number % 2, number // 2 % 2
            name = f"{label:03}.Bird/Bird_{number:04}.jpg"
            ground = ("green", "navy")[place]
            colour = ("red", "white")[label]
            picture(folder / name, colour, (20, 10, 39, 29), ground)
            rows.writerow([number, name, label, number // 8, place, "/b/bamboo/1.jpg"])
    for each in list(folder.rglob("*.jpg")):
        picture(folder / "edits" / each.relative_to(folder), "red", (20, 10, 39, 29), "orange")
    return folder


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ucf101")
    rng = np.random.default_rng(0)
    annotations, truths = [], {"labels": ["Basketball", "Biking"], "gttubes": {}, "resolution": {}}
    names = [f"v_Basketball_g{number:02}_c01" for number in range(26)]
    for number, name in enumerate(names):
        key = f"Basketball/{name}"
        points = rng.uniform(20, 100, (2, 12, 17, 2)).astype(np.float16)
        points[1] += 100
        scores = np.full((2, 12, 17), 0.9, np.float16)
        scores[1, 6:] = 0.1
        annotations.append(
            {
                "frame_dir": key,
                "total_frames": 12,
                "img_shape": (240, 320),
                "original_shape": (240, 320),
                "label": 7,
                "keypoint": points,
                "keypoint_score": scores,
            }
        )
        own = np.array([[frame, 20, 20, 100, 100] for frame in range(1, 13)], np.float32)
        truths["gttubes"][key] = {number % 2: [own]}
        truths["resolution"][key] = (240, 320)
    truths["nframes"] = dict.fromkeys(truths["gttubes"], 12)
    keys = list(truths["gttubes"])
    truths |= {"train_videos": [keys[:20]], "test_videos": [keys[20:]]}
    annotations.append({**annotations[0], "frame_dir": "Archery/v_Archery_g01_c01"})
    skeletons = {"split": {"train1": names, "test1": []}, "annotations": annotations}
    (folder / "ucf101_hrnet.pkl").write_bytes(pickle.dumps(skeletons))
    (folder / "UCF101v2-GT.pkl").write_bytes(pickle.dumps(truths, protocol=2))
    return folder


def test_cub_is_read_with_boxes_and_a_validation_part(cub):
    rows = read_cub(cub)
    assert [sum(row.part == part for row in rows) for part in ("train", "validation", "test")] == [
        36,
        4,
        4,
    ]
    first = rows[0]
    assert first.box.tolist() == [6, 10, 26, 30]
    assert first.label == 1
    pixels = np.asarray(Image.open(first.file).convert("RGB")).astype(int)
    left, top, right, bottom = first.box.astype(int)
    inside = pixels[top:bottom, left:right].mean(axis=(0, 1))
    assert inside[2] > 200 > inside[0]
    with pytest.raises(OtherLayout, match="CUB_200_2011"):
        read_cub(cub / "images")


def test_waterbirds_are_read_with_places(waterbirds, tmp_path):
    rows = read_waterbirds(waterbirds)
    assert [(row.label, row.place, row.part) for row in rows[8:11]] == [
        (0, 0, "validation"),
        (1, 0, "validation"),
        (0, 1, "validation"),
    ]
    assert rows[0].file.is_file()
    (tmp_path / "metadata.csv").write_text("img_filename,y\na.jpg,1\n")
    with pytest.raises(OtherLayout, match="place, split"):
        read_waterbirds(tmp_path)


def test_ucf_skeletons_are_joined_with_true_tubes(ucf):
    videos, actions = read_ucf(ucf / "ucf101_hrnet.pkl", ucf / "UCF101v2-GT.pkl")
    assert actions == ["Basketball", "Biking"]
    parts = [video.part for video in videos]
    assert [parts.count(part) for part in ("train", "validation", "test")] == [18, 2, 6]
    assert [video.label for video in videos[:3]] == [0, 1, 0]  # of the tubes, not of the pickle
    seen, gone = person_tubes(videos[0])
    assert seen.shape == (12, 5)
    assert gone[:, 0].tolist() == [1, 2, 3, 4, 5, 6]  # from 1, where joints are sure
    low = videos[0].points[0, 0].min(axis=0)
    assert (seen[0, 1:3] < low).all()
    points = normalised(videos[0])
    assert points.shape == (2, PERSONS, FRAMES, 17)
    assert points.abs().max() <= 1
    assert torch.equal(points[:, 2], points[:, 0])  # the surest again, not nobody


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_pickle_that_would_run_something_is_refused(ucf, tmp_path):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"annotations": [Evil()]}))
    with pytest.raises(OtherLayout, match="system"):
        read_ucf(tmp_path / "evil.pkl", ucf / "UCF101v2-GT.pkl")
    with pytest.raises(OtherLayout, match="lacks annotations"):
        read_ucf(ucf / "UCF101v2-GT.pkl", ucf / "ucf101_hrnet.pkl")


def test_one_command_makes_the_table_of_each_set(
    cub, waterbirds, ucf, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(table, "DRAWS", 20)
    shared = ["--epochs", "1", "--number", "1", "--grid", "0.01", "--threads", "1"]
    for command, figure in (
        (["cub", str(cub), "--side", "32"], "MaxBoxAccV2"),
        (
            ["waterbirds", str(waterbirds), "--side", "32", "--edits", str(waterbirds / "edits")],
            "worst group",
        ),
        (["waterbirds", str(waterbirds), "--side", "32"], "worst group"),
        (["ucf101-24", str(ucf / "ucf101_hrnet.pkl"), str(ucf / "UCF101v2-GT.pkl")], "AP@.5"),
    ):
        out = tmp_path / f"{command[0]}.json"
        runs = tmp_path / str(len(command))
        monkeypatch.setattr(
            sys, "argv", ["published", *command, *shared, "--out", str(out), "--runs", str(runs)]
        )
        published.main()
        found = json.loads(out.read_text())
        assert set(found["levels"]) == {"no synthesis", "synthesis", "true", "random", "full"}
        assert figure in found["levels"]["true"]
        assert "The paper (CVPR 2026)" in capsys.readouterr().out


def test_another_network_has_a_map_of_each_class_and_gradients_twice():
    model = TimmClassifier("test_resnet", 3)
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    maps = model.maps(images)
    assert maps.shape[:2] == (2, 3)
    assert torch.allclose(model(images), maps.mean(dim=(2, 3)))
    [gradient] = torch.autograd.grad(model(images)[:, 0].sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert model.head.weight.grad is not None
