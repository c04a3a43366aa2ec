"""Where a catalog is, or could be, is told by looking; nothing is made."""

import pytest

from attribution.catalog import CatalogUnusable
from attribution.catalog.presence import require_place
from tests.support.forks import Fork
from tests.support.users import as_ordinary_user, give_back, take_away


def test_a_place_for_a_data_folder(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    for name in ("there", "link", "new", "new/deep/er", "there/new", "link/new"):
        require_place(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "there"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("file", "file is no folder"), ("file/deep/er", "file is no folder"),
     ("link", "link is a link that leads nowhere"), ("link/new", "link is a link")],
)  # fmt: skip
def test_no_place_for_one(tmp_path, name, words):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(CatalogUnusable, match=words) as raised:
        require_place(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


def refused(folder):
    with pytest.raises(CatalogUnusable, match="may not be written"):
        require_place(folder / "new")
    require_place(folder)  # whether it may be written is found out by whoever opens it


def test_no_place_in_a_folder_of_another(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    take_away(folder, reading=False)
    with as_ordinary_user(refused, folder) as process:
        assert isinstance(process, Fork)
        _, errors = process.communicate(timeout=120)
    give_back(folder)
    assert (process.returncode, errors) == (0, "")
