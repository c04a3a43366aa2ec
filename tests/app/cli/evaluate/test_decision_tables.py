"""Tables of decisions where there is little to show."""

import io
from pathlib import Path

from rich.console import Console

from app.cli.evaluate.decision_tables import decision_tables
from attribution.evaluation.benchmark.cases import Benchmark, Case, Truth
from attribution.evaluation.decisions.answers import Answers, Decisions, Judged
from attribution.evaluation.decisions.gallery import GalleryPlan
from attribution.evaluation.decisions.report import report_decisions


def shown(*answers):
    report = report_decisions(
        Benchmark("made", answers[0].cases, ()),
        GalleryPlan((), {}, {}),
        Decisions((0.1, 0.05, 0.01), answers),
    )
    written = io.StringIO()
    console = Console(file=written, width=110)
    for table in decision_tables(report):
        console.print(table)
    return written.getvalue()


def judged(p_value, *, sourceless):
    return Judged(p_value, "it", False, p_value, 1.0, 0.2, 0.7, 0.0, sourceless)


def asked(name, p_values, *, left_out=None, truths=True):
    cases = tuple(
        Case(Path(f"{n}.png"), (Truth(f"{name}{n}"),) if truths else (), name)
        for n in range(len(p_values))
    )
    sourceless = left_out is not None or not truths
    found = tuple(judged(p_value, sourceless=sourceless) for p_value in p_values)
    return Answers("clean", left_out, cases, found)


def test_where_nothing_is_attributed_there_is_nothing_to_divide_by():
    text = shown(asked("single_image_gan", [0.9, 0.8]))
    row = next(line for line in text.splitlines() if "single_image_gan" in line)
    assert [cell.strip() for cell in row.split("│")[3:8]] == [
        "0.1", ".000", ".000 [.000, .842]", "-", ".000",
    ]  # fmt: skip
    assert "false attribution" not in text  # no query was without source
    assert "wrong ones among all" not in text


def test_sets_that_were_left_out_are_marked_and_explained():
    text = shown(asked("splice", [0.9, 0.04]), asked("splice", [0.5, 0.08], left_out="splice"))
    lines = [line for line in text.splitlines() if "splice *" in line]
    assert ".500 [.013, .987]" in lines[0]
    assert "* asked again with the set's sources left out of the gallery" in text


def test_only_queries_without_source():
    text = shown(asked("no_source", [0.9, 0.04, 0.3], truths=False))
    assert "no_source" in text
    assert "power" not in text
    assert max(map(len, text.splitlines())) <= 110
