"""Queries of a text-to-image model that is tuned to sources held, to fit shares on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.cli.console import warn_of_each
from app.cli.failures import BadInvocation
from app.cli.generate.pictures import from_sources
from app.cli.options import complaints_by_option
from attribution.catalog import Catalog
from attribution.rehearsal.held import choose
from attribution.rehearsal.rehearsal import FEWEST_SOURCES, require_sources
from attribution.synthesis.diffusion.recipe import TuningRecipe

DIFFUSION = "images by a text-to-image model of sources held, each in contexts of all of them"
"""The kind in words."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What `--generator diffusion` is told.

    Attributes:
        model: a folder in the layout of diffusers, or a name that can be downloaded.
        made: folder of everything on the way; one that was stopped is gone on with.
        recipe: of the tuning.
        device: where torch computes.
    """

    model: str
    made: Path
    recipe: TuningRecipe
    device: str


def generation_from(
    model: str | None, made: Path | None, size: int, epochs: int, device: str, seed: int
) -> Generation:
    """Check the options together.

    Raises:
        BadInvocation: one is missing or out of range.
    """
    if model is None or made is None:
        raise BadInvocation("--generator diffusion needs --model and --made, a folder to work in")
    with complaints_by_option():
        recipe = TuningRecipe(size=size, epochs=epochs, seed=seed)
    return Generation(model, made, recipe, device)


def generated_queries(catalog: Catalog, wanted: Generation, queries: int) -> Path:
    """The manifest of about as many queries, each of one source; makes those not there yet.

    Raises:
        TooFewSources: fewer than `FEWEST_SOURCES` with a preview that can be read.
    """
    # They need seconds, and what they load an extra.
    from app.cli.generate.diffusion import Order, generate_by_diffusion
    from attribution.synthesis.diffusion.painter import AT_ONCE, GUIDANCE, STEPS

    chosen = choose(catalog, max(queries, FEWEST_SOURCES), seed=wanted.recipe.seed)
    pictures, skipped = from_sources(catalog, chosen)
    warn_of_each([f"left out {each}" for each in skipped])
    require_sources(len(pictures))
    order = Order(
        model=wanted.model,
        recipe=wanted.recipe,
        each=max(1, queries // len(pictures)),
        subject="image",
        context="dataset",
        contexts=None,
        captioner="plain",
        descriptor="",
        preserve=True,
        same_draws=False,
        sampler_steps=STEPS,
        guidance=GUIDANCE,
        at_once=AT_ONCE,
        device=wanted.device,
    )
    return generate_by_diffusion(pictures, order, wanted.made).manifest
