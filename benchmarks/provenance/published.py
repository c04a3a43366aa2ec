"""The paper's tables on the paper's data, for whoever has them, with the paper's figures beside.

    python benchmarks/provenance/published.py cub CUB_200_2011 [--mix resizemix]
    python benchmarks/provenance/published.py waterbirds waterbird_complete95_forest2water2
    python benchmarks/provenance/published.py ucf101-24 ucf101_hrnet.pkl UCF101v2-GT.pkl

Arms, grid of weights, its choice on a validation split, seeds and intervals are those of
`boxes.py`, `classification.py` and `actors.py`; so is the network unless `--timm` names another,
with its published weights by `--weights`, such as `--timm vgg16 --weights vgg16.safetensors
--side 224`. The paper's optimiser, rates and weights by task are not known: figures are for
comparison of arms. Of Waterbirds the paper's edits are a diffusion model's; give such pictures, by
the same names, with `--edits`, or regions are recoloured here. The mask is the difference by Otsu's
threshold either way.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from actors import mean_average_precision
from arms import Trial, trials
from birds import read_pixels, run_cub, run_waterbirds
from boxes import MIXES, STATISTICS
from layouts import Picture, read_cub, read_ucf, read_waterbirds
from options import add_options, begin
from refusals import count, positive, told
from table import Plan, Statistic, mean_of, publish, worst_group
from trainings import Knobs, Record, run_all
from videos import FRAMES, PERSONS, run_ucf

Prepared = tuple[int, Callable[[Trial], Record], Mapping[str, Statistic], str]
"""Elements of an input, what runs a trial, the figures of the table and its endpoint."""
PAPER: Mapping[str, str] = {
    "cub": "MaxBoxAccV2 with VGG16: CutMix 62.3, guided 65.1, random mask 60.5, full image 61.1; "
    "ResizeMix 57.6, guided 62.2",
    "waterbirds": "accuracy: no synthesis 62.2, ALIA 71.4, guided 80.7",
    "ucf101-24": "AP@.5 of SKP: no synthesis 37.4, BatchMix 38.0, guided 39.7",
}
WEIGHTS = (0.01, 0.03, 0.09)


def _parted(rows: Sequence[Picture]) -> dict[str, list[Picture]]:
    return {part: [row for row in rows if row.part == part]
            for part in ("train", "validation", "test")}  # fmt: skip


def main() -> None:
    """Train every arm on a data set, or read what was, and publish the table."""
    arguments = _arguments()
    known = vars(arguments)
    knobs = Knobs(
        known.get("side", 0), arguments.epochs, arguments.batch, arguments.rate,
        known.get("timm"), known.get("weights"),
    )  # fmt: skip
    settings = {name: str(getattr(arguments, name)) for name in sorted(vars(arguments))
                if name not in ("runs", "out", "seeds", "threads")}  # fmt: skip
    arguments.table = arguments.set
    elements, run, statistics, endpoint = {
        "cub": _of_cub, "waterbirds": _of_waterbirds, "ucf101-24": _of_ucf,
    }[arguments.set](arguments, knobs)  # fmt: skip
    folder = begin(arguments, settings)
    wanted = trials(arguments.number, arguments.grid)
    records = run_all(folder, wanted, run, only=arguments.seeds)
    plan = Plan(f"{arguments.set}, published", endpoint, statistics, arguments.grid, elements)
    publish(plan, records, folder, arguments.out)
    print(f"\nThe paper (CVPR 2026), {PAPER[arguments.set]}.")


def _of_cub(arguments: argparse.Namespace, knobs: Knobs) -> Prepared:
    parts = {part: read_pixels(rows, knobs.side)
             for part, rows in _parted(read_cub(arguments.data)).items()}  # fmt: skip
    names = [name for name in STATISTICS if name != "off target"]
    statistics = {name: STATISTICS[name] for name in names}
    run = lambda trial: run_cub(trial, parts, knobs, arguments.mix)  # noqa: E731
    return 3 * knobs.side**2, run, statistics, "MaxBoxAccV2"


def _of_waterbirds(arguments: argparse.Namespace, knobs: Knobs) -> Prepared:
    rows = _parted(read_waterbirds(arguments.data))
    parts = {part: read_pixels(own, knobs.side, arguments.edits if part == "train" else None)
             for part, own in rows.items()}  # fmt: skip
    statistics = {"worst group": worst_group, "average": mean_of("right")}
    run = lambda trial: run_waterbirds(trial, parts, knobs)  # noqa: E731
    return 3 * knobs.side**2, run, statistics, "worst group"


def _of_ucf(arguments: argparse.Namespace, knobs: Knobs) -> Prepared:
    videos, actions = read_ucf(arguments.data, arguments.truths)
    parts = {part: [each for each in videos if each.part == part]
             for part in ("train", "validation", "test")}  # fmt: skip
    elements = 2 * 2 * PERSONS * FRAMES * videos[0].points.shape[2]
    run = lambda trial: run_ucf(trial, parts, len(actions), knobs)  # noqa: E731
    return elements, run, {"AP@.5": mean_average_precision}, "AP@.5"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    sets = parser.add_subparsers(dest="set", required=True)
    for name, where in (
        ("cub", "the folder CUB_200_2011"),
        ("waterbirds", "the folder with metadata.csv"),
        ("ucf101-24", "pickle of skeletons"),
    ):
        of = add_options(sets.add_parser(name), name)
        of.add_argument("data", type=Path, help=where)
        if name == "ucf101-24":
            of.add_argument("truths", type=Path, help="UCF101v2-GT.pkl")
        else:
            of.add_argument("--side", type=count, default=64)
            of.add_argument("--timm", help="another network, by timm's name")
            of.add_argument("--weights", type=Path, help="file of that network's weights")
        if name == "cub":
            of.add_argument("--mix", choices=tuple(MIXES), default="cutmix")
        if name == "waterbirds":
            of.add_argument(
                "--edits", type=Path, help="edited training pictures, by the same names"
            )
        of.add_argument("--epochs", type=count, default=15)
        of.add_argument("--batch", type=count, default=32)
        of.add_argument("--rate", type=positive, default=0.005, help="largest learning rate")
        of.add_argument("--number", type=count, default=5, help="of seeds")
        of.add_argument("--grid", type=positive, nargs="+", default=list(WEIGHTS))
    return parser.parse_args()


if __name__ == "__main__":
    told(main)
