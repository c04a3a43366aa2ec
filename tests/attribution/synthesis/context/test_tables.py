import pytest

from attribution.synthesis.context.captioner import Context, Described
from attribution.synthesis.context.tables import BadTable, read_tables, write_tables

FOLDER = "../dataset/datasets/pet/5shot/train"
PUBLISHED = {
    "background.tsv": (
        f"image\tresponse\n{FOLDER}/american_bulldog/61.jpg\tGrass, sky, hangar.\n"
        f'{FOLDER}/Abyssinian/2.jpg\tIt says "hello"...\tand more\n'
    ),
    "pose.tsv": (
        f"image\tresponse\n{FOLDER}/Abyssinian/2.jpg\ta pet is resting on a surface. \n"
        f"{FOLDER}/american_bulldog/61.jpg\tLooking up\n"
    ),
}


def test_the_published_layout_is_read_as_its_authors_read_it(tmp_path):
    for name, text in PUBLISHED.items():
        (tmp_path / name).write_text(text)
    first, second = read_tables(tmp_path)
    assert first == Described(
        f"{FOLDER}/american_bulldog/61.jpg",
        "american_bulldog",
        Context("Grass, sky, hangar", "Looking up"),
    )
    assert second.class_name == "Abyssinian"
    assert second.context == Context('It says "hello"', "a pet is resting on a surface")


def test_what_is_written_has_the_period_and_is_read_back(tmp_path):
    rows = (
        Described("few/red_kite/b.jpg", "red_kite", Context("été, mer", "aloft")),
        Described("few/barn_owl/a.jpg", "barn_owl", Context("a barn", "on a beam, asleep")),
    )
    write_tables(rows, tmp_path / "captions")
    assert read_tables(tmp_path / "captions") == rows
    lines = (tmp_path / "captions" / "background.tsv").read_bytes().decode().split("\n")
    assert lines[0] == "image\tresponse"
    assert lines[1] == "few/red_kite/b.jpg\tété, mer."
    assert lines[3:] == [""]


@pytest.mark.parametrize(
    ("background", "pose", "message"),
    [
        ("image\tresponse\nx/a.jpg\n", "image\tresponse\n", "background.tsv, line 2: needs"),
        ("image\tresponse\nx/a.jpg\t...\n", "image\tresponse\n", "line 2: needs"),
        ("image\tresponse\nx/a.jpg\tb\nx/a.jpg\tc\n", "image\tresponse\n", "line 3: x/a.jpg has"),
        ("image\tresponse\nx/a.jpg\tb\n", "image\tresponse\nx/b.jpg\tc\n", "x/a.jpg is in only"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, background, pose, message):
    (tmp_path / "background.tsv").write_text(background)
    (tmp_path / "pose.tsv").write_text(pose)
    with pytest.raises(BadTable, match=message):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    ("image", "caption", "message"),
    [
        ("x/a.jpg", "one\ttwo", "tab"),
        ("x/a.jpg", "one\ntwo", "line end"),
        ("x/a.jpg", "", "must have one caption"),
        ("x/a.jpg", "closed.", "without a closing period"),
        ("y/a.jpg", "fine", "folder called x"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, image, caption, message):
    with pytest.raises(BadTable, match=message):
        write_tables([Described(image, "x", Context(caption, "pose"))], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_is_stopped_between_the_tables_leaves_no_pose_of_other_pictures(tmp_path):
    write_tables([Described("a/1.png", "a", Context("sky", "still"))], tmp_path)
    with pytest.raises(BadTable):
        write_tables([Described("b/1.png", "b", Context("sea", "asleep."))], tmp_path)
    assert "b/1.png" in (tmp_path / "background.tsv").read_text()
    assert not (tmp_path / "pose.tsv").exists()
