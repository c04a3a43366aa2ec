"""The tables of `attribution evaluate --decisions`: figures for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from rich.table import Table

from app.cli.evaluate.tables import titled_table
from attribution.evaluation.decisions.rates import PREVALENCES, FalseDiscovery
from attribution.evaluation.decisions.reliability import Score
from attribution.evaluation.decisions.report import DecisionReport
from attribution.evaluation.statistics.bootstrap import Interval
from attribution.evaluation.statistics.intervals import Rate

LEFT_OUT = "* asked again with the set's sources left out of the gallery"
_SHOWN_QUANTILES = (0.01, 0.05, 0.1, 0.5)


def decision_tables(report: DecisionReport) -> Iterator[Table]:
    """All tables that have rows, in the order in which they matter."""
    if report.false_attribution:
        yield _false_attribution(report)
        yield _uniformity(report)
    if report.power:
        yield _power(report)
    if report.listing:
        yield _listing(report)
    if report.false_discovery:
        yield _false_discovery(report)
    yield _shares(report)
    yield _risk(report)


def _false_attribution(report: DecisionReport) -> Table:
    table = titled_table(
        "false attribution of queries without source: measured rate [95 %]",
        ("queries", "set"),
        ("n", "groups", *_alphas(report)),
        LEFT_OUT,
    )
    rates = {(e.condition, e.set, e.left_out, e.alpha): e.rate for e in report.false_attribution}
    rows = []
    for condition, name, left_out in dict.fromkeys(key[:3] for key in rates):
        cells = [rates[condition, name, left_out, alpha] for alpha in report.alphas]
        counts = (str(cells[0].total), str(cells[0].groups))
        label = _label(name or "all of these", left_out=left_out)
        rows.append((condition, label, *counts, *map(_rate, cells)))
    return _by_condition(table, rows)


def _uniformity(report: DecisionReport) -> Table:
    quantiles = [f"q {level:g}" for level in _SHOWN_QUANTILES]
    table = titled_table(
        "p-values of queries without source: distance from uniform, quantiles",
        ("queries", "set"),
        ("n", "distance", "excess", "95 %", *quantiles),
        LEFT_OUT,
    )
    rows = []
    for each in report.uniformity:
        fit = each.fit
        band = _figure(fit.band) if each.groups == fit.queries else "-"
        figures = (_figure(fit.distance), _figure(fit.excess), band)
        shown = [_figure(fit.quantiles[level]) for level in _SHOWN_QUANTILES]
        label = _label(each.set, left_out=each.left_out)
        rows.append((each.condition, label, str(fit.queries), *figures, *shown))
    return _by_condition(table, rows)


def _power(report: DecisionReport) -> Table:
    table = titled_table(
        "queries with sources: power (attributed, and a true source first) [95 %], and the shares "
        "where any wrong name is attributed and where all true ones are",
        ("queries", "set"),
        ("alpha", "attributed", "power", "misattributed", "any wrong", "all"),
    )
    rows = []
    for each in report.power:
        rate = each.power
        labels = dict(zip(report.alphas, (each.set, f"n = {rate.total}"), strict=False))
        rows.append(
            (
                each.condition,
                labels.get(each.alpha, f"{rate.groups} groups"),
                f"{each.alpha:g}",
                _figure(each.attributed.value),
                _rate(rate),
                "-" if each.misattribution is None else _rate(each.misattribution),
                _figure(each.wrongly_named.value),
                _figure(each.fully_named.value),
            )
        )
    return _by_condition(table, rows)


def _listing(report: DecisionReport) -> Table:
    table = titled_table(
        "lists by --recall of queries with sources: share that holds a true one [95 %]; what is "
        "promised is of the queries that it was measured on",
        ("queries", "set"),
        ("recall", "holds one", "median", "mean length"),
    )
    first = report.listing[0].recall
    rows = [
        (
            each.condition,
            each.set if each.recall == first else "",
            f"{each.recall:g}",
            _rate(each.holding),
            f"{each.median:.0f}",
            f"{each.mean:.1f}",
        )
        for each in report.listing
    ]
    return _by_condition(table, rows)


def _false_discovery(report: DecisionReport) -> Table:
    table = titled_table(
        "wrong ones among all attributions, where so many queries have a source",
        ("queries", "set"),
        ("alpha", *(f"{share:.0%}" for share in PREVALENCES)),
    )
    found = {(e.condition, e.set, e.alpha, e.prevalence): e for e in report.false_discovery}
    rows = []
    for condition, name, alpha in dict.fromkeys(key[:3] for key in found):
        cells = [_discovery(found[condition, name, alpha, share]) for share in PREVALENCES]
        label = name if alpha == report.alphas[0] else ""
        rows.append((condition, label, f"{alpha:g}", *cells))
    return _by_condition(table, rows)


def _shares(report: DecisionReport) -> Table:
    table = titled_table(
        "shares beside what was true; in brackets the best constant, gain on it with 95 %",
        ("queries", "share"),
        ("n", "mean", "true", "error", "Brier", "log", "Brier gain"),
    )
    rows = []
    for each in report.reliability:
        scores = ("", "", "")
        if not each.set:
            scores = (_score(each.brier), _score(each.log), _gain(each.brier.difference))
        figures = map(_figure, (each.claimed, each.true, each.calibration_error))
        name = f"  {each.set}" if each.set else each.kind
        rows.append((each.condition, name, str(each.queries), *figures, *scores))
    return _by_condition(table, rows)


def _risk(report: DecisionReport) -> Table:
    table = titled_table(
        "risk (rank 1 no true source) over coverage, smallest p-values first",
        ("queries",),
        ("AURC", "at best", "risk of all", "of half", "of a quarter"),
    )
    for condition, found in report.risk.items():
        figures = (
            found.area,
            found.best_area,
            found.error,
            _risk_at(found.coverage, found.risk, 0.5),
            _risk_at(found.coverage, found.risk, 0.25),
        )
        table.add_row(condition, *map(_figure, figures))
    return table


def _by_condition(table: Table, rows: Iterable[tuple[str, ...]]) -> Table:
    """With these rows; what they begin with, the condition, is said where it changes."""
    for condition, group in groupby(rows, key=itemgetter(0)):
        table.add_section()
        for number, (_, *cells) in enumerate(group):
            table.add_row(condition if number == 0 else "", *cells)
    return table


def _alphas(report: DecisionReport) -> list[str]:
    return [f"alpha {alpha:g}" for alpha in report.alphas]


def _label(name: str, *, left_out: bool) -> str:
    return f"{name} *" if left_out else name


def _figure(value: float) -> str:
    """Three places, and no zero before them: five figures and intervals share a line."""
    return f"{value:.3f}".removeprefix("0")


def _rate(rate: Rate) -> str:
    """The rate with its interval over groups, or without where one group leaves it unknown."""
    if rate.grouped_low is None or rate.grouped_high is None:
        return _figure(rate.value)
    return f"{_figure(rate.value)} [{_figure(rate.grouped_low)}, {_figure(rate.grouped_high)}]"


def _discovery(found: FalseDiscovery) -> str:
    """The proportion, and where it lies for both ends of the false attribution rate."""
    if found.value is None:
        return "-"
    ends = ["-" if value is None else _figure(value) for value in (found.low, found.high)]
    return f"{_figure(found.value)} [{ends[0]}, {ends[1]}]"


def _score(score: Score) -> str:
    return f"{_figure(score.value)} ({_figure(score.constant)})"


def _gain(difference: Interval) -> str:
    """How much better than the constant: above zero is better."""
    ends = [-end for end in (difference.high, difference.low) if end is not None]
    return " to ".join(f"{end:+.3f}".replace("0.", ".", 1) for end in ends or [-difference.value])


def _risk_at(coverage: Sequence[float], risk: Sequence[float], wanted: float) -> float:
    """Risk at the first threshold that answers so large a share."""
    return next(value for share, value in zip(coverage, risk, strict=True) if share >= wanted)
