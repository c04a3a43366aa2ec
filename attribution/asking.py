"""Asks a gallery about pictures, a few at a time: decoded, encoded, searched for and recognised.

Opens no gallery. Whoever asks in their own process asks here, so that the terminal and Python get
the same answers; a service asks the same of pictures that wait for each other.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from attribution.answer import Attribution
from attribution.attributor import Attributor, Terms
from attribution.credentials.held import looked_up
from attribution.credentials.reading import read_credentials
from attribution.credentials.statement import Credentials
from attribution.explanation import (
    Explanation,
    Previewed,
    evidence,
    explain,
    read_previews,
    sources_to_explain,
    variants_of_query,
    views_of_query,
)
from attribution.files import regular_file
from attribution.looks import Looks, attribute_looks, encode_looks, looks_at
from models.images.decoding import DEFAULT_LIMITS, DecodedImage, decode
from models.images.errors import DecodingLimits, ImageError
from models.images.exif import orientation_of

Picture = str | Path | bytes | Image.Image
"""A file, by its path or its bytes, or a picture in memory."""
PictureT = TypeVar("PictureT", bound=Picture)
Unreadable = ImageError | OSError
"""Why nothing can be asked about a picture."""
AT_ONCE = 16
"""Pictures in memory at a time."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long it took; `encode` and `search` are those of all pictures that shared them."""

    decode: float
    encode: float
    search: float


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A picture with its answer, and what that took."""

    query: DecodedImage
    attribution: Attribution
    seconds: Seconds
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A picture that can be asked about, and what is looked at of it."""

    decoded: DecodedImage
    looks: Looks
    seconds: float
    credentials: Credentials | None = None


def bytes_of(picture: Picture, limits: DecodingLimits = DEFAULT_LIMITS) -> bytes:
    """The file that a picture is; of one in memory a PNG, which loses nothing of what is seen.

    Which way up it is, as the file that it was opened from says, is kept too.

    Raises:
        ImageError: its size is refused, before anything is read.
        OSError: it cannot be read.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Image.Image):
        return _png(picture)
    with regular_file(Path(picture)).open("rb") as file:
        limits.check_bytes(os.fstat(file.fileno()).st_size)
        return file.read()


_STORED = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"})


def _png(picture: Image.Image) -> bytes:
    picture.load()  # a PNG may say which way up it is behind its pixels
    says, written = Image.Exif(), io.BytesIO()
    block = picture.info.get("exif", b"")
    if (orientation := orientation_of(block.removeprefix(b"Exif\0\0"))) != 1:
        says[Base.Orientation] = orientation
    transparent = "RGBA" if picture.has_transparency_data else "RGB"
    plain = picture if picture.mode in _STORED else picture.convert(transparent)
    plain.save(written, "PNG", compress_level=1, exif=says.tobytes() if says else None)
    return written.getvalue()


def read_query(
    picture: Picture,
    limits: DecodingLimits = DEFAULT_LIMITS,
    *,
    credentials: bool = True,
    any_way_up: bool = False,
) -> Read:
    """Decode a picture that is asked about, and read the manifest that its file may hold.

    Args:
        picture: asked about.
        limits: of its file and its pixels.
        credentials: whether its manifest is read.
        any_way_up: see `looks_at`.

    Raises:
        ImageError: it is none within the limits.
        OSError: it cannot be read.
    """
    started = time.perf_counter()
    data = bytes_of(picture, limits)
    decoded, looks = looks_at(decode(data, limits=limits), "query", any_way_up=any_way_up)
    said = read_credentials(data, decoded.format) if credentials else None
    return Read(decoded, looks, time.perf_counter() - started, said)


def ask(
    opened: Callable[[], Attributor],
    pictures: Iterable[PictureT],
    terms: Terms,
    limits: DecodingLimits = DEFAULT_LIMITS,
    *,
    credentials: bool = True,
) -> Iterator[tuple[PictureT, Answered | Unreadable]]:
    """Each picture with its answer, or with what is wrong with it; memory holds a few of them.

    Args:
        opened: gives the attributor; called once a picture has been read, and not before.
        pictures: consumed as it goes.
        terms: what is asked of each.
        limits: of each.
        credentials: whether manifests are read.

    Raises:
        AlphaTooSmall: the background cannot bear out the alpha.
        RecallTooLarge: no list is known to hold a true source that often.
    """
    waiting = iter(pictures)
    while some := list(islice(waiting, AT_ONCE)):
        read: list[Read | Unreadable] = []
        for picture in some:
            try:
                one = read_query(
                    picture, limits, credentials=credentials, any_way_up=terms.any_way_up
                )
                read.append(one)
            except (ImageError, OSError) as error:
                read.append(error)
        readable = [each for each in read if isinstance(each, Read)]
        answers = iter(answer(opened(), readable, terms) if readable else ())
        for picture, each in zip(some, read, strict=True):
            yield picture, next(answers) if isinstance(each, Read) else each


def answer(attributor: Attributor, read: Sequence[Read], terms: Terms) -> list[Answered]:
    """The answers about pictures that are encoded and searched for together.

    A query may be looked at in several ways, and the best answer of them counts; see `looks`.

    Raises:
        AlphaTooSmall, RecallTooLarge: as `ask`.
    """
    started = time.perf_counter()
    described = encode_looks(attributor.encoder, [each.looks for each in read])
    encoded = time.perf_counter()
    attributions = attribute_looks(attributor, described, terms)
    searched = time.perf_counter()
    told = []
    for each, attribution in zip(read, attributions, strict=True):
        answered, said = looked_up(
            attributor.catalog,
            attribution,
            each.decoded,
            each.credentials,
            collections=terms.collections,
        )
        seconds = Seconds(each.seconds, encoded - started, searched - encoded)
        told.append(Answered(each.decoded, answered, seconds, said))
    return told


def explain_answer(
    attributor: Attributor, query: DecodedImage, attribution: Attribution
) -> tuple[Explanation, tuple[Previewed, ...]]:
    """The maps of an answer, and the previews of the sources that have them, in one order."""
    encoder = attributor.encoder
    previewed = read_previews(attributor.catalog, sources_to_explain(attribution))
    views = encoder.patches(views_of_query(query.image, attribution.turned))
    patches = encoder.patches([each.image for each in previewed])
    if not previewed:
        patches = patches.reshape(0, *views.shape[1:])
    ranked, borne = [each.ranked for each in previewed], None
    if ranked:
        variants = variants_of_query(query, attribution.turned)
        rows = encoder.encode(variants, domain="query")
        ids = np.array([each.source.vector_id for each in ranked], np.int64)
        borne = evidence(attributor.scores_with(rows, ids))
    found = explain(views, ranked, patches, encoder.patch_blocks, borne)
    return found.turned(attribution.turned), previewed
