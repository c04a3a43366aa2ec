"""Does it take both, contexts preserved in tuning and marginalised in making? The paper's 2 x 2.

Ten classes of the drawn world, five pictures each, stand mostly in a background and a pose of their
own. A base model that knows neither class is tuned to them, with prompts that say the context
(preservation) or not, and makes images whose contexts are drawn from the whole set
(marginalisation), or without any. Controls: contexts of the same class, and of a free list. A
classifier learns from the real pictures and each arm's images.

Primary endpoint, named before the runs: the interaction in accuracy on balanced contexts,
both - preservation - marginalisation + neither.

    python benchmarks/generation/context_arms.py --quick
    python benchmarks/generation/context_arms.py --out benchmarks/generation/context_arms.json

The base is trained where there is none (`base_model.py`). Everything is kept in `--runs` and not
repeated: two commands with different `--seeds` may work on one folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arm_table import publish
from base_model import FULL as FULL_BASE
from base_model import QUICK as QUICK_BASE
from base_model import Base, train_base
from classifier import Held, Recipe, fit, network, predictions
from few_shot import FewShot, Sampling, as_tensor, confounded, made_files, make, tune
from PIL import Image
from pixels import PACE, Judge, Seen, by_class, look, train_judge
from pixels import QUICK as QUICK_PACE
from resumable import Pace
from shared import Record, Trial, add_options, begin, run_all, told
from small_model import without_bars
from world import CLASSES, POSES, SIDE, WORLD, Things, balanced, render

from attribution.synthesis.context.bank import Source
from attribution.synthesis.context.independence import independence
from attribution.synthesis.diffusion.recipe import TuningRecipe

REAL = "real only"
ARMS: Mapping[str, tuple[bool, Source]] = {
    "neither": (False, "none"),
    "preservation": (True, "none"),
    "marginalisation": (False, "dataset"),
    "both": (True, "dataset"),
    "same-class": (True, "same-class"),
    "list": (True, "list"),
}
"""Whether the tuning's prompts say contexts, and where those of the images are drawn from."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is.

    Attributes:
        base: which base model.
        judge: pace of the network that looks at pixels, and of how many pictures.
        seeds: few-shot sets.
        shots: pictures of a class.
        correlated: probability that texture, and pose, are the class's own.
        validation: pictures of each class for the choice of epoch and lambda.
        lambdas: weights of the real loss, of which each run takes the better one on validation.
        tuning: of the base to a few-shot set.
        sampling: of the synthetic images.
        classifier: all but lambda.
        noise: share of the captions' backgrounds, and of their poses, that are wrong.
    """

    base: Base
    judge: Pace
    judged: int
    seeds: int
    shots: int
    correlated: float
    validation: int
    lambdas: tuple[float, ...]
    tuning: TuningRecipe
    sampling: Sampling
    classifier: Recipe
    noise: float = 0.0


FULL = Scale(
    FULL_BASE,
    PACE,
    judged=16_000,
    seeds=5,
    shots=5,
    correlated=0.9,
    validation=24,
    lambdas=(0.5, 0.8),
    tuning=TuningRecipe(size=SIDE, epochs=200, learning_rate=1e-3, sample_every=0),
    sampling=Sampling(each=50, steps=10, size=SIDE, at_once=25),
    classifier=Recipe(side=SIDE, epochs=20, rate=3e-3, decay=0.05),
)
QUICK = Scale(
    QUICK_BASE,
    QUICK_PACE,
    judged=1_000,
    seeds=1,
    shots=5,
    correlated=0.9,
    validation=8,
    lambdas=(0.5,),
    tuning=TuningRecipe(size=SIDE, epochs=6, learning_rate=1e-3, warmup=5, sample_every=0),
    sampling=Sampling(each=6, steps=8, size=SIDE, at_once=6),
    classifier=Recipe(side=SIDE, epochs=4, warmup=1, rate=3e-3, decay=0.05),
)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Pictures of a seed that no arm changes.

    Attributes:
        real: the few.
        things: what they show.
        validation: with contexts drawn independently of the class.
        test: every class in every context, once.
        others: as many as an arm makes, with contexts drawn independently of the class.
    """

    real: Held
    things: Things
    validation: Held
    test: Held
    others: Held


def few_of(seed: int, scale: Scale) -> tuple[FewShot, Things]:
    """The few-shot set of a seed."""
    return confounded(seed, scale.shots, scale.correlated, scale.noise)


def shown(seed: int, scale: Scale) -> Shown:
    """The pictures of a seed."""
    few, things = few_of(seed, scale)
    rng = np.random.default_rng([41, seed])
    real = as_tensor([few.pictures[row.image] for row in few.bank.described])
    return Shown(
        Held(real, few.labels),
        things,
        validation=_held(_anywhere(scale.validation, rng), rng),
        test=_held(balanced(), rng),
        others=_held(_anywhere(scale.sampling.each, rng), rng),
    )


def run(
    trial: Trial, scale: Scale, model: Path, judge: Judge, pictures: Shown, folder: Path
) -> Record:
    """Make an arm's images, look at them, train on them and measure."""
    started, own = time.process_time(), folder / f"seed{trial.seed}"
    made, left_out = None, 0
    if trial.arm != REAL:
        made, left_out = _made(trial, scale, model, own)
    making, started = time.process_time() - started, time.process_time()
    found, chosen, curve = _classified(trial.seed, scale, pictures, made)
    right = (found == pictures.test.labels).long().tolist()
    about: dict[str, Any] = {"lambda": chosen, "epoch": curve.epoch, "curve": curve.validation,
                             "left_out": left_out}  # fmt: skip
    figures = {"accuracy": float(np.mean(right))}
    # Beside the arm without synthetic images stands what as many real ones would have.
    compared = pictures.others if made is None else made
    seen = look(judge, compared.images)
    about |= _context_in(seen, compared)
    real = look(judge, pictures.test.images)
    if made is None:
        about["judge"] = _right(real, balanced())
        about["few"] = _context_in(look(judge, pictures.real.images), pictures.real)
    classes = by_class(real, pictures.test.labels.numpy(), seen, compared.labels.numpy())
    figures |= {name: float(np.mean(values)) for name, values in classes.items()}
    return {
        "validation": curve.accuracy,
        "figures": figures,
        "samples": {"right": right},
        "classes": classes,
        "about": about,
        "cpu_seconds": {"making": making, "classifying": time.process_time() - started},
    }


def _made(trial: Trial, scale: Scale, model: Path, own: Path) -> tuple[Held, int]:
    few, _ = few_of(trial.seed, scale)
    preserve, source = ARMS[trial.arm]
    recipe = scale.tuning.model_copy(update={"seed": trial.seed})
    tuned = own / ("tuning-context" if preserve else "tuning-plain")
    updates = tune(few, model, recipe, tuned, preserve=preserve)
    sampling = replace(scale.sampling, seed=trial.seed)
    made = make(few, model, updates, source, sampling, own / trial.arm)
    files, labels = made_files(own / trial.arm, few.classes)
    return Held(as_tensor([Image.open(file) for file in files]), labels), made.left_out


def _classified(
    seed: int, scale: Scale, pictures: Shown, made: Held | None
) -> tuple[torch.Tensor, float, Any]:
    """Predictions of the test by the network of the lambda that is best on validation."""
    best: tuple[Any, ...] = ()
    for weight in scale.lambdas if made is not None else scale.lambdas[:1]:
        torch.manual_seed(seed)
        model = network(int(pictures.test.labels.max()) + 1)
        recipe = replace(scale.classifier, real=weight)
        real, synthetic = pictures.real, made
        if made is None:  # as many steps as the others have
            times = max(1, 2 * scale.sampling.each // scale.shots)
            real = Held(real.images.repeat(times, 1, 1, 1), real.labels.repeat(times))
        curve = fit(model, real, synthetic, pictures.validation, recipe, seed)
        if not best or curve.accuracy > best[2].accuracy:
            best = model, weight, curve
    return predictions(best[0], pictures.test, scale.classifier), best[1], best[2]


def _context_in(seen: Seen, pictures: Held) -> dict[str, Any]:
    """Whether class and context are independent in pixels."""
    labels = pictures.labels.tolist()
    return {
        name: asdict(independence(labels, values.tolist()))
        for name, values in (("texture", seen.textures), ("pose", seen.poses))
    }


def _right(seen: Seen, things: Things) -> dict[str, float]:
    """How often the judge is right of real pictures, whose images mean what it says of them."""
    pairs = (("class", seen.labels, things.labels), ("texture", seen.textures, things.textures),
             ("pose", seen.poses, things.poses))  # fmt: skip
    return {name: float((found == true).mean()) for name, found, true in pairs}


def _anywhere(each: int, rng: np.random.Generator) -> Things:
    """So many of every class, on any texture in any pose."""
    count = each * len(CLASSES)
    return Things(
        np.array(CLASSES).repeat(each),
        rng.integers(WORLD, size=count),
        rng.integers(len(POSES), size=count),
    )


def _held(things: Things, rng: np.random.Generator) -> Held:
    pixels = torch.from_numpy(render(things, rng)).permute(0, 3, 1, 2).contiguous()
    return Held(pixels, torch.from_numpy(things.labels))


def main() -> None:
    """Run every arm of every seed, or read what was, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tiny base, one seed, minutes")
    parser.add_argument("--noise", type=float, default=0.0, help="share of wrong captions")
    arguments = add_options(parser, "arms", "runs/generation").parse_args()
    scale = replace(QUICK if arguments.quick else FULL, noise=arguments.noise)
    if arguments.noise:
        arguments.table = f"arms-noise{arguments.noise:g}"
    folder = begin(arguments, settings_of(scale))
    without_bars()
    place = arguments.runs / ("base-quick" if arguments.quick else "base")
    model = train_base(scale.base, place)
    judge = train_judge(scale.judge, place / "judge.pt", scale.judged)
    pictures = cache(lambda seed: shown(seed, scale))
    wanted = [Trial(arm, seed) for seed in range(scale.seeds) for arm in (REAL, *ARMS)]
    records = run_all(
        folder,
        wanted,
        lambda trial: run(trial, scale, model, judge, pictures(trial.seed), folder),
        only=arguments.seeds,
    )
    if records:
        publish(records, folder, arguments.out)


def settings_of(scale: Scale) -> dict[str, Any]:
    """As JSON."""
    return asdict(replace(scale, tuning=None)) | {"tuning": scale.tuning.model_dump()}


if __name__ == "__main__":
    told(main)
