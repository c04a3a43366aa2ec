"""Clients that write all there is to write, and remember what a service has acknowledged.

One operation at a time: when the service dies under it, that one alone is in doubt. It may have
happened or not, whole or not at all; everything else must be as it was acknowledged.
"""

import hashlib
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.pictures import small_jpeg

MOST_HELD = 40  # a search lists at most 100: it must be able to list them all
MOST_JOBS = 4
JOB_IMAGES = 3


@dataclass
class JobMemory:
    """What is known of a job: how it may stand, and the results that have been read."""

    states: set[str]  # "going" stands for queued, running and finished
    results: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Intent:
    """The operation under way, whose end is not known yet.

    Attributes:
        titles: sha256 -> title that it sets; None: deleted.
        taken_down: digests that it takes down.
        job: id of the job that it ends, and how that then stands.
        new_job: idempotency key and body of the job that it makes.
        description: of the collection.
    """

    titles: dict[str, str | None] = field(default_factory=dict)
    taken_down: set[str] = field(default_factory=set)
    job: tuple[str, str] | None = None
    new_job: tuple[str, list[Any]] | None = None
    description: str | None = None


class Writer:
    """One client with a collection of its own, so that nobody else changes what it remembers."""

    def __init__(self, collection: str, seed: int, acknowledged: Counter[str]) -> None:
        self.collection = collection
        self.moves = random.Random(f"{seed} {collection}")
        self.acknowledged = acknowledged
        # No two writers ever send the same bytes: a takedown concerns every collection.
        self.numbers = itertools.count(self.moves.randrange(10**15))
        self.titles: dict[str, str | None] = {}
        self.ids: dict[str, str] = {}
        self.bytes: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.taken_down: set[str] = set()
        self.jobs: dict[str, JobMemory] = {}
        self.description = ""
        self.intent = Intent()
        self.failure: BaseException | None = None
        self._client: httpx.Client | None = None

    # Writing

    def write_until_killed(self, client: httpx.Client, stopped: threading.Event) -> None:
        """Run in a thread: any operation after any other, until the connection breaks."""
        self._client = client
        try:
            while not stopped.is_set():
                self._one()
        except httpx.TransportError:
            return
        except BaseException as error:  # noqa: BLE001 (told by the thread that joins)
            self.failure = error

    def _one(self) -> None:
        held = self.held()
        full = len(held) >= MOST_HELD
        choices: list[tuple[Callable[[], None], int]] = [
            (self._add, 0 if full else 10),
            (self._add_batch, 0 if full else 4),
            (self._change, 6 if held else 0),
            (self._delete, (10 if full else 4) if held else 0),
            (self._delete_many, (6 if full else 2) if held else 0),
            (self._take_down, 2 if held else 0),
            (self._add_what_was_taken_down, 1 if self.taken_down else 0),
            (self._add_again, 1 if held else 0),
            (self._describe_collection, 1),
            (self._save_index, 1),
            (self._make_job, 2 if len(self.jobs) < MOST_JOBS else 0),
            (self._cancel_job, 1 if self.jobs else 0),
            (self._delete_job, 4 if len(self.jobs) >= MOST_JOBS else 0),
            (self._read_results, 2 if self.jobs else 0),
            (self._search, 3),
        ]
        moves, weights = zip(*choices, strict=True)
        self.moves.choices(moves, weights)[0]()

    def held(self) -> list[str]:
        """Digests of what the collection holds, as far as is known."""
        return [digest for digest, title in self.titles.items() if title is not None]

    def _add(self) -> None:
        digest, title = self._new_picture(), self._new_title()
        self.intent = Intent(titles={digest: title})
        response = self._send(
            "POST", "/v1/sources", {201}, params={"collection": self.collection},
            files={"file": ("a.jpg", self.bytes[digest])}, data={"metadata": _metadata(title)},
        )  # fmt: skip
        self._acknowledge("add", {digest: response.json()["source"]["source_id"]})

    def _add_batch(self) -> None:
        digests = [self._new_picture() for _ in range(3)]
        titles = {digest: self._new_title() for digest in digests}
        self.intent = Intent(titles=dict(titles))
        known = "[" + ",".join(_metadata(titles[digest]) for digest in digests) + "]"
        files = [("files", (f"{digest}.jpg", self.bytes[digest])) for digest in digests]
        response = self._send(
            "POST", "/v1/sources/batch", {200}, params={"collection": self.collection},
            files=files, data={"metadata": known},
        )  # fmt: skip
        items = response.json()["items"]
        assert all(item["created"] for item in items), items
        self._acknowledge(
            "add batch",
            {digest: item["source"]["source_id"]
             for digest, item in zip(digests, items, strict=True)},
        )  # fmt: skip

    def _add_again(self) -> None:
        digest = self.moves.choice(self.held())
        response = self._add_bytes(digest, {200})
        assert response.json()["source"]["source_id"] == self.ids[digest]

    def _add_what_was_taken_down(self) -> None:
        digest = self.moves.choice(sorted(self.taken_down))
        response = self._add_bytes(digest, {409})
        assert response.json()["type"] == "/problems/source-taken-down"

    def _add_bytes(self, digest: str, expected: set[int]) -> httpx.Response:
        return self._send(
            "POST", "/v1/sources", expected, params={"collection": self.collection},
            files={"file": ("a.jpg", self.bytes[digest])},
        )  # fmt: skip

    def _change(self) -> None:
        digest, title = self.moves.choice(self.held()), self._new_title()
        self.intent = Intent(titles={digest: title})
        self._send(
            "PATCH", f"/v1/sources/{self.ids[digest]}", {200},
            content=_metadata(title), headers={"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip
        self._acknowledge("change")

    def _delete(self) -> None:
        digest = self.moves.choice(self.held())
        self.intent = Intent(titles={digest: None})
        self._send("DELETE", f"/v1/sources/{self.ids[digest]}", {200})
        self._acknowledge("delete")

    def _delete_many(self) -> None:
        held = self.held()
        digests = self.moves.sample(held, min(3, len(held)))
        self.intent = Intent(titles=dict.fromkeys(digests))
        self._send("POST", "/v1/sources/delete", {200}, json={"sha256s": digests})
        self._acknowledge("delete many")

    def _take_down(self) -> None:
        digest = self.moves.choice(self.held())
        self.intent = Intent(titles={digest: None}, taken_down={digest})
        self._send(
            "POST", "/v1/sources/delete", {200},
            json={"sha256s": [digest], "takedown": True, "reason": "a test"},
        )  # fmt: skip
        self._acknowledge("take down")

    def _describe_collection(self) -> None:
        description = self._new_title()
        self.intent = Intent(description=description)
        self._send("PUT", f"/v1/collections/{self.collection}", {200, 201},
                   json={"description": description})  # fmt: skip
        self._acknowledge("describe collection")

    def _save_index(self) -> None:
        self._send("POST", "/v1/index/snapshot", {200})
        self.acknowledged["save index"] += 1

    def _make_job(self) -> None:
        key = f"{self.collection}-{next(self.numbers)}"
        numbers = [next(self.numbers) for _ in range(JOB_IMAGES)]
        files = [("files", (f"{number}.jpg", small_jpeg(number, (16, 12)))) for number in numbers]
        self.intent = Intent(new_job=(key, files))
        self._acknowledge_job(self._post_job(key, files))

    def _post_job(self, key: str, files: list[Any]) -> str:
        response = self._send(
            "POST", "/v1/jobs", {202}, files=files, headers={"Idempotency-Key": key}
        )
        return str(response.json()["job_id"])

    def _acknowledge_job(self, job_id: str) -> None:
        self.jobs[job_id] = JobMemory({"going"})
        self._acknowledge("make job")

    def _cancel_job(self) -> None:
        job_id = self.moves.choice(sorted(self.jobs))
        self.intent = Intent(job=(job_id, "ended"))
        response = self._send("POST", f"/v1/jobs/{job_id}/cancel", {200})
        assert response.json()["state"] in {"cancelled", "finished"}
        self._acknowledge("cancel job")

    def _delete_job(self) -> None:
        job_id = self.moves.choice(sorted(self.jobs))
        self.intent = Intent(job=(job_id, "deleted"))
        self._send("DELETE", f"/v1/jobs/{job_id}", {204})
        self._acknowledge("delete job")

    def _read_results(self) -> None:
        self.check_job(self.moves.choice(sorted(self.jobs)))

    def _search(self) -> None:
        answer = self._ask()
        shown = {source["source_id"] for source in answer["sources"]}
        assert not shown & self.gone, "an answer shows what was deleted"
        assert shown == {self.ids[digest] for digest in self.held()}

    def _ask(self) -> dict[str, Any]:
        response = self._send(
            "POST", "/v1/attributions", {200},
            params={"collection": self.collection, "top_k": 100},
            files={"file": small_jpeg(self.moves.randrange(10**6), (16, 12))},
        )  # fmt: skip
        return dict(response.json())

    def _send(self, method: str, path: str, expected: set[int], **what: Any) -> httpx.Response:
        assert self._client is not None
        response = self._client.request(method, path, **what)
        assert response.status_code in expected, (method, path, response.text)
        return response

    def _acknowledge(self, what: str, ids: dict[str, str] | None = None) -> None:
        intent, self.intent = self.intent, Intent()
        self.ids.update(ids or {})
        for digest, title in intent.titles.items():
            self._now(digest, title)
        self.taken_down |= intent.taken_down
        if intent.job is not None:
            job_id, state = intent.job
            if state == "deleted":
                del self.jobs[job_id]
            else:
                self.jobs[job_id].states = {state}
        if intent.description is not None:
            self.description = intent.description
        self.acknowledged[what] += 1

    def _now(self, digest: str, title: str | None) -> None:
        if title is None and self.titles.get(digest) is not None:
            self.gone.add(self.ids.pop(digest))
        self.titles[digest] = title

    def _new_picture(self) -> str:
        data = small_jpeg(next(self.numbers))
        digest = hashlib.sha256(data).hexdigest()
        self.bytes[digest] = data
        return digest

    def _new_title(self) -> str:
        return f"{self.collection} {next(self.numbers)}"

    # Checking, after a restart

    def check(self, client: httpx.Client) -> None:
        """Everything acknowledged is there, nothing deleted is, and what was in doubt is whole."""
        self._client = client
        self._settle()
        intent, self.intent = self.intent, Intent()
        self._check_collection(intent)
        self._check_takedowns(intent)
        if intent.new_job is not None:
            # Whether it was accepted or not, sending it again under its key makes one job of it.
            again = self._post_job(*intent.new_job)
            assert self._post_job(*intent.new_job) == again
            self._acknowledge_job(again)
        if intent.job is not None:
            self._settle_job(*intent.job)
        for job_id in list(self.jobs):
            self.check_job(job_id)
        self._search()
        for source_id in self._some(self.gone):
            self._send("GET", f"/v1/sources/{source_id}", {404})
            self._send("GET", f"/v1/sources/{source_id}/thumbnail", {404})
        for digest in self._some(self.held()):
            self._send("GET", f"/v1/sources/{self.ids[digest]}/thumbnail", {200})

    def _settle(self) -> None:
        listed = {source["sha256"]: source for source in self._list()}
        shown = {digest: source["title"] for digest, source in listed.items()}
        before = {digest: title for digest, title in self.titles.items() if title is not None}
        after = {
            digest: title
            for digest, title in (self.titles | self.intent.titles).items()
            if title is not None
        }
        assert shown in (before, after), _difference(shown, before, after)
        for digest, source in listed.items():
            assert source["source_id"] not in self.gone, "what was deleted has returned"
            assert source["source_id"] == self.ids.get(digest, source["source_id"])
            assert source["metadata"] == {"n": source["title"]}, "half of a change"
            self.ids[digest] = source["source_id"]
        if shown == after:
            for digest, title in self.intent.titles.items():
                self._now(digest, title)

    def _list(self) -> Iterator[dict[str, Any]]:
        page = self._send(
            "GET", "/v1/sources", {200}, params={"collection": self.collection, "limit": 1000}
        ).json()
        assert page["next_cursor"] is None
        yield from page["items"]

    def _check_collection(self, intent: Intent) -> None:
        shown = self._send("GET", f"/v1/collections/{self.collection}", {200}).json()
        assert shown["description"] in {self.description, intent.description}
        assert shown["sources"] == len(self.held())
        self.description = shown["description"]

    def _check_takedowns(self, intent: Intent) -> None:
        # One transaction deletes and buries: what is in doubt is taken down if it is gone.
        self.taken_down |= {d for d in intent.taken_down if self.titles.get(d) is None}
        for digest in self._some(self.taken_down) + sorted(intent.taken_down & self.taken_down):
            self._add_bytes(digest, {409})

    def _settle_job(self, job_id: str, state: str) -> None:
        response = self._send("GET", f"/v1/jobs/{job_id}", {200, 404})
        if response.status_code == 404:
            assert state == "deleted", "a job that nobody deleted is gone"
            del self.jobs[job_id]
        elif response.json()["state"] == "cancelled":
            self.jobs[job_id].states = {"ended"}

    def check_job(self, job_id: str, *, finished: bool = False) -> None:
        """Its results are those read before, and perhaps some that follow, each image once."""
        memory = self.jobs[job_id]
        job = self._send("GET", f"/v1/jobs/{job_id}", {200}).json()
        if memory.states == {"ended"}:
            assert job["state"] in {"cancelled", "finished"}, "a job that ended goes on"
        else:
            assert job["state"] in {"queued", "running", "finished"}, "nobody cancelled this job"
        response = self._send("GET", f"/v1/jobs/{job_id}/results", {200})
        results = [json.loads(line) for line in response.text.splitlines()]
        for result in results:
            result.pop("attribution")  # raises where it is a problem; sources may be deleted since
            result.pop("q_value")  # there is one once every image of the job has ended
        assert results[: len(memory.results)] == memory.results, "a result that was read is gone"
        assert [result["sequence"] for result in results] == list(range(1, len(results) + 1))
        assert len({result["index"] for result in results}) == len(results), "an image twice"
        memory.results = results
        if finished and memory.states == {"going"}:
            assert len(results) == JOB_IMAGES, f"{job_id} has lost an image"

    def job_is_over(self, client: httpx.Client, job_id: str) -> bool:
        return client.get(f"/v1/jobs/{job_id}").json()["state"] in {"cancelled", "finished"}

    def _some(self, names: Any) -> list[str]:
        names = sorted(names)
        return self.moves.sample(names, min(2, len(names)))


def _metadata(title: str) -> str:
    return json.dumps({"title": title, "metadata": {"n": title}})


def _difference(shown: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> str:
    lost = {digest: title for digest, title in before.items() if digest not in shown | after}
    return f"listed {len(shown)}: {shown}\nexpected {before}\nor {after}\nlost: {lost}"
