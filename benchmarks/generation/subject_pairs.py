"""Does a part that is fitted on subjects in drawn contexts find a thing again?

Subjects of unlabelled pictures are pasted on pictures that are drawn from all of them
(`attribution.synthesis.context.pairs`); a head on the bundled encoder's descriptor is fitted so
that a composite is like its subject's picture and unlike its context's, and joins the encoder as a
fourth part. Measured on `instances` and on composites of pictures that no head has seen, with
distractors beside the sources. Controls: contexts are no negatives; a picture in its own context.

Primary endpoint, named before the run: mean average precision on `instances`, of the encoder with
the part less that without. Secondary: the same on the composites.

    python benchmarks/generation/subject_pairs.py POOL INSTANCES --cache FOLDER [--quick]

POOL has tar files with an `index.jsonl`, which says which members are `distractor`s; INSTANCES is a
folder a subject. Four minutes of one core; descriptors are kept, so that a run can be gone on with.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kept_descriptors import KeptDescriptors
from PIL import Image
from shared import cell, head, line, told
from torch import Generator, Tensor

from attribution.evaluation.benchmark.cases import Benchmark, Case, Picture, Truth
from attribution.evaluation.benchmark.distractors import INDEX, read_distractors
from attribution.evaluation.benchmark.instances import read_instances
from attribution.evaluation.ranks.methods import FusedScorer, Method
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import Evaluation, distinct_ranks
from attribution.evaluation.statistics.bootstrap import Values, components, mean_intervals
from attribution.measures import average_precision, hit_at
from attribution.synthesis.context.pairs import pair_subjects
from attribution.training.data.views import MILD, make_view
from attribution.training.heads.fitting import columns_of
from attribution.training.heads.subject import fit_subject
from attribution.training.recipe.plans import PartPlan
from models.card import PartCard
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart
from models.loading import load_encoder

SUBJECTS = "pacs"
"""Of the pool: its textures have no subject, and all other sets are distractors."""
BLOCKS = ("global", "stage1", "stage2", "stage3")
"""All of the descriptor that does not say where something is."""
WITHOUT, WITH = "bundled", "with subject"
CONTROLS = ("no negatives", "own context")
OWN, CONTEXTS = "own subjects", "their contexts"


@dataclass(frozen=True, slots=True)
class Scale:
    """Pictures that heads are fitted on, reference rows, own originals, distractors, directions."""

    fitted: int
    reference: int
    own: int
    distractors: int
    components: int


FULL = Scale(fitted=1_200, reference=1_000, own=200, distractors=2_000, components=256)
QUICK = Scale(fitted=40, reference=20, own=8, distractors=16, components=8)


def pool_pictures(pool: Path, scale: Scale) -> tuple[dict[str, list[Picture]], list[Picture]]:
    """Pictures with subjects by what they are for, none in two of them, and distractors."""
    held = {
        picture.key.rsplit("/", 1)[1]: picture
        for shard in sorted(pool.glob("*.tar"))
        for picture in read_distractors(shard)
    }
    lines = (pool / INDEX).read_text(encoding="utf-8").splitlines()
    rows = list(map(json.loads, lines))  # in an order that was shuffled
    own = [held[row["file"]] for row in rows if row["set"] == SUBJECTS
           and not row["distractor"] and not row["copy_of_gallery"]]  # fmt: skip
    others = [held[row["file"]] for row in rows if row["distractor"]]
    parts, start = {}, 0
    for name in ("fitted", "reference", "own"):
        stop = start + getattr(scale, name)
        parts[name], start = own[start:stop], stop
    return parts, others[: scale.distractors]


def pixels_of(pictures: Sequence[Picture], side: int) -> Tensor:
    """`(n, 3, side, side)` in [0, 1], squashed as the encoder sees them."""
    squashed = [each.load().resize((side, side), Image.Resampling.BICUBIC) for each in pictures]
    stacked = np.stack([np.asarray(each.convert("RGB"), np.uint8) for each in squashed])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255


def as_pictures(images: Tensor) -> list[Image.Image]:
    """What `pixels_of` would read."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(each) for each in pixels]


def heads_of(describe: KeptDescriptors, encoder: Encoder, pictures: Sequence[Picture],
             components: int) -> dict[str, AffineMap]:  # fmt: skip
    """The head with its controls, all on the same pictures and on as many composites."""
    side = encoder.card.preprocessing.height
    images = pixels_of(pictures, side)
    generator = Generator().manual_seed(23)
    own = torch.arange(len(images))
    made = pair_subjects(images, own, generator)
    elsewhere = make_view(made.images, side, MILD, generator)
    at_home = make_view(images, side, MILD, generator)
    print(f"a subject covers {float(made.masks.mean()):.2f} of its picture", flush=True)
    rows, there, here = (
        torch.from_numpy(describe(as_pictures(each))) for each in (images, elsewhere, at_home)
    )
    plan = PartPlan("subject", "cca", ("views",), components, BLOCKS)
    columns = columns_of(plan, encoder.backbone.blocks_of_descriptor)

    def fitted(seen: Tensor, *, apart: bool) -> AffineMap:
        return fit_subject(
            rows, seen, made.sources, columns=columns, components=components, apart=apart
        )

    return {
        WITH: fitted(there, apart=True),
        CONTROLS[0]: fitted(there, apart=False),
        CONTROLS[1]: fitted(here, apart=False),
    }


def joined(
    encoder: Encoder, further: Sequence[HeadPart], reference: Tensor, *, alone: bool = False
) -> Encoder:
    """The encoder with further parts, or these alone.

    Its own parts keep their reference rows; those of the further ones are of other pictures, of
    which there are as many, for every part is standardised by itself. Where there are fewer, the
    first of the encoder's own are taken.
    """
    own = [
        HeadPart(name, AffineMap(each.mean, each.weight, each.columns))
        for name, each in encoder.head.source.items()
    ]
    banks = [part.source(reference) for part in further]
    if not alone:
        banks.insert(0, encoder.head.bank[: len(reference)])
    parts = [*([] if alone else own), *further]
    maps = Head(
        encoder.backbone.dimension,
        parts,
        hubness=encoder.head.hubness,
        bank=torch.cat(banks, dim=1),
    )
    cards = [PartCard(name=part.name, head="cca", dimension=part.dimension) for part in maps.parts]
    card = encoder.card.model_copy(update={"parts": tuple(cards)})
    return Encoder(card, encoder.backbone, maps, reference=maps.corrected_bank().numpy())


def own_benchmark(pictures: Sequence[Picture], side: int) -> tuple[tuple[Case, ...], Tensor]:
    """Views of subjects in drawn contexts, each twice: its subject is asked for, or its context."""
    generator = Generator().manual_seed(32)
    images = pixels_of(pictures, side)
    made = pair_subjects(images, torch.arange(len(images)), generator)
    views = as_pictures(make_view(made.images, side, MILD, generator))
    queries = [_in_memory(f"composite {number}", view) for number, view in enumerate(views)]
    cases = tuple(
        Case(query, (Truth(pictures[row].key),), name)
        for place, name in enumerate((OWN, CONTEXTS))
        for query, row in zip(queries, made.sources[:, place].tolist(), strict=True)
    )
    return cases, made.sources


def _in_memory(name: str, image: Image.Image) -> Picture:
    data = io.BytesIO()
    image.save(data, "PNG")
    return Picture(name, name, data.getvalue)


def measured(result: Evaluation) -> dict[str, Any]:
    """Figures of every method and paired differences, in R@1 and mAP, with 95 % intervals."""
    values: dict[str, dict[str, Values]] = {}
    for ranking in result.rankings:
        found = [distinct_ranks(*each) for each in zip(result.cases, ranking.ranks, strict=True)]
        values[ranking.method] = {
            "R@1": np.array([hit_at(ranks, 1) for ranks in found], np.float64),
            "mAP": np.array([average_precision(ranks, None) for ranks in found]),
        }
    pairs = [(name, WITHOUT) for name in result.methods if name != WITHOUT]
    pairs += [(WITH, name) for name in CONTROLS] + [CONTROLS]
    differences = {
        f"{first} - {second}": {
            measure: each - values[second][measure] for measure, each in values[first].items()
        }
        for first, second in pairs
    }
    groups = components(result.cases)
    sets = np.array([case.set for case in result.cases])
    names = list(dict.fromkeys(sets.tolist()))
    return {
        "queries": {name: int((sets == name).sum()) for name in names},
        "groups": {name: len(set(groups[sets == name].tolist())) for name in names},
        "sources": result.sources,
        "distractors": result.distractors,
        "figures": {name: _means(each, result.cases) for name, each in values.items()},
        "differences": {name: _means(each, result.cases) for name, each in differences.items()},
    }


def _means(figures: Mapping[str, Values], cases: Sequence[Case]) -> dict[str, Any]:
    """Of each set and figure `[value, low, high]`, over groups of queries that share a source."""
    found = {name: mean_intervals(each, cases).sets for name, each in figures.items()}
    return {
        each: {
            name: [of_sets[each].value, of_sets[each].low, of_sets[each].high]
            for name, of_sets in found.items()
        }
        for each in found["mAP"]
    }


def run(pool: Path, instances: Path, cache: Path, scale: Scale) -> dict[str, Any]:
    """Fit, join, rank and compare."""
    encoder = load_encoder()
    describe = KeptDescriptors(encoder, cache)
    parts, distractors = pool_pictures(pool, scale)
    heads = heads_of(describe, encoder, parts["fitted"], scale.components)
    reference = torch.from_numpy(describe(each.load() for each in parts["reference"]))
    side = encoder.card.preprocessing.height
    cases, _ = own_benchmark(parts["own"], side)
    read = read_instances(instances)
    benchmark = Benchmark(
        "subjects", (*read.cases, *cases), (*read.sources, *parts["own"]), tuple(distractors)
    )
    encoders = {WITHOUT: joined(encoder, [], reference)}
    for name, fitted in heads.items():
        encoders[name] = joined(encoder, [HeadPart("subject", fitted)], reference)
    subject = [HeadPart("subject", heads[WITH])]
    encoders["subject alone"] = joined(encoder, subject, reference, alone=True)
    methods = [Method(name, describe, FusedScorer(each), mirrored=True, framed=True)
               for name, each in encoders.items()]  # fmt: skip
    return measured(evaluate(benchmark, methods))


def table(found: Mapping[str, Any]) -> str:
    """Markdown: the figures, then the differences."""
    columns = [(name, measure) for name in found["queries"] for measure in ("R@1", "mAP")]
    lines = head("", [f"{name}, {measure}" for name, measure in columns])
    for kind, sign in (("figures", ""), ("differences", "+")):
        for method, rows in found[kind].items():
            lines.append(line(method, [cell(rows[name][each], sign) for name, each in columns]))
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("instances", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/generation/subject-pairs"))
    parser.add_argument("--quick", action="store_true", help="a few pictures, to see that it runs")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scale = QUICK if arguments.quick else FULL
    found = run(arguments.pool, arguments.instances, arguments.cache, scale)
    print(table(found))
    print(f"{time.process_time():.0f} s of processor time")
    if arguments.out is not None:
        document = {"endpoint": f"instances, mAP, {WITH} - {WITHOUT}", "scale": asdict(scale)}
        arguments.out.write_text(json.dumps(document | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    told(main)
