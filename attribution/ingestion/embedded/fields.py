"""From properties of EXIF, IPTC and XMP to the fields of a source. Reads no file.

Where blocks disagree, XMP comes before IPTC and IPTC before EXIF: what edits a picture writes XMP,
and what does not know it leaves it alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attribution.catalog import Source
from attribution.catalog.validation import METADATA_BYTES, TEXT_LENGTHS
from attribution.ingestion.embedded.texts import cleaned, from_bytes, joined
from attribution.ingestion.embedded.xmp import Properties
from attribution.opt_out import EMBEDDED, forbids_training

_MOST_ITEMS = 50
_SPARE_BYTES = 256
_FIELDS = ("title", "creator", "licence")
_DC = "{http://purl.org/dc/elements/1.1/}"
_RIGHTS = "{http://ns.adobe.com/xap/1.0/rights/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_CC = "{http://creativecommons.org/ns#}"
_PLUS = "{http://ns.useplus.org/ldf/xmp/1.0/}"
_IPTC_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_TITLE, _CREATOR, _COPYRIGHT = (2, 5), (2, 80), (2, 116)
_HEADLINE, _CREDIT, _CAPTION, _KEYWORDS = (2, 105), (2, 110), (2, 120), (2, 25)
EXIF_DESCRIPTION, EXIF_ARTIST, EXIF_COPYRIGHT = 0x010E, 0x013B, 0x8298
EXIF_XP_TITLE, EXIF_XP_AUTHOR = 0x9C9B, 0x9C9D
EXIF_TAGS = frozenset(
    {EXIF_DESCRIPTION, EXIF_ARTIST, EXIF_COPYRIGHT, EXIF_XP_TITLE, EXIF_XP_AUTHOR}
)
_VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
_DIGITAL_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a picture says of itself; `further` is a JSON object of what has no field of its own."""

    title: str | None = None
    creator: str | None = None
    licence: str | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.title or self.creator or self.licence or self.further)


NOTHING_SAID = Embedded()


def embedded_of(
    exif: Mapping[int, bytes],
    iptc: Mapping[tuple[int, int], list[str]],
    xmp: Properties,
    texts: Mapping[str, str],
) -> Embedded:
    """The fields of a source from what a file's blocks state.

    Args:
        exif: values by tag.
        iptc: texts by record and dataset.
        xmp: values by property.
        texts: those of PNG itself, by keyword.
    """
    tags = _exif_texts(exif)
    return Embedded(
        title=_first(
            xmp.get(_DC + "title", [])[:1], iptc.get(_TITLE), xmp.get(_PHOTOSHOP + "Headline"),
            iptc.get(_HEADLINE), tags.get(EXIF_XP_TITLE), [texts.get("Title", "")],
            longest=TEXT_LENGTHS["title"],
        ),
        creator=_first(
            xmp.get(_DC + "creator"), iptc.get(_CREATOR), tags.get(EXIF_ARTIST),
            tags.get(EXIF_XP_AUTHOR), [texts.get("Author", "")],
            longest=TEXT_LENGTHS["creator"],
        ),
        licence=_first(
            xmp.get(_CC + "license"), xmp.get(_RIGHTS + "UsageTerms", [])[:1],
            xmp.get(_RIGHTS + "WebStatement"),
            longest=TEXT_LENGTHS["licence"],
        ),
        further=_further(tags, iptc, xmp, texts),
    )  # fmt: skip


def filled(
    stated: Mapping[str, Any], embedded: Embedded, held: Source | None = None
) -> dict[str, Any]:
    """What is stated of a source, and where nothing is, what its picture says.

    Args:
        stated: by whoever brings it; wins.
        embedded: what the picture says.
        held: the source, where there is one already: what it has is not replaced either.
    """
    whole = dict(stated)
    for name in _FIELDS:
        said = getattr(embedded, name)
        if said and not whole.get(name) and not (held is not None and getattr(held, name)):
            whole[name] = said
    unstated = {} if held is None else held.metadata
    others = whole.get("metadata", unstated)
    if embedded.further and EMBEDDED not in others:
        further = _fitting(embedded.further, METADATA_BYTES - _SPARE_BYTES - _bytes(others))
        if further:
            whole["metadata"] = {**others, EMBEDDED: further}
    return whole


def _further(
    tags: Mapping[int, list[str]],
    iptc: Mapping[tuple[int, int], list[str]],
    xmp: Properties,
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """What has no field, the most telling first: that is what stays where there is little room."""
    mining = [_term(value, _VOCABULARY) for value in xmp.get(_PLUS + "DataMining", [])]
    made = [
        _term(value, _DIGITAL_SOURCES) for value in xmp.get(_IPTC_EXT + "DigitalSourceType", [])
    ]
    licensor = _PLUS + "Licensor/" + _PLUS
    said: dict[str, Any] = {
        "copyright": _first(
            xmp.get(_DC + "rights", [])[:1], iptc.get(_COPYRIGHT), tags.get(EXIF_COPYRIGHT),
            [texts.get("Copyright", "")],
        ),
        "data_mining": _first(mining),
        "do_not_train": any(map(forbids_training, mining)),
        "other_constraints": _first(xmp.get(_PLUS + "OtherConstraints", [])[:1]),
        "usage_terms": _first(xmp.get(_RIGHTS + "UsageTerms", [])[:1]),
        "rights_url": _first(xmp.get(_RIGHTS + "WebStatement")),
        "credit": _first(xmp.get(_PHOTOSHOP + "Credit"), iptc.get(_CREDIT)),
        "licensor": _first(xmp.get(licensor + "LicensorName")),
        "licensor_url": _first(xmp.get(licensor + "LicensorURL")),
        "copyright_owner": _first(
            xmp.get(_PLUS + "CopyrightOwner/" + _PLUS + "CopyrightOwnerName")
        ),
        "image_creator": _first(xmp.get(_PLUS + "ImageCreator/" + _PLUS + "ImageCreatorName")),
        "digital_source_type": _first(made),
        "description": _first(
            xmp.get(_DC + "description", [])[:1], iptc.get(_CAPTION), tags.get(EXIF_DESCRIPTION),
            [texts.get("Description", "")],
        ),
        "keywords": _listed(xmp.get(_DC + "subject") or iptc.get(_KEYWORDS) or ()),
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def _exif_texts(exif: Mapping[int, bytes]) -> dict[int, list[str]]:
    """Texts by tag; of a copyright the photographer's part and the editor's."""
    return {
        tag: [value.decode("utf-16-le", "replace").partition("\0")[0]]
        if tag in {EXIF_XP_TITLE, EXIF_XP_AUTHOR}
        else [from_bytes(part) for part in value.split(b"\0")]
        for tag, value in exif.items()
    }


def _first(*sources: Iterable[str] | None, longest: int | None = None) -> str | None:
    """The values of the first source that has any, as one text."""
    for values in sources:
        text = joined(values or (), *(() if longest is None else (longest,)))
        if text:
            return text
    return None


def _listed(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, map(cleaned, values))))[:_MOST_ITEMS]


def _term(value: str, vocabulary: str) -> str:
    """A term of a vocabulary without the address of it."""
    return (
        value.strip().removeprefix(vocabulary).removeprefix(vocabulary.replace("http:", "https:"))
    )


def _fitting(further: Mapping[str, Any], room: int) -> dict[str, Any]:
    """As many of the first as fit."""
    kept: dict[str, Any] = {}
    for name, value in further.items():
        if _bytes({**kept, name: value}) <= room:
            kept[name] = value
    return kept


def _bytes(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "replace"))
