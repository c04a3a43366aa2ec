"""Aircraft, Cars, CUB and Pets in their published layouts, tiny, and the one command for rows."""

import json
import pickle
import sys
from collections import Counter

import numpy as np
import paper_rows
import paper_sets
import pytest
import torch
from layouts import OtherLayout
from paper_sets import Picture, read_few, validation_of
from PIL import Image
from scipy.io import savemat

from attribution.synthesis.context.captioner import Context, Described
from attribution.synthesis.context.tables import write_tables

COLOURS = ("red", "blue")


@pytest.fixture(autouse=True, scope="module")
def threads():
    """The command sets them for its own process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def picture(path, label, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 48, 3), shade, np.uint8)
    pixels[8:30, 10:40] = ((220, 30, 30), (30, 30, 220))[label]
    Image.fromarray(pixels).save(path)


def aircraft(root):
    data = root / "fgvc-aircraft-2013b" / "data"
    names, lines = ("707-320", "F/A-18"), {"trainval": [], "test": []}
    for number in range(16):
        label, part = number % 2, "trainval" if number < 10 else "test"
        picture(data / "images" / f"{number:07}.jpg", label, number)
        lines[part].append(f"{number:07} {names[label]}")
    (data / "variants.txt").write_text("\n".join(names) + "\n")
    for part, rows in lines.items():
        (data / f"images_variant_{part}.txt").write_text("\n".join(rows) + "\n")
    return ("707-320", "F_A-18")


def cars(root):
    place = root / "stanford_cars"
    (place / "devkit").mkdir(parents=True)
    names = np.array(["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"], object)
    savemat(place / "devkit" / "cars_meta.mat", {"class_names": names})
    kinds = [("fname", object), ("class", object)]
    for part, count, file in (("train", 10, "devkit/cars_train_annos.mat"),
                              ("test", 6, "cars_test_annos_withlabels.mat")):  # fmt: skip
        rows = np.zeros(count, kinds)
        for number in range(count):
            picture(place / f"cars_{part}" / f"{number:05}.jpg", number % 2, number)
            rows[number] = (f"{number:05}.jpg", 1 + number % 2)
        savemat(place / file, {"annotations": rows})
    return ("am_general_hummer_suv_2000", "ram_c_v_cargo_van_minivan_2012")


def birds(root):
    place, lines = root / "CUB_200_2011", {}
    for number in range(1, 17):
        label = number % 2
        name = f"{1 + label:03}.{('Sooty_Albatross', 'Gray_Catbird')[label]}/{number}.jpg"
        picture(place / "images" / name, label, number)
        for file, value in (("images", name), ("image_class_labels", 1 + label),
                            ("train_test_split", int(number <= 10)),
                            ("bounding_boxes", "10.0 8.0 30.0 22.0")):  # fmt: skip
            lines.setdefault(file, []).append(f"{number} {value}")
    for file, rows in lines.items():
        (place / f"{file}.txt").write_text("\n".join(rows) + "\n")
    return ("Sooty_Albatross", "Gray_Catbird")


def pets(root):
    place, names = root / "oxford-iiit-pet", ("Abyssinian", "american_bulldog")
    (place / "annotations").mkdir(parents=True)
    for part, count in (("trainval", 10), ("test", 6)):
        rows = ["#Image CLASS-ID SPECIES BREED ID"]
        for number in range(count):
            name = f"{names[number % 2]}_{part[:2]}{number}"
            picture(place / "images" / f"{name}.jpg", number % 2, number)
            rows.append(f"{name} {1 + number % 2} 1 1")
        (place / "annotations" / f"{part}.txt").write_text("\n".join(rows) + "\n")
    return names


MAKERS = {"aircraft": aircraft, "cars": cars, "cub": birds, "pets": pets}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Of each set its folder, its few pictures and its classes."""
    found = {}
    for name, make in MAKERS.items():
        root = tmp_path_factory.mktemp(name)
        classes = make(root / "real")
        for number in range(4):
            few = root / "5shot" / "train" / classes[number % 2] / f"{number}.jpg"
            picture(few, number % 2, 100 + number)
        found[name] = root / "real", root / "5shot", classes
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_a_set_is_read_with_the_few_matched_by_name(sets, name):
    real, few, classes = sets[name]
    whole = paper_sets.SETS[name].read(real)
    assert whole.classes == classes
    assert (len(whole.learnt), len(whole.test)) == (10, 6)
    for one in (*whole.learnt, *whole.test):
        red, _, blue = np.asarray(Image.open(one.file))[20, 20]
        assert (red < blue) == one.label
    own = read_few(few, whole.classes)
    assert [one.label for one in own] == [0, 0, 1, 1]
    assert [one.file.name for one in own] == ["0.jpg", "2.jpg", "1.jpg", "3.jpg"]
    with pytest.raises(OtherLayout, match="is not there"):
        paper_sets.SETS[name].read(few)


def test_validation_is_of_other_pictures_or_the_authors_own(sets, tmp_path):
    real, few, classes = sets["pets"]
    whole = paper_sets.SETS["pets"].read(real)
    known = (Picture(whole.learnt[0].file, 0), *read_few(few, classes))
    drawn = validation_of(whole, known, 4)
    assert Counter(one.label for one in drawn) == {0: 4, 1: 4}
    assert whole.learnt[0] not in drawn
    assert drawn == validation_of(whole, known, 4)
    (tmp_path / "pet.pkl").write_bytes(pickle.dumps([np.int64(3), 0, 1]))
    theirs = validation_of(whole, known, 4, tmp_path / "pet.pkl")
    assert theirs == (whole.learnt[3], whole.learnt[1])
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(OtherLayout, match=r"other\.pkl"):
        validation_of(whole, known, 4, tmp_path / "other.pkl")


def test_few_pictures_of_another_set_are_refused(sets, tmp_path):
    with pytest.raises(OtherLayout, match="no class of this name"):
        read_few(sets["cub"][1], sets["pets"][2])
    (tmp_path / "train").mkdir()
    with pytest.raises(OtherLayout, match="has no pictures"):
        read_few(tmp_path, ("Abyssinian",))


def test_contexts_come_from_the_authors_tables_or_the_captioner_without_weights(sets, tmp_path):
    real, few, classes = sets["cub"]
    whole, own = paper_sets.SETS["cub"].read(real), read_few(few, classes)
    told, pictures = paper_rows._described(None, whole, own)
    assert [row.image for row in told] == list(pictures)
    rows = [
        Described(
            f"../datasets/cub/5shot/train/{row.image}",
            row.class_name,
            Context("sea", f"flying {number}"),
        )
        for number, row in enumerate(told)
    ]
    write_tables(rows[::-1], tmp_path)
    told, _ = paper_rows._described(tmp_path, whole, own)
    assert [row.context.pose for row in told] == [f"flying {number}" for number in (3, 2, 1, 0)]
    assert {row.image for row in told} == set(pictures)
    write_tables(rows[1:], tmp_path)
    with pytest.raises(OtherLayout, match="only in the captions"):
        paper_rows._described(tmp_path, whole, own)


def test_one_command_chooses_on_validation_and_tests_once(sets, tmp_path, monkeypatch, capsys):
    real, few, classes = sets["aircraft"]
    made = tmp_path / "made"
    made.mkdir()
    with (made / "manifest.jsonl").open("w") as manifest:
        for number in range(8):
            name = f"queries/{number}.png"
            picture(made / name, number % 2, 50 + number)
            manifest.write(json.dumps({"query": name, "class": classes[number % 2]}) + "\n")
    out = tmp_path / "rows.json"
    command = ["paper_rows", "aircraft", str(few), str(real), "--made", str(made), "--side", "16",
               "--epochs", "1", "--final-epochs", "2", "--rates", "0.01", "0.001", "--decays", "0",
               "--batch", "8", "--runs", str(tmp_path / "runs"), "--out", str(out)]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    paper_rows.main()
    found = json.loads(out.read_text())
    assert set(found["rows"]) == set(paper_rows.ROWS)
    for row in found["rows"].values():
        assert 0 <= row["test"] <= 1
        assert len(row["curve"]) == 2
    assert found["paper"]["real and synthetic"] == 0.6031
    assert "the paper" in capsys.readouterr().out
    attempts = [path.name for path in (tmp_path / "runs").rglob("rate*.json")]
    assert len(attempts) == 2 + 4  # lambda only where there are synthetic pictures
    monkeypatch.setattr(paper_rows, "_trained", lambda *_, **options: pytest.fail("done before"))
    paper_rows.main()
    assert json.loads(out.read_text()) == found
