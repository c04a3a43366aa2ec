"""`attribution generate`: synthetic images with known sources, from your own pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli import options
from app.cli.console import progress, show, warn_of_each
from app.cli.failures import BadInvocation
from app.cli.generate.pictures import Picture, from_collection, from_files
from attribution.synthesis import generate
from attribution.synthesis.composites.pictures import KINDS, Kind
from attribution.synthesis.diffusion.painter import AT_ONCE, GUIDANCE, STEPS
from attribution.synthesis.diffusion.recipe import PAPER, TuningRecipe

Generator = Literal["patch", "diffusion"]
SINGLES, PAIRS, LIMIT = 20, 10, 200
"""Made by default where no composites are asked for."""


def generate_command(
    invocation: typer.Context,
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=options.path_given, metavar="PATH", help="Folder to write to."
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Argument(
            parser=options.path_given,
            metavar="IMAGES",
            help="Folder of images, or a JSON Lines manifest.",
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Instead of IMAGES: sources of this collection."),
    ] = None,
    generator: Annotated[
        Generator,
        typer.Option(
            help="`patch` rearranges patches and needs nothing; `diffusion` tunes a text-to-image "
            "model to the pictures and has it show their subjects in other contexts."
        ),
    ] = "patch",
    singles: Annotated[
        int | None,
        typer.Option(
            min=0, help=f"patch: images made from one source, {SINGLES} without --composite."
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="patch: images with the structure of one, the patches of another, "
            f"{PAIRS} without --composite.",
        ),
    ] = None,
    composite: Annotated[
        list[str] | None,
        typer.Option(
            help="patch: composites of two images, or edits of one (`recolour`, `inpaint`), with "
            "a mask that says which pixels are whose. Repeatable.",
            metavar="|".join(KINDS),
        ),
    ] = None,
    composites: Annotated[
        int, typer.Option(min=1, help="patch: so many composites of each kind asked for.")
    ] = 20,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Read at most so many sources.  [default: 200; diffusion: all]"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            max=1024,
            help=f"Long side in pixels.  [default: 192; diffusion: {PAPER.size}]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same images.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            help="diffusion: folder of Stable Diffusion 1.5, 2.1 or XL in the layout of diffusers, "
            "or a name that can be downloaded."
        ),
    ] = None,
    each: Annotated[int, typer.Option(min=1, help="diffusion: images of each subject.")] = 4,
    subject: Annotated[
        Literal["image", "group"],
        typer.Option(
            help="diffusion: whether each image is a subject of its own, or those of a folder "
            "or collection together are one."
        ),
    ] = "image",
    context: Annotated[
        Literal["dataset", "same-class", "list", "none"],
        typer.Option(
            help="diffusion: where the background and pose of an image are drawn from: all "
            "pictures, those of its subject, --contexts, or nowhere."
        ),
    ] = "dataset",
    contexts: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given,
            metavar="PATH",
            help="diffusion: backgrounds and poses, a tab between.",
        ),
    ] = None,
    captioner: Annotated[
        str,
        typer.Option(
            help="diffusion: who describes contexts: `plain`, without weights; `qwen`, by "
            "download; or a folder of Qwen2.5-VL."
        ),
    ] = "plain",
    descriptor: Annotated[
        str, typer.Option(help='diffusion: what every subject is, such as "bird".')
    ] = "",
    preserve: Annotated[
        bool,
        typer.Option(
            "--preserve/--no-preserve", help="diffusion: tune on prompts that say the context."
        ),
    ] = True,
    same_draws: Annotated[
        bool,
        typer.Option(help="diffusion: every subject in the same contexts, as the authors had it."),
    ] = False,
    epochs: Annotated[
        int, typer.Option(min=1, help="diffusion: times that every picture is learnt from.")
    ] = PAPER.epochs,
    batch: Annotated[int, typer.Option(min=1, help="diffusion: pictures of a step.")] = PAPER.batch,
    learning_rate: Annotated[
        float,
        typer.Option(min=1e-8, help="diffusion: of the tuning; small models need a larger one."),
    ] = PAPER.learning_rate,
    sampler_steps: Annotated[
        int, typer.Option(min=1, help="diffusion: steps in which an image is made.")
    ] = STEPS,
    guidance: Annotated[
        float, typer.Option(min=1, help="diffusion: weight of the prompt.")
    ] = GUIDANCE,
    at_once: Annotated[
        int, typer.Option(min=1, help="diffusion: images that are drawn together.")
    ] = AT_ONCE,
    device: Annotated[str, typer.Option(help="diffusion: where torch computes.")] = "cpu",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make synthetic images of which it is known what they came from.

    By default from patches of the real ones, with no weights and no network: two seconds an
    image on one core. With --generator diffusion from a text-to-image model that is tuned first;
    what that takes is said before it begins, and a run that was stopped goes on. Writes the images
    to OUT/queries, their sources to OUT/sources, and OUT/manifest.jsonl, which says what came from
    what. With --composite each composite has OUT/queries/NUMBER.mask.png beside it: white where
    a pixel is from the source whose role is `inside`, black where it is from the other or edited.
    Exits with 1 when a file was skipped.
    """
    other = "diffusion" if generator == "patch" else "patch"
    options.refuse_of_other_generator(invocation, generator, other)
    wanted = dict.fromkeys(_kinds(composite or []), composites)
    if singles is None:
        singles = 0 if wanted else SINGLES
    if pairs is None:
        pairs = 0 if wanted else PAIRS
    if limit is None and generator == "patch":
        limit = LIMIT
    pictures, skipped = _pictures(images, collection, data, limit, seed)
    if generator == "patch":
        _by_patches(
            pictures, out_folder, singles, pairs, wanted, size or 192, seed, as_json=as_json
        )
    else:
        from app.cli.generate.diffusion import (  # an extra
            Order,
            document,
            generate_by_diffusion,
        )

        if model is None:
            raise BadInvocation("--generator diffusion needs --model: a folder, or a name")
        with options.complaints_by_option():
            recipe = TuningRecipe(
                size=size or PAPER.size,
                epochs=epochs,
                batch=batch,
                learning_rate=learning_rate,
                seed=seed,
            )
        order = Order(
            model=model,
            recipe=recipe,
            each=each,
            subject=subject,
            context=context,
            contexts=contexts,
            captioner=captioner,
            descriptor=descriptor,
            preserve=preserve,
            same_draws=same_draws,
            sampler_steps=sampler_steps,
            guidance=guidance,
            at_once=at_once,
            device=device,
        )
        made = generate_by_diffusion(pictures, order, out_folder)
        told = f"{made.images} images of {len(pictures)} sources: {made.manifest}"
        left = f"; left out {made.left_out} that copied a source" if made.left_out else ""
        show(document(made), told + left, as_json=as_json)
    if skipped:
        warn_of_each([f"skipped {each}" for each in skipped])
        raise typer.Exit(1)


def _pictures(
    images: Path | None, collection: str | None, data: Path | None, limit: int | None, seed: int
) -> tuple[list[Picture], list[str]]:
    if (images is None) == (collection is None):
        raise BadInvocation("give either IMAGES, a folder or manifest, or --collection")
    if images is not None:
        return from_files(images, limit)
    settings = options.settings_from(data=data)
    return from_collection(settings, collection or "", limit, seed=seed)


def _by_patches(
    pictures: list[Picture],
    out: Path,
    singles: int,
    pairs: int,
    composites: Mapping[Kind, int],
    size: int,
    seed: int,
    *,
    as_json: bool,
) -> None:
    count = singles + pairs + sum(composites.values())
    with progress() as bar:
        task = bar.add_task("Generating", total=count)
        manifest = generate(
            [(picture.name, picture.image) for picture in pictures],
            out,
            singles=singles,
            pairs=pairs,
            seed=seed,
            size=size,
            composites=composites,
            source_ids={one.name: one.source_id for one in pictures if one.source_id},
            on_progress=lambda done, _: bar.update(task, completed=done),
        )
    show(
        {"manifest": str(manifest), "images": count},
        f"{count} images of {len(pictures)} sources: {manifest}",
        as_json=as_json,
    )


def _kinds(names: Sequence[str]) -> list[Kind]:
    """The kinds of composite of these names.

    Raises:
        BadInvocation: there is none of some name.
    """
    known = {str(kind): kind for kind in KINDS}
    for name in names:
        if name not in known:
            raise BadInvocation(f"--composite {name}: choose among {', '.join(KINDS)}")
    return [known[name] for name in names]
