"""What the columns of a spreadsheet mean, by what people call them; reads no file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attribution.ingestion.rows import ManifestUnreadable

_SPELLINGS = {
    "path": "path sourcefile file filename filepath imagefile imagefilename imagepath image "
    "imagename picture photo photofile originalfilename datei dateiname bild bilddatei fichier "
    "nomdufichier archivo",
    "uri": "uri url link imageurl imageuri sourceurl sourceuri webaddress address",
    "title": "title imagetitle titel bildtitel titre titulo objectname headline name",
    "creator": "creator author artist photographer byline madeby creatorname authorname "
    "photographername urheber autor fotograf kuenstler künstler auteur photographe artiste",
    "licence": "licence license lizenz licenceurl licenseurl licencetype licensetype "
    "usageterms rightsusageterms webstatement",
    "collection": "collection sammlung",
    "metadata": "metadata metadaten",
    "copyright": "copyright copyrightnotice rights copyrightholder",
    "data_mining": "datamining dmi",
    "do_not_train": "donottrain notraining noaitraining noai aioptout optout tdmreservation",
}
_RANKS = {
    spelling: (field, rank)
    for field, spellings in _SPELLINGS.items()
    for rank, spelling in enumerate(spellings.split())
}


def spelt(name: str) -> str | None:
    """The field that a column of this name is about; None for any other.

    Capitals, spaces and signs do not count, nor what stands before a colon, as in `XMP:Title`.
    """
    known = _RANKS.get(_plain(name))
    return None if known is None else known[0]


def _plain(name: str) -> str:
    written = unicodedata.normalize("NFC", name.rpartition(":")[2])
    return re.sub(r"[\W_]+", "", written.casefold())


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a spreadsheet.

    Attributes:
        names: as they are written.
        fields: for each field the columns about it, the plainest name first.
        others: columns about none.
    """

    names: tuple[str, ...]
    fields: dict[str, tuple[int, ...]]
    others: tuple[int, ...]

    @classmethod
    def of_names(cls, path: Path, names: Sequence[str], line: int) -> Columns:
        """What columns of these names mean.

        Raises:
            ManifestUnreadable: two have the same name.
        """
        fields: dict[str, list[int]] = {}
        others: list[int] = []
        for place, name in enumerate(names):
            if name and name in names[:place]:
                raise ManifestUnreadable(
                    f"{path}, line {line}: two columns are called {name!r}: rename one of them"
                )
            field = spelt(name)
            if field is not None:
                fields.setdefault(field, []).append(place)
            elif name:
                others.append(place)
        ranked = {
            field: tuple(sorted(places, key=lambda place: _RANKS[_plain(names[place])][1]))
            for field, places in fields.items()
        }
        return cls(tuple(names), ranked, tuple(others))

    @property
    def told(self) -> str:
        """Which column was taken for what, in words."""
        taken = [
            f"{field} from {self.names[places[0]]!r}"
            for field, places in self.fields.items()
            if self.names[places[0]] != field
        ]
        kept = [repr(self.names[place]) for place in self.others]
        said = [*taken, *([f"kept as metadata: {', '.join(kept)}"] if kept else [])]
        return ", ".join(said) or "columns as they are called"

    def of(self, cells: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """The cells of a row: by field, the first that is not empty, and those of other columns."""
        filled = {place: cell.strip() for place, cell in enumerate(cells) if cell.strip()}
        values = {
            field: filled[place]
            for field, places in self.fields.items()
            for place in [next((place for place in places if place in filled), -1)]
            if place >= 0
        }
        return values, {
            self.names[place]: filled[place] for place in self.others if place in filled
        }
