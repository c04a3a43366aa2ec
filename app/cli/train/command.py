"""`attribution train`: an encoder from unlabelled images."""

from __future__ import annotations

import typer

from app.cli.train import options
from app.cli.train.head_only import IMAGES, train_head_only
from app.cli.train.network import FITTED, train_network
from app.cli.train.progress import names_kept_out
from app.cli.train.recipes import (
    choose_recipe,
    images_to_hold_out,
    refuse_beside_head,
    refuse_beside_head_kind,
    refuse_two_recipes,
    refuse_without_head_scope,
)
from app.cli.train.run import TrainingRun
from app.cli.train.start import refuse_own_replacement, start_from
from attribution.synthesis.background import GENERATED_IMAGES, LAUNDERED_IMAGES, StrataSizes
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.recipes import read_head_recipe, read_recipe, shipped


def train_command(
    images: options.Images,
    out_folder: options.OutFolder,
    background: options.Background = None,
    background_generated: options.BackgroundGenerated = GENERATED_IMAGES,
    background_laundered: options.BackgroundLaundered = LAUNDERED_IMAGES,
    recipe: options.RecipeName = None,
    config: options.Config = None,
    initial: options.Initial = None,
    weights: options.Weights = None,
    synthetic: options.Synthetic = None,
    head: options.Head = None,
    components: options.Components = None,
    head_images: options.HeadImages = None,
    steps: options.Steps = None,
    batch: options.Batch = None,
    seed: options.Seed = None,
    alignment: options.Alignment = None,
    disentanglement: options.Disentanglement = None,
    disentanglement_weight: options.DisentanglementWeight = None,
    projector: options.Projector = None,
    local_crops: options.LocalCrops = None,
    provenance_weight: options.ProvenanceWeight = None,
    provenance_mask: options.ProvenanceMask = None,
    views: options.Views = None,
    scope: options.Scope = None,
    cached_views: options.CachedViews = None,
    precision: options.Precision = None,
    held_out: options.HeldOut = None,
    device: options.Device = "cpu",
    name: options.Name = None,
    data_note: options.DataNote = "",
) -> None:
    """Train an encoder, from scratch or further, without labels, and fit its head.

    Views of one image must find each other, and a picture that mixes two images must find both.
    The run is resumed from its last checkpoint when started again with the same --out. The result
    is the folder OUT/encoder, which `--encoder` of every other command takes. What is learnt is
    written to OUT/metrics.jsonl, and to OUT/tensorboard for `tensorboard --logdir OUT`.

    The encoder decides with --background, or once `attribution calibrate --background FOLDER` has
    given it what it compares with.

    An option left out keeps what --recipe or --config says. On several processes, with the result
    of one: `torchrun --no-python --nproc-per-node 2 attribution train ...`

    Images that cannot be read are left out and listed; the encoder is made without them. Exits
    with 1 when there were any.
    """
    refuse_two_recipes(recipe, config)
    only_head = scope == "head" or (recipe == "head" and scope is None)
    stated = read_recipe(shipped(recipe) if recipe and recipe != "head" else config)
    head = head or stated.head or "cca"
    refuse_beside_head_kind(head, components=components, head_images=head_images)
    refuse_own_replacement(initial, out_folder)
    learning = {
        "batch": batch,
        "disentanglement": disentanglement,
        "disentanglement_weight": disentanglement_weight,
    }
    network = {
        "alignment": alignment,
        "local_crops": local_crops,
        "projector": projector,
        "cached_views": cached_views,
        "views": views,
        "precision": precision,
        "provenance_weight": provenance_weight,
        "provenance_mask": provenance_mask,
    }
    if only_head:
        refuse_beside_head(
            head,
            linear=learning,
            recipe=None if recipe == "head" else recipe,
            config=config,
            steps=steps,
            held_out=held_out,
            **network,
        )
    else:
        refuse_without_head_scope(head, recipe, synthetic=synthetic)
    run = TrainingRun(
        images=images,
        out_folder=out_folder,
        kept_out=names_kept_out(background, images),
        strata=StrataSizes(background_generated, background_laundered),
        head=head,
        head_images=head_images or (IMAGES if only_head else FITTED),
        device=device,
        name=name,
        data_note=data_note,
    )
    first = True
    if only_head:
        train_head_only(
            run,
            initial=initial or "bundled",
            weights=weights,
            synthetic=synthetic or [],
            options={**learning, "seed": seed, "components": components},
            stated=read_head_recipe(shipped("head")) if recipe == "head" else HeadRecipe(),
        )
    else:
        start = start_from(initial, weights)
        held_out = images_to_hold_out(held_out, stated, out_folder)
        given = {**learning, **network, "seed": seed, "scope": scope, "held_out": held_out}
        chosen = choose_recipe(stated, start, steps, given)
        first = train_network(run, chosen, start, components or options.COMPONENTS)
    if run.left_out and first:
        run.left_out.tell("the encoder was made without")
        raise typer.Exit(1)
