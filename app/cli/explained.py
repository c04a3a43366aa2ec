"""Explains an answer in this process, as the service does in its own."""

from __future__ import annotations

from PIL import Image

from attribution.answer import Attribution
from attribution.catalog import Catalog
from attribution.explanation import (
    Explanation,
    Previewed,
    explain,
    read_previews,
    sources_to_explain,
    views_of_query,
)
from models.encoder import Encoder


def explained(
    catalog: Catalog, encoder: Encoder, image: Image.Image, answer: Attribution
) -> tuple[Explanation, tuple[Previewed, ...]]:
    """The maps of an answer, and the previews of the sources that have them, in the same order."""
    previewed = read_previews(catalog, sources_to_explain(answer))
    views = encoder.patches(views_of_query(image))
    patches = encoder.patches([each.image for each in previewed])
    if not previewed:
        patches = patches.reshape(0, *views.shape[1:])
    ranked = [each.ranked for each in previewed]
    return explain(views, ranked, patches, encoder.patch_blocks), previewed
