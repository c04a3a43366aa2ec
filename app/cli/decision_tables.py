"""The tables of `attribution evaluate --decisions`: figures for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from attribution.evaluation.bootstrap import Interval
from attribution.evaluation.decision_results import DecisionReport
from attribution.evaluation.intervals import Rate
from attribution.evaluation.rates import PREVALENCES, FalseDiscovery
from attribution.evaluation.reliability import Score

_SHOWN_QUANTILES = (0.01, 0.05, 0.1, 0.5)


def decision_tables(report: DecisionReport) -> Iterator[Table]:
    """All tables that have rows, in the order in which they matter."""
    if report.false_attribution:
        yield _false_attribution(report)
        yield _uniformity(report)
    if report.power:
        yield _power(report)
    if report.false_discovery:
        yield _false_discovery(report)
    yield _shares(report)
    yield _risk(report)


def _false_attribution(report: DecisionReport) -> Table:
    table = _table("false attribution of queries without source, measured rate [95 %]")
    for name in ("queries", "set"):
        table.add_column(name)
    table.add_column("n", justify="right")
    table.add_column("groups", justify="right")
    for alpha in report.alphas:
        table.add_column(f"alpha {alpha:g}", justify="right")
    rates = {(e.condition, e.left_out, e.set, e.alpha): e.rate for e in report.false_attribution}
    for condition, left_out, name in dict.fromkeys(key[:3] for key in rates):
        cells = [rates[condition, left_out, name, alpha] for alpha in report.alphas]
        label = (name or "all of these") + (", sources left out" if left_out else "")
        counts = (str(cells[0].total), str(cells[0].groups))
        table.add_row(condition, label, *counts, *map(_rate, cells))
    return table


def _power(report: DecisionReport) -> Table:
    table = _table("queries with sources, share [95 %]")
    for name in ("queries", "set", "alpha"):
        table.add_column(name)
    for name in ("attributed", "and rank 1 true", "of those wrong", "any wrong named"):
        table.add_column(name, justify="right")
    before = None
    for each in report.power:
        first = (each.condition, f"{each.set} ({each.power.total})")
        named = first if first != before else ("", "")
        before = first
        table.add_row(
            *named,
            f"{each.alpha:g}",
            f"{each.attributed.value:.3f}",
            _rate(each.power),
            "-" if each.misattribution is None else _rate(each.misattribution),
            f"{each.wrongly_named.value:.3f}",
            end_section=each.alpha == report.alphas[-1],
        )
    return table


def _false_discovery(report: DecisionReport) -> Table:
    table = _table("wrong ones among all attributions, where so many queries have a source")
    for name in ("queries", "set", "alpha"):
        table.add_column(name)
    for prevalence in PREVALENCES:
        table.add_column(f"{prevalence:.0%}", justify="right")
    found = {(e.condition, e.set, e.alpha, e.prevalence): e for e in report.false_discovery}
    for condition, name, alpha in dict.fromkeys(key[:3] for key in found):
        cells = [_discovery(found[condition, name, alpha, share]) for share in PREVALENCES]
        table.add_row(condition, name, f"{alpha:g}", *cells)
    return table


def _uniformity(report: DecisionReport) -> Table:
    table = _table("p-values of queries without source: distance from uniform, quantiles")
    for name in ("queries", "set"):
        table.add_column(name)
    for name in ("n", "distance", "too small by", "95 % below"):
        table.add_column(name, justify="right")
    for level in _SHOWN_QUANTILES:
        table.add_column(f"q {level:g}", justify="right")
    for each in report.uniformity:
        fit = each.fit
        label = each.set + (", sources left out" if each.left_out else "")
        figures = (fit.distance, fit.excess)
        limit = _figure(fit.band) if each.groups == fit.queries else "-"
        quantiles = [_figure(fit.quantiles[level]) for level in _SHOWN_QUANTILES]
        table.add_row(
            each.condition, label, str(fit.queries), *map(_figure, figures), limit, *quantiles
        )
    return table


def _shares(report: DecisionReport) -> Table:
    table = _table("shares against what was true; in brackets the best constant")
    for name in ("queries", "share", "set"):
        table.add_column(name)
    for name in ("n", "mean", "true", "error", "Brier", "log", "Brier gain, 95 %"):
        table.add_column(name, justify="right")
    for each in report.reliability:
        scores = ("", "", "")
        if not each.set:
            scores = (_score(each.brier), _score(each.log), _gain(each.brier.difference))
        figures = map(_figure, (each.claimed, each.true, each.calibration_error))
        name = each.set or "all"
        table.add_row(each.condition, each.kind, name, str(each.queries), *figures, *scores)
    return table


def _risk(report: DecisionReport) -> Table:
    table = _table("risk (rank 1 no true source) over coverage, smallest p-values first")
    table.add_column("queries")
    for name in ("AURC", "at best", "risk of all", "of half", "of a quarter"):
        table.add_column(name, justify="right")
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


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold")


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _rate(rate: Rate) -> str:
    """The rate with its interval over groups, or without where one group leaves it unknown."""
    if rate.grouped_low is None or rate.grouped_high is None:
        return _figure(rate.value)
    return f"{rate.value:.3f} [{rate.grouped_low:.3f}, {rate.grouped_high:.3f}]"


def _discovery(found: FalseDiscovery) -> str:
    """The proportion, and where it lies for both ends of the false attribution rate."""
    if found.value is None:
        return "-"
    ends = ["-" if value is None else _figure(value) for value in (found.low, found.high)]
    return f"{found.value:.3f} [{ends[0]}, {ends[1]}]"


def _score(score: Score) -> str:
    return f"{score.value:.3f} ({score.constant:.3f})"


def _gain(difference: Interval) -> str:
    """How much better than the constant: above zero is better."""
    if difference.low is None or difference.high is None:
        return f"{-difference.value:+.3f}"
    return f"{-difference.high:+.3f} to {-difference.low:+.3f}"


def _risk_at(coverage: Sequence[float], risk: Sequence[float], wanted: float) -> float:
    """Risk at the first threshold that answers so large a share."""
    return next(value for share, value in zip(coverage, risk, strict=True) if share >= wanted)
