"""Tunes a text-to-image model to pictures and has it make more of them, in other contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.cli.console import note, progress
from app.cli.failures import BadInvocation
from app.cli.generate.pictures import Picture
from attribution.synthesis.context.bank import ContextBank, Source
from attribution.synthesis.context.captioner import Captioner, Context, Described
from attribution.synthesis.context.making import Made, make_images
from attribution.synthesis.context.naming import contexts_without, without_classes
from attribution.synthesis.context.plain import PlainCaptioner
from attribution.synthesis.context.plan import class_and_context, plan_images
from attribution.synthesis.context.prompts import prompt
from attribution.synthesis.context.qwen import MODEL, QwenCaptioner
from attribution.synthesis.context.tables import BACKGROUND, POSE, read_tables, write_tables
from attribution.synthesis.diffusion.networks import load_networks, require_extra
from attribution.synthesis.diffusion.painter import Painter
from attribution.synthesis.diffusion.recipe import TuningRecipe
from attribution.synthesis.diffusion.tuning import Shot, Tuning

Subject = Literal["image", "group"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of the diffusion generator, as the command's options say it."""

    model: str
    recipe: TuningRecipe
    each: int
    subject: Subject
    context: Source
    contexts: Path | None
    captioner: str
    descriptor: str
    preserve: bool
    same_draws: bool
    sampler_steps: int
    guidance: float
    at_once: int
    device: str


def generate_by_diffusion(pictures: Sequence[Picture], order: Order, out: Path) -> Made:
    """Describe, tune, plan and make; each step goes on where a run in `out` was stopped.

    Raises:
        BadInvocation: no picture, or a list of contexts that is missing or cannot be read.
    """
    require_extra()
    _without_bars_of_others()
    if not pictures:
        raise BadInvocation("there is no picture to make images from")
    if (order.context == "list") != (order.contexts is not None):
        raise BadInvocation("--context list and --contexts FILE go together")
    listed = _listed(order.contexts)
    networks = load_networks(order.model, device=order.device)
    described = _kept(pictures, order, out / "captions")
    if described is None:
        described = _described(pictures, order)
        write_tables(described, out / "captions")
    classes = {row.class_name for row in described}
    bank = ContextBank(described, contexts_without(classes, listed))
    shots = [
        Shot(
            picture.image,
            prompt(
                row.class_name,
                row.context if order.preserve else None,
                descriptor=order.descriptor,
            ),
        )
        for picture, row in zip(pictures, described, strict=True)
    ]
    updates = _tuned(Tuning(networks, shots, order.recipe, out / "tuning"))
    del networks  # before another of its size is loaded, without updates
    painter = Painter(
        load_networks(order.model, device=order.device),
        updates,
        steps=order.sampler_steps,
        guidance=order.guidance,
        size=order.recipe.size,
        at_once=order.at_once,
    )
    plan = plan_images(
        bank,
        order.each,
        model=painter.name,
        source=order.context,
        seed=order.recipe.seed,
        same_draws=order.same_draws,
        descriptor=order.descriptor,
    )
    if order.context in {"dataset", "same-class"} and plan and len(bank.classes) > 1:
        found = class_and_context(plan)
        note(f"class and context of the plan: p = {found.p_value:.3f} that they are independent")
    by_name = {row.image: one for row, one in zip(described, pictures, strict=True)}
    with progress() as bar:
        task = bar.add_task("Generating", total=len(plan))
        return make_images(
            plan,
            {name: picture.image for name, picture in by_name.items()},
            painter,
            out,
            at_once=painter.at_once,
            source_ids={name: one.source_id for name, one in by_name.items() if one.source_id},
            on_progress=lambda done, _: bar.update(task, completed=done),
        )


def _place(picture: Picture, order: Order) -> str:
    """In a folder of its subject."""
    return f"{picture.name if order.subject == 'image' else picture.group}/{picture.name}.png"


def _kept(pictures: Sequence[Picture], order: Order, folder: Path) -> tuple[Described, ...] | None:
    """What an earlier run, or a person, has written of these very pictures; None for others.

    Raises:
        BadTable: a table that cannot be read.
    """
    if not (folder / BACKGROUND).exists() or not (folder / POSE).exists():
        return None
    kept = {row.image: row for row in read_tables(folder)}
    places = [_place(picture, order) for picture in pictures]
    if kept.keys() != set(places):
        return None
    note(f"described before: {folder}")
    return tuple(kept[place] for place in places)


def _described(pictures: Sequence[Picture], order: Order) -> tuple[Described, ...]:
    captioner = _captioner(order)
    rows: list[Described] = []
    with progress() as bar:
        for picture in bar.track(pictures, description="Describing"):
            image = _place(picture, order)
            context = captioner.describe(picture.image)
            rows.append(Described(image, image.partition("/")[0], context))
    cleaned, leakage = without_classes(rows)
    if leakage.words:
        note(f"taken out of the captions: {leakage}")
    return cleaned


def _captioner(order: Order) -> Captioner:
    if order.captioner == "plain":
        return PlainCaptioner()
    weights = MODEL if order.captioner == "qwen" else order.captioner
    return QwenCaptioner(weights, descriptor=order.descriptor or "subject", device=order.device)


def _tuned(tuning: Tuning) -> Path:
    if tuning.step < tuning.steps:
        note(f"{tuning.step:,} steps done; {tuning.cost()}")
    with progress(loss="loss {task.fields[loss]}") as bar:
        task = bar.add_task("Tuning", total=tuning.steps, completed=tuning.step, loss="")

        def told(step: int, loss: float) -> None:
            bar.update(task, completed=step, loss=f"{loss:.4f}")

        return tuning.run(told)


def _listed(path: Path | None) -> tuple[Context, ...]:
    if path is None:
        return ()
    contexts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        background, tab, pose = line.strip().partition("\t")
        if not (background and tab and pose):
            raise BadInvocation(f"--contexts {path}, line {number}: background, a tab, a pose")
        contexts.append(Context(background.rstrip("."), pose.rstrip(".")))
    return tuple(contexts)


def _without_bars_of_others() -> None:
    """Loading shows a bar for each file, which says nothing beside ours."""
    import diffusers  # seconds, and an extra
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def document(made: Made) -> dict[str, Any]:
    """What is said of it to machines."""
    return {"manifest": str(made.manifest), "images": made.images, "left_out": made.left_out}
