"""What is kept of the images of a job, and what is read of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.answers import Answer, QueryImage
from app.inference.timings import Timings
from app.jobs.results import answered, failed, lines
from app.problems.problem import invalid
from app.schemas.attribution import AttributionDocument
from app.schemas.problem import ProblemDocument
from attribution.answer import Attribution, CalibrationState, PromisedRecall, RankedSource
from attribution.catalog import JobResult, Source
from models.images.notes import Note

JOB = "job_a"


def source(vector_id: int) -> Source:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Source(
        vector_id=vector_id, source_id=f"src_{vector_id}", collection="default", sha256="ab" * 32,
        uri=f"{vector_id}.jpg", title=None, creator=None, licence=None, metadata={}, width=640,
        height=480, format="jpeg", created_at=now, updated_at=now, revision=1,
    )  # fmt: skip


SOURCES = {number: source(number) for number in (1, 2, 3)}
ANSWER = Answer(
    QueryImage("ef" * 32, 160, 171, "png", (Note("ground-black", "On black."),)),
    Attribution(
        model_id="m1",
        index_generation=7,
        decision="attributed",
        p_value=0.004,
        alpha=0.01,
        calibration=CalibrationState("c1", "fresh"),
        sources=tuple(
            RankedSource(rank, SOURCES[rank], 9.7 / rank, 0.004 * rank, 0.6 / rank, rank < 3)
            for rank in (1, 2, 3)
        ),
        other_share=0.05,
        unattributed_share=0.1,
        recall=PromisedRecall(0.9, "drawings"),
    ),
    Timings(0.00935, 0.00215, 0.06253).searched(0.57297),
)


class Kept:
    """A catalog in which a job has ended so."""

    def __init__(self, ended, held):
        self.ended, self.held, self.jobs = ended, held, self

    def results(self, job_id, *, after, limit):
        assert job_id == JOB
        return tuple(
            # What is written to a database and read again.
            JobResult(at, each.position, "a.png", json.loads(json.dumps(each.record)), each.failed,
                      each.sha256)
            for at, each in enumerate(self.ended, start=1) if at > after
        )  # fmt: skip

    def by_vector_ids(self, vector_ids):
        return {number: self.held[number] for number in vector_ids if number in self.held}


def read(ended, held=SOURCES, *, shown=int):
    text = "".join(lines(Kept(ended, held), JOB, after=0, shown=shown, ended=True))
    return [json.loads(line) for line in text.splitlines()]


def test_another_source_of_the_picture_takes_the_place_of_one_that_is_gone():
    first, *others = ANSWER.attribution.sources
    twice = replace(first, copies=(source(8), source(9)))
    answer = replace(ANSWER, attribution=replace(ANSWER.attribution, sources=(twice, *others)))
    kept = [answered(4, answer)]
    held = SOURCES | {8: source(8), 9: source(9)}
    listed = read(kept, held)[0]["attribution"]["sources"][0]
    assert (listed["source_id"], listed["copies"]) == ("src_1", ["src_8", "src_9"])
    for gone in ([1], [1, 8]):
        left = {number: each for number, each in held.items() if number not in gone}
        found = read(kept, left)[0]["attribution"]
        listed = found["sources"][0]
        assert listed["source_id"] == f"src_{8 if len(gone) == 1 else 9}"
        assert len(listed["copies"]) == 2 - len(gone)
        assert found["unattributed_share"] == ANSWER.attribution.unattributed_share
    assert len(read(kept, {2: SOURCES[2]})[0]["attribution"]["sources"]) == 1


def test_an_answer_reads_as_if_it_were_given_now():
    [line] = read([answered(4, ANSWER)])
    document = AttributionDocument.of(ANSWER, request_id=JOB).model_dump(mode="json")
    assert line == {
        "sequence": 1, "index": 4, "filename": "a.png", "attribution": document,
        "q_value": ANSWER.attribution.p_value,
    }  # fmt: skip
    assert list(line["attribution"]["sources"][0]) == list(document["sources"][0])
    assert document["timings_ms"]["total"] == 647.0


def test_what_is_kept_says_nothing_of_the_sources_but_which_they_are():
    ended = answered(0, ANSWER)
    assert ended.sha256 == ANSWER.query.sha256
    kept = json.dumps(ended.record)
    assert not any(trace in kept for trace in ("src_1", "1.jpg", "ab" * 32, ended.sha256))


def test_a_record_from_before_there_were_notes_has_none():
    ended = answered(0, ANSWER)
    assert ended.record["query"].pop("notes") == [{"code": "ground-black", "detail": "On black."}]
    [line] = read([ended])
    assert line["attribution"]["query"]["notes"] == []


def test_generations_are_those_of_the_reader():
    [line] = read([answered(0, ANSWER)], shown=lambda generation: generation - 5)
    assert line["attribution"]["index_generation"] == 2


def test_a_failure_reads_as_its_problem():
    error = invalid("query.alpha", "too small")
    [line] = read([failed(1, error)])
    problem = ProblemDocument.of(error, request_id=JOB)
    assert line["problem"] == problem.model_dump(mode="json", exclude_defaults=True)
    assert line["problem"]["errors"] == [{"location": "query.alpha", "detail": "too small"}]
    assert "q_value" not in line


@pytest.mark.parametrize(
    ("gone", "decision", "p_value", "share"),
    [
        ({3}, "attributed", 0.004, 0.3),
        ({1}, "attributed", 0.008, 0.7),
        ({1, 2}, "no_source_found", 0.012, 1.0),
        ({1, 2, 3}, None, None, 1.2),
    ],
)
def test_what_was_deleted_since_leaves_the_answer(gone, decision, p_value, share):
    held = {number: each for number, each in SOURCES.items() if number not in gone}
    [line] = read([answered(0, ANSWER)], held)
    answer = line["attribution"]
    assert [each["source_id"] for each in answer["sources"]] == [f"src_{n}" for n in held]
    assert (answer["decision"], answer["p_value"]) == (decision, p_value)
    assert answer["unattributed_share"] == pytest.approx(share)


def test_a_source_that_nothing_explains_decides_where_those_above_it_are_gone_or_explained():
    first, second, third = ANSWER.attribution.sources
    listed = (first, replace(second, p_value=1.0, attributed=False), replace(third, p_value=0.004))
    answer = replace(ANSWER, attribution=replace(ANSWER.attribution, sources=listed))
    [line] = read([answered(0, answer)], {2: SOURCES[2], 3: SOURCES[3]})
    found = line["attribution"]
    assert (found["decision"], found["p_value"]) == ("attributed", 0.004)
