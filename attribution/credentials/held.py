"""Which ingredients of an image are sources that are held."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

from PIL import Image

from attribution.answer import Attribution
from attribution.catalog import Catalog, CatalogError, Source, SourceFilter
from attribution.credentials.statement import Credentials, HeldBy, HeldIngredient, Ingredient
from attribution.recognition import Signature, recognised, same_picture, signature
from models.images.decoding import DecodedImage, decode
from models.images.errors import DecodingLimits, ImageError

logger = logging.getLogger(__name__)

_MOST_SOURCES = 10
"""Of one ingredient."""
_MOST_COMPARED = 32
"""Ranked sources whose preview is compared with thumbnails."""
_THUMBNAIL_LIMITS = DecodingLimits(max_bytes=4_000_000, max_pixels=4_000_000)


def looked_up(
    catalog: Catalog,
    attribution: Attribution,
    query: DecodedImage,
    said: Credentials | None,
    *,
    collections: frozenset[str] | None,
) -> tuple[Attribution, Credentials | None]:
    """An answer that says which sources the image is a copy of, and which its manifest names.

    Reads previews.
    """
    answered = recognised(catalog, attribution, query)
    if said is None:
        return answered, None
    return answered, held_in(catalog, said, answered, collections=collections)


def held_in(
    catalog: Catalog,
    credentials: Credentials,
    attribution: Attribution,
    *,
    collections: frozenset[str] | None,
) -> Credentials:
    """The same, with the sources that each ingredient is; in the collections that were searched.

    By the bytes that the manifest holds and by identifier every source is found. A thumbnail is
    compared with the sources that the answer lists, for that is where it would show.
    """
    if not credentials.ingredients:
        return credentials
    try:
        previews = (
            _previews(catalog, attribution)
            if any(each.thumbnail for each in credentials.ingredients)
            else {}
        )
        ingredients = tuple(
            replace(each, held=tuple(_held(catalog, each, collections, previews)))
            for each in credentials.ingredients
        )
    except CatalogError as error:
        logger.warning("ingredients are not looked up: %s", error)
        return credentials
    return replace(credentials, ingredients=ingredients)


def _held(
    catalog: Catalog,
    ingredient: Ingredient,
    collections: frozenset[str] | None,
    previews: Mapping[Source, Signature],
) -> Iterator[HeldIngredient]:
    seen: set[str] = set()
    for source, by in (
        *_looked_up(catalog, ingredient, collections),
        *_shown_by(ingredient, previews),
    ):
        if source.source_id not in seen and len(seen) < _MOST_SOURCES:
            seen.add(source.source_id)
            yield HeldIngredient(source, by)


def _looked_up(
    catalog: Catalog, ingredient: Ingredient, collections: frozenset[str] | None
) -> Iterator[tuple[Source, HeldBy]]:
    for digest in ingredient.digests:
        wanted = SourceFilter(collections=collections, sha256=digest)
        for source in catalog.sources(wanted, limit=_MOST_SOURCES).items:
            yield source, "bytes"
    for identifier in ingredient.identifiers:
        wanted = SourceFilter(collections=collections, uri=identifier)
        for source in catalog.sources(wanted, limit=_MOST_SOURCES).items:
            yield source, "identifier"


def _shown_by(
    ingredient: Ingredient, previews: Mapping[Source, Signature]
) -> Iterator[tuple[Source, HeldBy]]:
    if not ingredient.thumbnail or not previews:
        return
    try:
        shown = signature(decode(ingredient.thumbnail, limits=_THUMBNAIL_LIMITS).image)
    except ImageError:  # it is as foreign as the rest
        return
    for source, preview in previews.items():
        if same_picture(shown, preview):
            yield source, "picture"


def _previews(catalog: Catalog, attribution: Attribution) -> dict[Source, Signature]:
    """What the listed sources look like; one that has gone, or is damaged, is left out."""
    found = {}
    for ranked in attribution.sources[:_MOST_COMPARED]:
        try:
            preview = catalog.preview(ranked.source.source_id)
            with Image.open(io.BytesIO(preview), formats=["JPEG"]) as image:
                found[ranked.source] = signature(image)
        except (CatalogError, OSError) as error:
            logger.warning("no comparison with %s: %s", ranked.source.source_id, error)
    return found
