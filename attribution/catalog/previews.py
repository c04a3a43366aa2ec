"""Preview files, named after their content and durable once stored; knows no source."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attribution.catalog.errors import Place
from attribution.files import flush, replacing


def digest(data: bytes) -> str:
    """The name of a preview: hex sha256 of its bytes."""
    return hashlib.sha256(data).hexdigest()


class PreviewStore:
    """JPEG files under `folder/ab/abcdef….jpg`; safe with other processes beside."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist."""
        self._folder = folder
        self.place = Place()

    def make(self) -> None:
        """Create the folder durably where it is missing."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            flush(self._folder.parent)

    def path(self, name: str) -> Path:
        """Where the preview `name` lies, or would."""
        return self._folder / name[:2] / f"{name}.jpg"

    def has(self, name: str) -> bool:
        """Whether the file is there; raises StorageUnwritable where nobody may look."""
        with self.place.writing():
            return self.path(name).is_file()

    def read(self, name: str) -> bytes:
        """The bytes of a preview; FileNotFoundError where there is none."""
        return self.path(name).read_bytes()

    def read_sound(self, name: str) -> bytes:
        """As `read`, and FileNotFoundError also where the bytes are not those that were stored.

        What is damaged is as good as gone: nobody shall decode it, or show it as what it was.
        """
        data = self.read(name)
        if digest(data) != name:
            raise FileNotFoundError(errno.ENOENT, "the preview is damaged", str(self.path(name)))
        return data

    def store(self, previews: Mapping[str, bytes]) -> None:
        """Keep `previews` (bytes by name); on return they survive a power cut.

        Each file is written aside and renamed, so nobody ever reads half of one. A crash leaves at
        most a file that no source uses. Raises StorageFull, StorageUnwritable.
        """
        if not previews:
            return
        shards = sorted({self.path(name).parent for name in previews})
        with self.place.writing():
            self.make()
            for shard in shards:
                shard.mkdir(exist_ok=True)
            # Also what is in place already: how long it takes to add an image must not tell whether
            # some other collection holds it.
            for name, data in previews.items():
                _write(self.path(name), data)
            for folder in [*shards, self._folder]:
                flush(folder)

    def remove(self, paths: Iterable[Path]) -> dict[Path, OSError]:
        """Remove files of the store for good, unfinished ones included; why those that stay do.

        One that stays is still there, or may come back after a power cut. Each folder is flushed
        once, for that takes the time; also of a file that a killed process has removed before.
        """
        stayed: dict[Path, OSError] = {}
        removed: dict[Path, list[Path]] = {}
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                stayed[path] = error
            else:
                removed.setdefault(path.parent, []).append(path)
        for folder, files in removed.items():
            try:
                flush(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                stayed.update(dict.fromkeys(files, error))
        return stayed

    def name_of(self, path: Path) -> str:
        """The name of the preview that a file is, or was going to be."""
        return path.name.removeprefix(".").partition(".")[0]

    def files(self) -> Iterator[Path]:
        """Every file in the store, unfinished ones included."""
        return (path for path in self._folder.glob("*/*") if path.is_file())


def _write(path: Path, data: bytes) -> None:
    try:
        _replace(path, data)
    except FileNotFoundError:  # compaction took the unfinished file for one that a crash has left
        _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)
