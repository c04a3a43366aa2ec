"""Fits the bundled encoder's default shares, and measures other ways of dividing credit beside it.

    python benchmarks/default_shares.py POOL [--write-card] [--queries 480] [--out FILE]

POOL is as for `bundled_encoder.py`. 300 of the images held out there as background are sources;
they and 2,700 other images of the pool are held (copies leave the null by themselves). Queries are
made from the 300 as `attribution calibrate` makes them. Every way of dividing credit is fitted on
one half of the sources and judged on the other. `--write-card` puts the parameters on the card of
the bundled encoder. About five minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import random
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bundled_encoder import held_out
from share_rivals import RIVALS, Candidates, coefficients, fitted_rival

from app.settings import Settings
from attribution.attributor import Attributor, Ranking
from attribution.calibration.shares.fitting import Examples, fit, held_out_shares, judged
from attribution.calibration.shares.model import KIND, ShareModel
from attribution.calibration.shares.recall import Recall, depths_of
from attribution.calibration.shares.scoring import (
    brier_score,
    equal_mass_calibration_error,
    log_score,
)
from attribution.catalog import Catalog
from attribution.ingestion import ingest, read_manifest
from attribution.opening.gallery import open_gallery
from attribution.opening.load import load_vision
from attribution.rehearsal.examples import examples
from attribution.rehearsal.held import choose, picture_of
from attribution.rehearsal.queries import SIZE
from attribution.rehearsal.rehearsal import rehearsal
from attribution.synthesis import collage
from models.card import Card, SharesCard
from models.checkpoints import CARD
from models.loading import BUNDLED

SOURCES, COLLAGES = 300, 100
UNSEEN = frozenset({"unseen"})
FITTED_ON = (
    "synthetic queries of 300 held-out images of pacs and dtd among 3,000 held; half without source"
)


class Recording(Attributor):
    """Keeps what it was asked, for features that the share model does not read."""

    asked: list[tuple[np.ndarray, Ranking]]

    def rank(self, embeddings: np.ndarray, **options: object) -> Ranking:
        """As an attributor ranks."""
        ranking = super().rank(embeddings, **options)  # type: ignore[arg-type]
        self.asked.append((embeddings, ranking))
        return ranking


def hold(pool: Path, settings: Settings, folder: Path, others: int) -> None:
    """Ingest the sources and the others."""
    background = held_out(pool)
    files = [json.loads(line)["file"] for line in (pool / "index.jsonl").read_text().splitlines()]
    rest = sorted(set(files) - set(background))
    collections = dict.fromkeys(random.Random(1).sample(background, SOURCES), "unseen")
    collections |= dict.fromkeys(random.Random(2).sample(rest, others), "others")
    for shard in sorted(pool.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                if member.name in collections and (file := archive.extractfile(member)):
                    (folder / member.name).write_bytes(file.read())
    manifest = folder / "manifest.jsonl"
    rows = [{"path": name, "collection": where} for name, where in collections.items()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Catalog.open(settings.data) as catalog:
        ingest(catalog, load_vision(settings).encoder, read_manifest(manifest))


def figures(divided: np.ndarray, judged: Examples) -> dict[str, float]:
    """What is printed of one way of dividing credit."""
    credit, weights = judged.credit, judged.weights
    two = credit[:, -1] == 0
    two &= credit.max(axis=1) < 1
    found = {
        "log score": log_score(divided, credit, weights),
        "Brier": brier_score(divided, credit, weights),
        "two sources, log score": log_score(divided[two], credit[two]),
        "two sources, Brier": brier_score(divided[two], credit[two]),
        "rank 1 error": equal_mass_calibration_error(divided[:, 0], credit[:, 0], weights),
        "unattributed error": equal_mass_calibration_error(divided[:, -1], credit[:, -1], weights),
    }
    return {name: round(value, 3) for name, value in found.items()}


def shares_by_way(found: Examples, candidates: Candidates) -> dict[str, np.ndarray]:
    """Shares by each way, of queries whose sources its fit has not seen."""
    divided = {name: np.empty_like(found.credit) for name in ("ours", *(r.name for r in RIVALS))}
    for fold in np.unique(found.folds):
        here = found.folds == fold
        model = fit(found.chosen(~here))
        divided["ours"][here] = model.divide(found.statistics[here], found.p_values[here])
        for rival in RIVALS:
            own = fitted_rival(rival, candidates.chosen(~here), found.chosen(~here))
            divided[rival.name][here] = rival.divide(candidates.chosen(here), own)
    return divided


def areas(attributor: Recording, found: Examples, candidates: Candidates) -> dict[str, float]:
    """Correlation of the first source's share of both with its area, on collages of two."""
    sources = choose(attributor.catalog, SOURCES, seed=9, collections=UNSEEN)
    true, pairs, pictures = [], [], []
    for number in range(COLLAGES):
        pair = [sources[number], sources[(number + 7) % len(sources)]]
        first, second = (picture_of(attributor.catalog, each) for each in pair)
        made = collage(first, second, mask_seed=number, size=SIZE)
        pictures.append(made.image)
        pairs.append([each.vector_id for each in pair])
        true.append(float(made.mask.mean()))
    rows = attributor.encoder.encode(pictures, domain="query")
    ranking = attributor.rank(rows)
    heights = np.asarray(ranking.heights, np.float64)
    asked = Candidates(heights, coefficients(attributor, rows, ranking.hits.ids))
    divided = {"ours": fit(found).divide(ranking.heights, ranking.p_values)}
    for rival in RIVALS:
        divided[rival.name] = rival.divide(asked, fitted_rival(rival, candidates, found))
    both = [np.isin(pair, ranking.hits.ids[row]).all() for row, pair in enumerate(pairs)]
    places = [
        [int(np.flatnonzero(ranking.hits.ids[row] == each)[0]) for each in pairs[row]]
        for row in np.flatnonzero(both)
    ]
    correlations = {}
    for name, shares in divided.items():
        mine = np.array(
            [shares[row, place] for row, place in zip(np.flatnonzero(both), places, strict=True)]
        )
        first = mine[:, 0] / mine.sum(axis=1)
        correlations[name] = round(float(np.corrcoef(first, np.array(true)[both])[0, 1]), 3)
    return correlations | {"both among candidates": round(float(np.mean(both)), 3)}


def measured(found: Examples, asked: Sequence[tuple[np.ndarray, Ranking]], attributor: Recording,
             ) -> dict[str, object]:  # fmt: skip
    """Everything that is printed."""
    # Each block is asked without its sources, then with them; examples come the other way round.
    order = [*asked[1::2], *asked[0::2]]
    solved = [coefficients(attributor, rows, ranking.hits.ids) for rows, ranking in order]
    candidates = Candidates(found.statistics, np.concatenate(solved))
    divided = shares_by_way(found, candidates)
    mean = np.average(found.credit, axis=0, weights=found.weights)[None] + 1e-5
    divided["constant"] = np.repeat(mean / mean.sum(), len(found), axis=0)
    return {
        "shares": {name: figures(shares, found) for name, shares in divided.items()},
        "correlation of share with area": areas(attributor, found, candidates),
    }


def write_card(model: ShareModel, found: Examples) -> None:
    """Put the parameters on the bundled encoder's card."""
    path = BUNDLED / CARD
    card = Card.model_validate_json(path.read_text())
    held_out = held_out_shares(found)
    held = found.credit[:, -1] < 1
    recall = Recall.measured(depths_of(held_out[held], found.credit[held]), FITTED_ON)
    shares = SharesCard(
        kind=KIND,
        parameters={name: round(value, 4) for name, value in model.parameters.items()},
        figures=judged(held_out, found).rounded(),
        fitted_on=FITTED_ON,
        recall=recall.document["depths"],
    )
    document = json.loads(path.read_text()) | {"shares": shares.model_dump()}
    Card.model_validate(document)
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{path}: {card.name} divides credit by {shares.parameters}")


def main() -> None:
    """Hold, rehearse, fit, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--queries", type=int, default=480)
    parser.add_argument("--others", type=int, default=2_700, help="images held besides")
    parser.add_argument("--write-card", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/default_shares.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data=folder / "data")
        hold(options.pool, settings, folder, options.others)
        vision = load_vision(settings)
        with open_gallery(settings, vision) as gallery:
            gallery.calibration.build()
            attributor = Recording(
                vision.encoder, gallery.catalog, gallery.index, gallery.calibration
            )
            attributor.asked = []
            known = rehearsal(attributor, queries=options.queries, seed=0, collections=UNSEEN)
            attributor.asked.clear()
            found = examples(attributor, known)
            report = measured(found, list(attributor.asked), attributor)
    model = fit(found)
    report["parameters"] = model.parameters
    text = json.dumps(report, indent=2)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n")
    print(text)
    if options.write_card:
        write_card(model, found)


if __name__ == "__main__":
    main()
