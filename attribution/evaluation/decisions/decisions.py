"""Asks the service's own attributor about every query, with and without a set's sources.

Relies on nothing of an answer but its public fields, so that it measures whatever stands behind
them. Knows no figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

from PIL import Image

from attribution.answer import Attribution
from attribution.attributor import LARGEST_TOP_K, Attributor, Terms
from attribution.calibration import AlphaTooSmall
from attribution.evaluation.benchmark.cases import BadBenchmark, Benchmark, Case
from attribution.evaluation.benchmark.treatments import treated_queries
from attribution.evaluation.decisions.answers import Answers, Decisions, Judged
from attribution.evaluation.decisions.gallery import GalleryPlan
from attribution.evaluation.progress import OnSteps, Steps
from attribution.looks import Described, attribute_looks, encode_looks, looks_at_picture
from attribution.retrieval.fusion import Rows
from models.encoder import Encoder

ALPHAS = (0.1, 0.05, 0.01)
RECALLS = (0.8, 0.9, 0.95)
_BATCH = 64
_NAMED = 10  # sources of an answer, unless it is asked for more


def decide(
    benchmark: Benchmark,
    attributor: Attributor,
    plan: GalleryPlan,
    *,
    conditions: Sequence[str] = ("clean",),
    any_way_up: bool = False,
    on_steps: OnSteps | None = None,
) -> Decisions:
    """Ask about every query in the whole gallery, then about each set's without its sources.

    Queries with sources come first, in the order of the benchmark, so that a treatment draws the
    same pixels as in `ranks.protocol.evaluate`. A set is left out where that leaves anything to
    search; the distractors that the plan asks about are left out together, and asked about only
    so. In the whole gallery it is believed of a query what is true of the benchmark: how many of
    its queries have no source.

    Args:
        benchmark: the queries.
        attributor: of a gallery filled by this plan, calibrated.
        plan: of the gallery.
        conditions: names in `treatments.TREATMENTS`.
        any_way_up: how queries are looked at; see `looks_at`.
        on_steps: called with the number of queries described and of answers so far, together, and
            how many of both there will be.

    Raises:
        BadBenchmark: the encoder has no background, so nothing is decided.
        AlphaTooSmall: the background is too small for any alpha.
    """
    own = benchmark.ranked + tuple(case for case in benchmark.cases if not case.truths)
    cases = own + plan.asked
    galleries: dict[str | None, frozenset[str] | None] = {None: None}
    galleries |= {name: kept for name, kept in plan.without.items() if kept}
    inside = {
        name: [n for n, case in enumerate(cases) if case.set == name and case.truths]
        for name in galleries
    }
    inside[None] = list(range(len(own)))
    total = (len(cases) + sum(map(len, inside.values()))) * len(conditions)
    steps = Steps(total, on_steps)
    found: list[Answers] = []
    alphas: tuple[float, ...] = ()
    recall = attributor.shares.current().recall
    recalls = tuple(rate for rate in RECALLS if rate <= recall.largest)
    cuts = tuple(map(recall.depth, recalls))
    for condition in conditions:
        images = treated_queries(cases, condition)
        looks = _described(attributor.encoder, images, steps, any_way_up=any_way_up)
        alphas = alphas or _supported(attributor, looks[0].rows[0], any_way_up=any_way_up)
        for name, collections in galleries.items():
            chosen = tuple(cases[n] for n in inside[name])
            truths = [
                {plan.sha256s[truth.key] for truth in case.truths if name is None}
                for case in chosen
            ]
            asked = [looks[n] for n in inside[name]]
            believed = _prevalence(chosen) if name is None else None
            answers = _answers(attributor, asked, collections, steps, believed)
            judged = tuple(
                judge(answer, true, cuts) for answer, true in zip(answers, truths, strict=True)
            )
            found.append(Answers(condition, name, chosen, judged))
    return Decisions(alphas, tuple(found), recalls)


def _prevalence(cases: Sequence[Case]) -> float | None:
    """Share of the queries that have no source, where some have; what shares are to start from."""
    sourceless = sum(not case.truths for case in cases)
    return sourceless / len(cases) if 0 < sourceless < len(cases) else None


def _supported(attributor: Attributor, row: Rows, *, any_way_up: bool) -> tuple[float, ...]:
    supported = []
    for alpha in ALPHAS:
        try:
            attributor.attribute(row[None], Terms(top_k=1, alpha=alpha, any_way_up=any_way_up))
        except AlphaTooSmall:
            if alpha == max(ALPHAS):
                raise
            continue
        supported.append(alpha)
    return tuple(supported)


def _described(
    encoder: Encoder, images: Iterator[Image.Image], steps: Steps, *, any_way_up: bool
) -> list[Described]:
    """Every query as it is searched for."""
    looks = (looks_at_picture(image, any_way_up=any_way_up) for image in images)
    described: list[Described] = []
    while block := list(islice(looks, _BATCH)):
        described += encode_looks(encoder, block)
        steps.add(len(block))
    return described


def _answers(
    attributor: Attributor,
    looks: Sequence[Described],
    collections: frozenset[str] | None,
    steps: Steps,
    no_source: float | None,
) -> Iterator[Attribution]:
    terms = Terms(LARGEST_TOP_K, collections, max(ALPHAS), no_source=no_source)
    for start in range(0, len(looks), _BATCH):
        block = looks[start : start + _BATCH]
        yield from attribute_looks(attributor, block, terms)
        steps.add(len(block))


def judge(answer: Attribution, truths: set[str], cuts: Sequence[float] = ()) -> Judged:
    """An answer beside what is true: names by its first ten sources, places by all that it lists.

    Args:
        answer: of as many sources as are listed at most.
        truths: sha256 of the true sources that are held.
        cuts: shares of the credit at which a list may end.

    Raises:
        BadBenchmark: nothing was decided.
    """
    if answer.p_value is None:
        raise BadBenchmark(
            f"nothing is decided, calibration is {answer.calibration.state}: decisions need an "
            "encoder with a background (`attribution train --background`)"
        )
    first = answer.sources[0] if answer.sources else None
    shown = [
        (truths & {source.sha256 for source in ranked.showing}, ranked.p_value)
        for ranked in answer.sources
        if ranked.p_value is not None
    ]
    named_first = shown[:_NAMED]
    wrong = [p_value for true, p_value in named_first if not true]
    named = [p_value for true, p_value in named_first if true]
    found = set().union(*(true for true, _ in named_first))
    right = bool(shown and shown[0][0])
    held = max(1.0 - answer.unattributed_share, 1e-12)
    before = list(accumulate((each.share / held for each in answer.sources), initial=0.0))[:-1]
    return Judged(
        p_value=answer.p_value,
        first=None if first is None else first.source.uri,
        right=right,
        wrong_p_value=min(wrong, default=1.0),
        named_p_value=max(named) if named and found == truths else 1.0,
        share=0.0 if first is None else first.share,
        unattributed_share=answer.unattributed_share,
        credit=len(shown[0][0]) / len(truths) if right else 0.0,
        sourceless=not truths,
        place=next((rank for rank, (true, _) in enumerate(shown, start=1) if true), 0),
        lengths=tuple(sum(each <= cut for each in before) for cut in cuts),
    )
