"""The paper's rows on the paper's data, for whoever has them, with the paper's figures beside.

    python benchmarks/generation/paper_rows.py aircraft DATASETS/aircraft/5shot REAL \
        --model sd21-base --captions captions/aircraft_5shot --device cuda \
        --timm resnet50 --weights resnet50.safetensors
    python benchmarks/generation/paper_rows.py pets DATASETS/pet/5shot REAL --made MADE

Real pictures alone, and with synthetic ones: those that `--model` makes of the few, in contexts
preserved and marginalised, or those of a folder that `attribution generate` made before (`--made`).
Contexts come from the authors' tables (`--captions`) or from the captioner without weights. Rate,
decay and lambda are chosen on validation, a file an attempt in `--runs`, then the best is trained
for as long as the authors' final run and tested once. The authors' own best epoch of an ordinary
set is the best on test, so that their figures are a little flattered beside these.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from classifier import Filed, Recipe, fit, network, predictions
from few_shot import FewShot, Sampling, made_files, make, tune
from paper_sets import SETS, PaperSet, Picture, Whole, read_few, validation_of
from PIL import Image
from shared import OtherLayout, keep_settings, told

from attribution.files import replacing
from attribution.synthesis.context.bank import ContextBank
from attribution.synthesis.context.captioner import Described
from attribution.synthesis.context.naming import without_classes
from attribution.synthesis.context.plain import PlainCaptioner
from attribution.synthesis.context.tables import read_tables
from attribution.synthesis.diffusion.recipe import TuningRecipe

ROWS = ("real only", "real and synthetic")


@dataclass(frozen=True, slots=True)
class Parts:
    """Pictures of a row, by what they are for."""

    few: Filed
    validation: Filed
    test: Filed
    classes: int


def main() -> None:
    """Make images if there are none, choose, train, test, and print the rows."""
    arguments = _arguments()
    known = SETS[arguments.set]
    whole = known.read(arguments.real)
    few = read_few(arguments.few, whole.classes)
    validation = validation_of(whole, few, known.validated, arguments.validation)
    folder = arguments.runs / f"{arguments.set}-{arguments.few.name}-{arguments.timm or 'small'}"
    keep_settings(folder, {name: str(value) for name, value in vars(arguments).items()
                           if name not in {"out", "threads", "device"}})  # fmt: skip
    torch.set_num_threads(arguments.threads)
    made = arguments.made
    if made is None and arguments.model is not None:
        made = _make(arguments, known, whole, few, folder)
    parts = Parts(_filed(few), _filed(validation), _filed(whole.test), len(whole.classes))
    found = {ROWS[0]: _row(arguments, parts, None, folder / "real")}
    if made is not None:
        synthetic = Filed(*made_files(made, whole.classes))
        found[ROWS[1]] = _row(arguments, parts, synthetic, folder / "both")
    paper = known.paper.get(arguments.backbone, (None, None))
    document = {"set": arguments.set, "rows": found, "paper": dict(zip(ROWS, paper, strict=True)),
                "backbone": arguments.backbone}  # fmt: skip
    for name, theirs in zip(ROWS, paper, strict=True):
        if name in found:
            own = found[name]
            print(f"{name:20} {own['test']:.4f}  chosen {own['chosen']}  epoch {own['epoch']}  "
                  f"the paper, five real a class: {theirs or 'not known'}")  # fmt: skip
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


def _row(
    arguments: argparse.Namespace, parts: Parts, synthetic: Filed | None, folder: Path
) -> dict[str, Any]:
    """Choose on validation, train the best for longer, test once."""
    lambdas = arguments.lambdas if synthetic is not None else arguments.lambdas[:1]
    attempts = {}
    for rate, decay, weight in product(arguments.rates, arguments.decays, lambdas):
        recipe = Recipe(side=arguments.side, real=weight, epochs=arguments.epochs, rate=rate,
                        decay=decay, batch=arguments.batch)  # fmt: skip
        name = f"rate{rate:g}-decay{decay:g}-lambda{weight:g}"

        def attempt(recipe: Recipe = recipe) -> dict[str, Any]:
            return _trained(arguments, parts, synthetic, recipe, test=False)

        attempts[name] = recipe, _kept(folder / f"{name}.json", attempt)
    chosen = max(attempts, key=lambda name: attempts[name][1]["validation"])
    last = replace(attempts[chosen][0], epochs=arguments.final_epochs)
    final = _kept(folder / f"final-{arguments.final_epochs}-{chosen}.json",
                  lambda: _trained(arguments, parts, synthetic, last, test=True))  # fmt: skip
    return {"chosen": chosen} | final


def _trained(
    arguments: argparse.Namespace,
    parts: Parts,
    synthetic: Filed | None,
    recipe: Recipe,
    *,
    test: bool,
) -> dict[str, Any]:
    torch.manual_seed(arguments.seed)
    model = network(parts.classes, arguments.timm, arguments.weights).to(arguments.device)
    curve = fit(model, parts.few, synthetic, parts.validation, recipe, arguments.seed)
    found: dict[str, Any] = {"validation": curve.accuracy, "epoch": curve.epoch,
                             "curve": curve.validation}  # fmt: skip
    if test:
        right = predictions(model, parts.test, recipe) == parts.test.labels
        found["test"] = float(right.float().mean())
    return found


def _make(
    arguments: argparse.Namespace,
    known: PaperSet,
    whole: Whole,
    few: tuple[Picture, ...],
    folder: Path,
) -> Path:
    described, pictures = _described(arguments.captions, whole, few)
    own = FewShot(ContextBank(described), pictures, whole.classes, known.descriptor)
    recipe = TuningRecipe() if arguments.recipe is None else TuningRecipe.model_validate_json(
        arguments.recipe.read_text()
    )  # fmt: skip
    updates = tune(own, arguments.model, recipe, folder / "tuning", preserve=True,
                   device=arguments.device)  # fmt: skip
    sampling = Sampling(arguments.each, arguments.sampler_steps, size=recipe.size,
                        seed=arguments.seed, device=arguments.device)  # fmt: skip
    make(own, arguments.model, updates, "dataset", sampling, folder / "made")
    return folder / "made"


def _described(
    captions: Path | None, whole: Whole, few: tuple[Picture, ...]
) -> tuple[tuple[Described, ...], Mapping[str, Image.Image]]:
    """Contexts of the few, in the order of the authors' tables where there are any."""
    pictures = {}
    for each in few:
        with Image.open(each.file) as opened:
            pictures[f"{whole.classes[each.label]}/{each.file.name}"] = opened.convert("RGB")
    if captions is None:
        captioner = PlainCaptioner()
        rows = [Described(name, name.partition("/")[0], captioner.describe(picture))
                for name, picture in pictures.items()]  # fmt: skip
        return without_classes(rows)[0], pictures
    told = [replace(row, image="/".join(PurePosixPath(row.image).parts[-2:]))
            for row in read_tables(captions)]  # fmt: skip
    apart = sorted({row.image for row in told} ^ set(pictures))
    if apart:
        raise OtherLayout(f"{apart[0]} is only in the captions or only among the few pictures")
    return tuple(told), pictures


def _filed(pictures: tuple[Picture, ...]) -> Filed:
    labels = torch.tensor([each.label for each in pictures])
    return Filed([each.file for each in pictures], labels)


def _kept(path: Path, make_it: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file holds, made where there is none."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(make_it()).encode())
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("set", choices=tuple(SETS))
    parser.add_argument("few", type=Path, help="the folder 5shot or 10shot of the set")
    parser.add_argument("real", type=Path, help="the folder of the whole set")
    parser.add_argument("--made", type=Path, help="images of `attribution generate`")
    parser.add_argument("--model", help="makes them, where none are given: a folder of diffusers")
    parser.add_argument("--captions", type=Path, help="background.tsv and pose.tsv")
    parser.add_argument("--recipe", type=Path, help="JSON of a tuning; the paper's by default")
    parser.add_argument("--each", type=int, default=100, help="images of a class")
    parser.add_argument("--sampler-steps", type=int, default=50)
    parser.add_argument("--validation", type=Path, help="the authors' split, a pickle of places")
    parser.add_argument("--timm", help="a network, by timm's name; a small one without")
    parser.add_argument("--weights", type=Path, help="file of that network's weights")
    parser.add_argument("--backbone", choices=("clip", "resnet50", "mae"), default="resnet50",
                        help="whose figures of the paper stand beside")  # fmt: skip
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10, help="of an attempt")
    parser.add_argument("--final-epochs", type=int, default=100)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 1e-4, 1e-5])
    parser.add_argument("--decays", type=float, nargs="+", default=[0.01, 1e-4, 0.0])
    parser.add_argument("--lambdas", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/generation/paper"))
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    told(main)
