"""A key limited to collection `a` cannot tell a catalog with a collection `b` from one without.

Two services get the same requests from such a key. In one of them there is nothing else; in the
other `b` exists, holds copies of what `a` is sent and of what it asks about, and is written to
between the requests. Every answer, and every statement put to the database for it, must be the
same.
"""

import base64
import hashlib
import itertools
import json
import re
import threading
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from app.reports import REPORT_JSON
from app.settings import Settings
from attribution.calibration.shares.newest import NewestShares
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import wait_for

HELD = range(1, 9)
ASKED = (2, 777)
# What differs between any two services, whatever they hold.
OWN = ("request_id", "timings_ms", "created_at", "updated_at", "epoch", "started_at", "ended_at",
       "expires_at")  # fmt: skip


@dataclass
class World:
    """A service, a client with a limited key, and what else goes on."""

    served: object
    token: str
    elsewhere: bool
    names: dict[str, str] = field(default_factory=dict)
    foreign: list[dict] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    recording: bool = False

    def meanwhile(self, seed: int) -> None:
        """Something happens in `b`, where there is one."""
        if not self.elsewhere:
            return
        self.admin("PUT", "/v1/collections/b", json={"description": str(seed)})
        for number in (seed, seed + 100):
            added = self.admin(
                "POST", "/v1/sources?collection=b", files={"file": jpeg(picture(number))}
            )
            self.foreign.append(added.json()["source"])
        gone = self.foreign.pop(0)["source_id"]
        assert self.admin("DELETE", f"/v1/sources/{gone}").status_code == 200

    def admin(self, method, path, **sent):
        key = self.served.admin_token
        headers = {"Authorization": f"Bearer {key}"}
        return self.served.client.request(method, path, headers=headers, **sent)

    def ask(self, method, path, **sent):
        """What the limited key is told, without what differs between any two services."""
        headers = {"Authorization": f"Bearer {self.token}", **sent.pop("headers", {})}
        self.recording = True
        response = self.served.client.request(method, path, headers=headers, **sent)
        self.recording = False
        kept = {
            name: self.plain(response.headers[name])
            for name in ("content-type", "location", "etag", "allow", "www-authenticate",
                         "ratelimit-limit", "ratelimit-policy", "cache-control")
            if name in response.headers
        }  # fmt: skip
        return response.status_code, kept, self.body(response)

    def body(self, response):
        kind = response.headers.get("content-type", "")
        if kind.startswith("image/"):
            return hashlib.sha256(response.content).hexdigest()
        if "json" in kind and "jsonl" not in kind:
            return self.without_own(response.json())
        return self.plain(response.text)

    def without_own(self, value):
        if isinstance(value, dict):
            return {
                key: (item is not None) if key == "next_cursor" else self.without_own(item)
                for key, item in value.items()
                if key not in OWN
            }
        if isinstance(value, list):
            return [self.without_own(item) for item in value]
        return self.plain(value) if isinstance(value, str) else value

    def plain(self, text):
        """Ids are random: the first that is met is called the first in both worlds."""
        found = re.compile(r"(src|job|req)_[a-z0-9]{8,}")
        return found.sub(lambda match: self.names.setdefault(match[0], f"{len(self.names)}"), text)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory, encoder, background):
    def world():
        settings = Settings(data=tmp_path_factory.mktemp("world"), inference_threads=1)
        return serving(settings, encoder, background)

    with world() as first, world() as second:
        made = []
        for served, elsewhere in ((first, False), (second, True)):
            keys = served.service.catalog.keys
            served.admin_token = keys.create("admin", ["admin"]).token
            limited = keys.create("limited", ["query", "curate"], collections=["a", "c"])
            made.append(World(served, limited.token, elsewhere))
            record_statements(made[-1])
        yield tuple(made)


def record_statements(world):
    """Statements of the limited key's requests, which run on worker threads of the server."""

    def note(_connection, _cursor, statement, *_):
        if world.recording and threading.current_thread().name.startswith("AnyIO"):
            world.statements.append(statement)

    engine = world.served.service.catalog._database._engine
    sa.event.listen(engine, "before_cursor_execute", note)


def foreign_id(world):
    """The id of a source of `b`, or one that never was."""
    return world.foreign[-1]["source_id"] if world.foreign else "src_" + "a" * 20


def requests(world):
    """What the limited key does, in order; each item is one answer."""
    yield world.ask("GET", "/v1/collections")
    yield world.ask("PUT", "/v1/collections/a", json={"description": "mine"})
    world.meanwhile(3)
    for name in ("a", "b", "c", "default"):
        yield world.ask("GET", f"/v1/collections/{name}")
    for name in ("b", "default", "zzz"):
        yield world.ask("PUT", f"/v1/collections/{name}", json={"description": "x"})
        yield world.ask("DELETE", f"/v1/collections/{name}")
        yield world.ask("POST", f"/v1/sources?collection={name}", files={"file": jpeg(picture(3))})
        files = [("files", jpeg(picture(3)))]
        yield world.ask("POST", f"/v1/sources/batch?collection={name}", files=files)
        yield world.ask("POST", f"/v1/attributions?collection={name}", files={"file": b"x"})
    for seed in HELD:
        if seed % 4 == 0:
            world.meanwhile(seed)
        file = {"file": (f"{seed}.jpg", jpeg(picture(seed)))}
        yield world.ask("POST", "/v1/sources?collection=a", files=file)
    yield world.ask("POST", "/v1/sources?collection=a", files={"file": jpeg(picture(4))})
    batch = [("files", (f"{seed}.jpg", jpeg(picture(seed)))) for seed in (4, 104, 20)]
    yield world.ask("POST", "/v1/sources/batch?collection=a", files=batch)
    yield from reading(world)
    world.meanwhile(30)
    yield from changing(world)
    yield from reading(world)


def reading(world):
    for seed in ASKED:
        file = {"file": variation(seed)}
        yield world.ask("POST", "/v1/attributions?top_k=100", files=file)
        yield world.ask("POST", "/v1/attributions?top_k=5&collection=a", files=file)
        yield world.ask("POST", "/v1/attributions?collection=a&collection=b", files=file)
        yield world.ask("POST", "/v1/attributions?collection=c", files=file)
        for form in (REPORT_JSON, "application/json"):
            path, headers = "/v1/attributions?top_k=4&explain=true", {"Accept": form}
            yield world.ask("POST", path, files=file, headers=headers)
    files = [("files", variation(seed)) for seed in ASKED]
    yield world.ask("POST", "/v1/attributions/batch?top_k=3&min_generation=5", files=files)
    yield world.ask("POST", "/v1/attributions?min_generation=4000", files={"file": variation(1)})
    yield world.ask("GET", "/v1/index")
    yield world.ask("GET", "/v1/collections")
    yield world.ask("GET", "/v1/sources?limit=3")
    yield world.ask("GET", "/v1/sources?collection=b")
    yield world.ask("GET", "/v1/sources?collection=a&collection=b")
    digest = hashlib.sha256(jpeg(picture(103))).hexdigest()
    yield world.ask("GET", f"/v1/sources?sha256={digest}")
    yield world.ask("GET", "/v1/sources?copies=true")
    yield world.ask("GET", "/v1/sources?text=JPG&order=newest&limit=3")
    yield world.ask("GET", "/v1/sources/export")
    yield world.ask("GET", "/v1/sources/export?collection=b")
    yield world.ask("GET", "/metrics")
    yield world.ask("POST", "/v1/index/snapshot")


def changing(world):
    its = f"/v1/sources/{foreign_id(world)}"
    world.plain(its)
    yield world.ask("GET", its)
    yield world.ask("GET", f"{its}/thumbnail")
    yield world.ask("GET", f"{its}/thumbnail", headers={"If-None-Match": "*"})
    yield world.ask("PATCH", its, json={"title": "mine now"}, headers={"If-Match": '"7"'})
    yield world.ask("PATCH", its, json={"title": "mine now"})
    yield world.ask("DELETE", its)
    ids = [foreign_id(world)]
    yield world.ask("POST", "/v1/sources/delete", json={"source_ids": ids})
    digests = [hashlib.sha256(jpeg(picture(number))).hexdigest() for number in (30, 130, 20)]
    yield world.ask("POST", "/v1/sources/delete", json={"sha256s": digests})
    body = {"sha256s": digests, "takedown": True, "reason": "x"}
    yield world.ask("POST", "/v1/sources/delete", json=body)
    world.meanwhile(40)
    yield world.ask("PUT", "/v1/collections/c")
    yield world.ask("DELETE", "/v1/collections/c")


def test_no_answer_depends_on_what_others_hold(worlds):
    alone, beside = worlds
    pairs = list(itertools.zip_longest(requests(alone), requests(beside)))
    assert len(pairs) > 80
    for number, (expected, told) in enumerate(pairs):
        assert told == expected, f"answer {number}"
    statuses = {status for (status, *_), _ in pairs}
    assert {200, 201, 403, 404, 409} <= statuses
    decisions = json.dumps([body for (_, _, body), _ in pairs])
    assert '"attributed"' in decisions
    assert '"no_source_found"' in decisions
    assert beside.foreign, "the world in which others live"
    shown = beside.served.client.get(
        "/v1/sources", headers={"Authorization": f"Bearer {beside.token}"}
    ).json()
    assert {source["collection"] for source in shown["items"]} == {"a"}


def test_an_unlimited_key_does_tell_them_apart(worlds):
    told = [world.admin("GET", "/v1/index").json() for world in worlds]
    assert told[0]["vectors"] < told[1]["vectors"]
    assert told[0]["generation"] < told[1]["generation"]
    assert all(each["calibration"]["recent"] is not None for each in told)
    limited = [world.ask("GET", "/v1/index")[2] for world in worlds]
    assert [each["calibration"]["recent"] for each in limited] == [None, None]


def test_no_statement_depends_on_what_others_hold(worlds, monkeypatch):
    # Once in some seconds, whoever asks then: the clock says when, not what others hold.
    monkeypatch.setattr(NewestShares, "_look", lambda _: None)
    # Once, so that what is kept from the first time is kept in both.
    for world in worlds:
        list(reading(world))
    put = []
    for world in worlds:
        world.meanwhile(50)
        file = {"file": ("60.jpg", jpeg(picture(60)))}
        world.statements.clear()
        world.ask("POST", "/v1/sources?collection=a", files=file)
        list(itertools.chain(reading(world), changing(world)))
        put.append(list(world.statements))
    assert len(put[0]) > 100
    assert put[0] == put[1]


def test_a_cursor_does_not_number_the_sources_of_others(worlds):
    raw = []
    for world in worlds:
        headers = {"Authorization": f"Bearer {world.token}"}
        page = world.served.client.get("/v1/sources?limit=2", headers=headers).json()
        raw.append(base64.urlsafe_b64decode(page["next_cursor"]))
        following = world.served.client.get(
            "/v1/sources", params={"limit": 2, "cursor": page["next_cursor"]}, headers=headers
        ).json()
        assert {source["source_id"] for source in following["items"]}.isdisjoint(
            source["source_id"] for source in page["items"]
        )
    assert raw[0] != raw[1]
    assert all(len(cursor) == 18 for cursor in raw)


def test_a_job_is_its_makers_alone_and_counts_as_its_maker_does(worlds):
    _, world = worlds
    client, keys = world.served.client, world.served.service.catalog.keys
    maker, other, admin = (
        {"Authorization": f"Bearer {token}"}
        for token in (
            world.token,
            keys.create("other", ["query", "curate"]).token,
            world.served.admin_token,
        )
    )
    made = client.post("/v1/jobs", headers=maker, files=[("files", variation(2))])
    assert made.status_code == 202, made.text
    path = made.headers["location"]
    wait_for(lambda: client.get(path, headers=maker).json()["state"] == "finished")
    results = f"{path}/results"
    [line] = client.get(results, headers=maker).text.splitlines()
    answer = json.loads(line)["attribution"]
    assert {source["collection"] for source in answer["sources"]} == {"a"}
    assert answer["index_generation"] == world.ask("GET", "/v1/index")[2]["generation"]
    [line] = client.get(results, headers=admin).text.splitlines()
    assert json.loads(line)["attribution"]["index_generation"] > answer["index_generation"]
    listed = [
        [job["job_id"] for job in client.get("/v1/jobs", headers=headers).json()["items"]]
        for headers in (maker, other, admin)
    ]
    assert listed == [[path[9:]], [], [path[9:]]]
    for method, asked in (("GET", path), ("GET", results), ("POST", f"{path}/cancel"),
                          ("DELETE", path)):  # fmt: skip
        told = client.request(method, asked, headers=other)
        never = client.request(method, asked.replace(path, "/v1/jobs/job_never"), headers=other)
        assert told.status_code == never.status_code == 404
        assert never.json()["detail"] == told.json()["detail"].replace(path[9:], "job_never")
    assert client.delete(path, headers=maker).status_code == 204
