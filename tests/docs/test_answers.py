"""`docs/answers.md` and `docs/report.md` say what is there, and their examples run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.report.command import EXIT_CODES
from app.schemas.attribution import AttributionDocument, Calibration, Query, RankedSource
from app.schemas.batch import AttributedItem
from attribution.report import statement
from attribution.report.canonical import report_bytes
from attribution.report.document import Signature
from attribution.report.signing import new_key
from attribution.report.verification import MEANING
from tests.support.answers import attribution, report_of

DOCS = Path(__file__).parents[2] / "docs"
ANSWERS = (DOCS / "answers.md").read_text(encoding="utf-8")
REPORT = (DOCS / "report.md").read_text(encoding="utf-8")


def names():
    models = (AttributionDocument, RankedSource, Calibration, Query, AttributedItem)
    fields = {name for model in models for name in model.model_fields}
    # What holds the others, and what a batch repeats of its own request.
    return sorted(fields - {"sources", "attribution", "index", "filename"})


@pytest.mark.parametrize("name", names())
def test_every_figure_of_an_answer_is_explained(name):
    assert f"`{name}`" in ANSWERS


def test_the_promise_is_the_same_in_words_as_in_reports():
    told = " ".join(ANSWERS.replace("\n> ", " ").split()).lower()
    promise = (
        "among queries exchangeable with the background, the rate of false attribution is at most "
        "alpha on average over background draws."
    )
    assert promise in told
    assert promise in " ".join(statement.statement(attribution())).lower()


def test_base_rates_are_what_alpha_and_power_give():
    for held, right, wrong, share in (
        (500, 450, 5, 1 / 90),
        (100, 90, 9, 1 / 11),
        (10, 9, 10, 0.5),
    ):
        assert f"| {held} of 1,000 | {right} | {wrong} of {1000 - held} |" in ANSWERS
        assert 0.9 * held == pytest.approx(right)
        false_alarms = 0.01 * (1000 - held)
        assert round(false_alarms) == wrong
        assert false_alarms / (right + false_alarms) == pytest.approx(share, abs=0.03)


def test_every_verdict_is_listed_with_its_exit_code():
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (\d) \|", REPORT, re.MULTILINE))
    assert {verdict: int(code) for verdict, code in listed.items()} == EXIT_CODES
    assert set(listed) == set(MEANING)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_the_check_without_this_project_runs_and_finds_a_change(tmp_path):
    key = new_key(tmp_path / "key.pem")
    [code] = re.findall(r"```python\n(.*?)```", REPORT, re.DOTALL)
    data = report_bytes(key.sign(report_of(attribution(count=1))))
    assert all(f"`{name}`" in REPORT for name in Signature.model_fields)

    def check(content):
        (tmp_path / "report.json").write_bytes(content)
        return subprocess.run(
            [sys.executable, "-c", code, tmp_path / "report.json", key.public.base64],
            check=False,
            capture_output=True,
            cwd=tmp_path,
        )

    assert check(data).stdout == b"valid\n"
    assert check(data.replace(b'"alpha":0.01', b'"alpha":0.02')).returncode != 0
    assert check(data + b" ").returncode != 0
    assert check(data.replace(b'"alpha":0.01', b'"alpha":0.02,"alpha":0.01')).returncode != 0
