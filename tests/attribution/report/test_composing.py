"""From an answer to a report: nothing is lost, nothing that is no picture gets in."""

from datetime import timedelta, timezone

import pytest
from pydantic import ValidationError

from attribution.report.canonical import report_bytes
from attribution.report.composing import Circumstances, compose
from attribution.report.document import Picture
from attribution.report.thumbnails import LONG_SIDE, thumbnail_of
from tests.support.answers import NOW, attribution, report_of
from tests.support.pictures import picture


def test_the_figures_are_those_of_the_answer(report):
    answer = attribution()
    assert (report.decision, report.p_value, report.alpha) == (
        answer.decision,
        answer.p_value,
        answer.alpha,
    )
    for reported, ranked in zip(report.sources, answer.sources, strict=True):
        for name in ("rank", "score", "p_value", "share", "attributed"):
            assert getattr(reported, name) == getattr(ranked, name)
        for name in ("source_id", "sha256", "uri", "title", "creator", "licence", "collection"):
            assert getattr(reported, name) == getattr(ranked.source, name)
    shares = sum(source.share for source in report.sources)
    assert shares + report.other_share + report.unattributed_share == pytest.approx(1)


def test_time_is_utc_to_the_second_and_collections_are_sorted(report):
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    circumstances = Circumstances(there, frozenset({"b", "a"}), "bundled", "0.1.0")
    made = compose(attribution(), report.query, circumstances)
    assert made.created_at == report.created_at == "2026-05-04T12:34:56Z"
    assert made.searched.collections == ("a", "b")
    assert made.sources[0].thumbnail is None


def test_thumbnails_are_small_jpegs_without_metadata():
    image = picture(1, (2000, 900))
    image.info["comment"] = b"made by a secret person"
    thumbnail = thumbnail_of(image)
    assert thumbnail.content.startswith(b"\xff\xd8\xff")
    assert b"secret" not in thumbnail.content
    assert len(thumbnail.content) < 40_000
    assert image.size == (2000, 900)
    assert LONG_SIDE == 256


@pytest.mark.parametrize("data", ['"><script>', "AAA", "A===", "AAAA\n", "", "AAAA AAAA"])
def test_only_base64_is_a_picture(data):
    with pytest.raises(ValidationError):
        Picture(media_type="image/png", data=data)


def test_a_hundred_sources_stay_within_bounds():
    assert len(report_bytes(report_of(attribution(count=100)))) < 5_000_000
