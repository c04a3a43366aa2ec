"""The tables of `attribution evaluate`: figures, differences and diagnostics for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from app.cli.console import flush_right
from attribution.evaluation.benchmark.screening import LeftOut
from attribution.evaluation.ranks.diagnostics import CrossCovariance
from attribution.evaluation.ranks.figures import DEPTHS, Difference, Figures, Summary
from attribution.evaluation.statistics.bootstrap import Interval

_LISTED = tuple(depth for depth in DEPTHS if depth > 1)


def titled_table(
    title: str, words: Sequence[str], numbers: Sequence[str], caption: str | None = None
) -> Table:
    """A table without rows: columns of words, then columns of figures."""
    return Table(
        *words,
        *flush_right(*numbers),
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
    )


def left_out_words(left_out: Sequence[LeftOut]) -> str:
    """How many of what was left out, to follow the counts of what was measured; "" for none."""
    counts = Counter[str](each.kind for each in left_out)
    named = [
        f"{counts[kind]} {plural if counts[kind] > 1 else kind}"
        for kind, plural in _KINDS.items()
        if counts[kind]
    ]
    return f"; left out, as they cannot be read: {', '.join(named)}" if named else ""


_KINDS = {"query": "queries", "source": "sources", "distractor": "distractors"}


def summary_table(condition: str, summaries: Sequence[Summary]) -> Table:
    """Figures of every method under one condition; first what is attainable where that is less."""
    recalls = (f"R@{depth}" for depth in _LISTED)
    names = ("n", "hit@1", *recalls, "mAP", "95 %")
    table = titled_table(f"{condition} queries", ("method", "set"), names)
    short = [row for row in summaries[0].rows if _below_one(row)]
    for number, row in enumerate(short):
        first = "(attainable)" if number == 0 else ""
        table.add_row(first, _part(row), *_ceilings(row), end_section=row is short[-1])
    for summary in summaries:
        for number, row in enumerate(summary.rows):
            table.add_row(summary.method if number == 0 else "", _part(row), *_cells(row))
        blank = [""] * (2 + len(_LISTED))
        mean = summary.mean
        table.add_row("", "mean of sets", *blank, _figure(mean.value), _range(mean))
        table.add_section()
    return table


def difference_table(against: str, differences: Sequence[Difference]) -> Table:
    """Paired differences in mean average precision."""
    table = titled_table(
        f"mAP minus that of {against}, same queries",
        ("queries", "method", "set"),
        ("difference", "95 %", "excludes 0"),
    )
    for each in differences:
        rows = [*each.intervals.sets.items(), ("mean of sets", each.intervals.mean)]
        for number, (name, interval) in enumerate(rows):
            first = (each.condition, each.method) if number == 0 else ("", "")
            excludes = "yes" if interval.excludes_zero else "no"
            table.add_row(
                *first, name, f"{interval.value:+.3f}", _range(interval, signed=True), excludes
            )
        table.add_section()
    return table


def pairs_table(found: Mapping[str, CrossCovariance]) -> Table:
    """Cross-covariance of true pairs, clean; see docs/evaluation.md."""
    table = titled_table(
        "clean true pairs, whitened cross-covariance C",
        ("encoder",),
        ("pairs", "directions", "|C - C'| / |C|", "off-diagonal", "tr C / |C|*", "mean rho"),
    )
    for name, each in found.items():
        values = (each.asymmetry, each.off_diagonal, each.positivity, each.correlation)
        table.add_row(name, str(each.pairs), str(each.directions), *map(_figure, values))
    return table


def _part(row: Figures) -> str:
    if row.role:
        return f"  {row.role}"
    return f"  by {row.made_by}" if row.made_by else row.set


def _cells(row: Figures) -> list[str]:
    recalls = [_figure(row.recall[depth]) for depth in _LISTED]
    precision = _figure(row.precision.value), _range(row.precision)
    return [str(row.queries), _figure(row.hit), *recalls, *precision]


def _ceilings(row: Figures) -> list[str]:
    recalls = [_figure(row.recall_ceiling[depth]) for depth in _LISTED]
    return [str(row.queries), _figure(1.0), *recalls, _figure(row.precision_ceiling), ""]


def _below_one(row: Figures) -> bool:
    whole = not row.role and not row.made_by
    return whole and min(row.precision_ceiling, *(row.recall_ceiling[k] for k in _LISTED)) < 1


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _range(interval: Interval, *, signed: bool = False) -> str:
    """The interval, or a dash where one component leaves it unknown."""
    if interval.low is None or interval.high is None:
        return "-"
    sign = "+" if signed else ""
    return f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"
