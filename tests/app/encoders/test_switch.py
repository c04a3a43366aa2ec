"""A live catalog moves to another encoder and back: no gap, no wrong answer, no source lost."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from app.encoders.switch import Switch
from app.settings import Settings
from attribution.calibration.shares.model import KIND, ShareModel
from attribution.catalog import Catalog, CoverageIncomplete, RegisteredEncoder
from attribution.index import IndexUnavailable
from attribution.maintenance import fill_embeddings
from attribution.opening.background import extension_path, save_extension
from models import load_encoder
from models.background import Background, thumbnail
from tests.support.clients import client as new_client
from tests.support.encoders import make_encoder
from tests.support.milvus import require
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving
from tests.support.waiting import PATIENCE, wait_for

SOURCES = 12


@dataclass(frozen=True)
class Pair:
    """Two encoders on the disk, and the settings of a service that begins with the first."""

    settings: Settings
    old: RegisteredEncoder
    new: RegisteredEncoder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return folder, make_encoder(folder / "old", 1), make_encoder(folder / "new", 2)


@pytest.fixture
def pair(folders, tmp_path) -> Pair:
    kept, old, new = folders
    shutil.copytree(kept, tmp_path / "encoders")
    place = tmp_path / "encoders"
    settings = Settings(
        data=tmp_path / "data",
        encoder=str(place / "old"),
        inference_threads=1,
        follow_seconds=0.1,
    )
    return Pair(
        settings,
        RegisteredEncoder(old, str(place / "old"), None),
        RegisteredEncoder(new, str(place / "new"), None),
    )


@pytest.fixture(scope="module")
def filled(folders, tmp_path_factory):
    """The data folder that a service with the first encoder leaves behind."""
    place, *_ = folders
    settings = Settings(
        data=tmp_path_factory.mktemp("filled") / "data",
        encoder=str(place / "old"),
        inference_threads=1,
    )
    with serving(settings, None) as running:
        for seed in range(SOURCES):
            running.add(seed)
    return settings.data


@pytest.fixture
def served(pair, filled) -> Iterator[Running]:
    shutil.copytree(filled, pair.settings.data, ignore=lambda *_: {"service.lock", "index"})
    with serving(pair.settings, None) as running:
        yield running


def prepare(pair: Pair, catalog: Catalog) -> None:
    """What `attribution reembed NEW` does."""
    catalog.encoders.register(pair.old)
    catalog.encoders.activate(pair.old.model_id)
    catalog.encoders.register(pair.new)
    fill_embeddings(catalog, load_encoder(pair.new.name))


def loaded(served: Running, model_id: str) -> bool:
    return any(
        row["model_id"] == model_id and row["loaded"]
        for row in served.client.get("/v1/index").json()["encoders"]
    )


def serves(served: Running) -> str:
    return served.client.get("/v1/index").json()["model_id"]


def calibration(served: Running) -> dict:
    return served.client.get("/v1/index").json()["calibration"]


@dataclass
class Asking:
    """Answers to questions asked one after the other, with hardly a pause between them."""

    url: str
    answers: list[dict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return len(self.answers) + len(self.failures)

    def run(self, stop: threading.Event) -> None:
        turn = 0
        with new_client(self.url, timeout=PATIENCE) as client:
            while not stop.is_set():
                seed = turn % SOURCES
                turn += 1
                response = client.post("/v1/attributions", files={"file": variation(seed)})
                if response.status_code != 200:
                    self.failures.append(response.text)
                    continue
                self.answers.append({**response.json(), "asked": f"{seed}.jpg"})
                stop.wait(0.02)  # the service has more to do than this


@contextmanager
def asked_all_the_time(served: Running, clients: int = 2) -> Iterator[list[Asking]]:
    stop = threading.Event()
    asking = [Asking(served.url) for _ in range(clients)]
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in asking]
    for thread in threads:
        thread.start()
    try:
        yield asking
        heard(asking)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def heard(asking: list[Asking]) -> None:
    """Wait until each has asked and been answered once more, from now on."""
    told = [one.answered + 2 for one in asking]  # the first may have been under way
    wait_for(lambda: all(one.answered >= wanted for one, wanted in zip(asking, told, strict=True)))


def right_throughout(
    one: Asking, null_of: dict[str, str], encoders: list[RegisteredEncoder]
) -> None:
    """Every answer was given, and is that of the encoder whose turn it was."""
    assert one.failures == []
    order = [answer["model_id"] for answer in one.answers]
    runs = [name for at, name in enumerate(order) if at == 0 or order[at - 1] != name]
    assert runs == [encoder.model_id for encoder in encoders]
    generations = [answer["index_generation"] for answer in one.answers]
    assert generations == sorted(generations), "no answer knows less than one before it"
    for answer in one.answers:
        assert answer["sources"][0]["uri"] == answer["asked"]
        assert answer["sources"][0]["attributed"] is True
        assert answer["calibration"] == {"id": null_of[answer["model_id"]], "state": "fresh"}


def test_there_and_back_without_a_gap_and_without_a_wrong_answer(pair, served):
    catalog = served.service.catalog
    ids = {pair.old.model_id: serves(served)}
    assert ids[pair.old.model_id] == pair.old.model_id
    null_of = {}
    with asked_all_the_time(served) as asking:
        prepare(pair, catalog)
        heard(asking)
        null_of[pair.old.model_id] = calibration(served)["id"]
        for seed, encoder in ((100, pair.new), (101, pair.old), (102, pair.new)):
            catalog.encoders.activate(encoder.model_id)
            served.add(seed)  # in the middle of the change
            wait_for(lambda wanted=encoder.model_id: serves(served) == wanted)
            null_of[encoder.model_id] = calibration(served)["id"]
            heard(asking)
    for one in asking:
        right_throughout(one, null_of, [pair.old, pair.new, pair.old, pair.new])
    assert null_of[pair.old.model_id] != null_of[pair.new.model_id]
    for encoder in (pair.old, pair.new):
        assert catalog.encoders.coverage(encoder.model_id).full


def test_of_several_processes_each_follows_and_none_answers_by_the_wrong_encoder(pair, tmp_path):
    require()
    several = pair.settings.model_copy(
        update={"index_url": str(tmp_path / "vectors.db"), "generation_wait_seconds": 60.0}
    )
    with ExitStack() as stack:
        indexer, *readers = every = [
            stack.enter_context(serving(several.model_copy(update={"role": role}), None))
            for role in ("indexer", "api", "worker")
        ]
        catalog = indexer.service.catalog
        added = [readers[0].add(seed) for seed in range(SOURCES)][-1]
        for one in readers:
            one.ask(variation(1), min_generation=added["generation"])
        null_of = {pair.old.model_id: calibration(indexer)["id"]}
        asking = [stack.enter_context(asked_all_the_time(one, 1))[0] for one in readers]
        prepare(pair, catalog)
        wait_for(lambda: all(loaded(one, pair.new.model_id) for one in every))
        for encoder in (pair.new, pair.old):
            catalog.encoders.activate(encoder.model_id)
            added = readers[0].add(100)  # in the middle of the change
            wait_for(lambda wanted=encoder.model_id: {serves(one) for one in every} == {wanted})
            null_of[encoder.model_id] = calibration(indexer)["id"]
            seen = readers[1].ask(variation(100), min_generation=added["generation"])
            assert (seen["model_id"], seen["sources"][0]["uri"]) == (encoder.model_id, "100.jpg")
            heard(asking)
        add_background(pair, range(30_000, 30_150))
        before = null_of[pair.old.model_id]
        wait_for(lambda: all(calibration(one)["id"] != before for one in every))
        assert len({calibration(one)["id"] for one in every}) == 1
        heard(asking)
    for one in asking:
        extended = [answer for answer in one.answers if answer["calibration"]["id"] not in
                    null_of.values()]  # fmt: skip
        assert extended
        assert extended == one.answers[-len(extended) :], "never back"
        assert {answer["calibration"]["state"] for answer in extended} == {"fresh"}
        one.answers = one.answers[: -len(extended)]
        right_throughout(one, null_of, [pair.old, pair.new, pair.old])


def test_what_is_answered_after_the_change_is_what_a_new_start_answers(pair, served):
    prepare(pair, served.service.catalog)
    fitted = ShareModel(offset=-5.0, scale=20.0, exponent=0.2)  # of one encoder, not of both
    served.service.catalog.calibrations.add(pair.new.model_id, KIND, fitted.parameters, {})
    assert calibration(served)["shares"] == "default"
    served.service.catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: serves(served) == pair.new.model_id)
    assert calibration(served)["shares"] == "fitted"
    kept = ("model_id", "decision", "p_value", "sources", "calibration", "other_share")
    asked = [variation(3), variation(500)]
    changed = [{key: served.ask(data)[key] for key in kept} for data in asked]
    served.service.snapshots.save()
    settings = pair.settings.model_copy(update={"data": pair.settings.data.with_name("copy")})
    shutil.copytree(pair.settings.data, settings.data, ignore=lambda *_: {"service.lock"})
    with serving(settings, None) as again:
        assert [{key: again.ask(data)[key] for key in kept} for data in asked] == changed


def add_background(pair: Pair, pictures: range) -> None:
    """What `attribution calibrate --background` does."""
    encoder = load_encoder(pair.old.name)
    images = [picture(seed) for seed in pictures]
    rows = encoder.encode(images, domain="query")
    thumbnails = np.stack([thumbnail(image) for image in images])
    save_extension(pair.settings.data, Background(encoder.model_id, rows, thumbnails))


def test_a_background_that_is_added_serves_without_a_gap_and_is_undone_with_its_file(pair, served):
    before = calibration(served)
    with asked_all_the_time(served) as asking:
        add_background(pair, range(30_000, 30_200))
        wait_for(lambda: len(calibration(served)["background"]) == 2)
        extended = calibration(served)
        served.add(200)
    for one in asking:
        assert one.failures == []
        ids = [answer["calibration"]["id"] for answer in one.answers]
        assert ids == sorted(ids, key=[before["id"], extended["id"]].index), "never back"
        assert all(answer["calibration"]["state"] == "fresh" for answer in one.answers)
        assert all(a["sources"][0]["uri"] == a["asked"] for a in one.answers)
    assert [row["stratum"] for row in extended["background"]] == ["photo", "added-photo"]
    path = extension_path(pair.settings.data, pair.old.model_id)
    path.write_bytes(b"damaged")
    time.sleep(0.5)
    assert calibration(served)["id"] == extended["id"]
    away = shutil.move(pair.old.name, f"{pair.old.name}-away")
    path.unlink()
    time.sleep(0.5)
    assert calibration(served)["id"] == extended["id"], "what shipped is not to be had"
    shutil.move(away, pair.old.name)
    add_background(pair, range(30_000, 30_020))
    wait_for(lambda: calibration(served)["id"] not in (before["id"], extended["id"]))
    assert [row["images"] for row in calibration(served)["background"]] == [170]
    path.unlink()
    wait_for(lambda: calibration(served)["id"] == before["id"])
    assert served.ask(variation(200))["sources"][0]["uri"] == "200.jpg"


def test_an_added_background_is_compared_once_at_a_start(pair, monkeypatch):
    add_background(pair, range(30_000, 30_020))
    with serving(pair.settings, None) as served:
        wait_for(lambda: all(taken.stamp for taken in served.service.switch._backgrounds.values()))
        assert (
            served.service.live().serving.calibration.id == calibration(served)["id"].split("-")[0]
        )
        assert not served.service.switch._retired


def test_new_sources_get_an_embedding_of_each_encoder(pair, served):
    prepare(pair, served.service.catalog)
    wait_for(lambda: loaded(served, pair.new.model_id))
    for seed in (50, 51):
        served.add(seed)
    batch = [("files", (f"{seed}.jpg", jpeg(picture(seed)))) for seed in (60, 61, 62)]
    assert served.client.post("/v1/sources/batch", files=batch).status_code == 200
    encoders = served.client.get("/v1/index").json()["encoders"]
    total = SOURCES + 5
    assert {row["model_id"]: (row["embedded"], row["sources"]) for row in encoders} == {
        pair.old.model_id: (total, total),
        pair.new.model_id: (total, total),
    }
    states = {row["model_id"]: (row["active"], row["serving"], row["name"]) for row in encoders}
    assert states[pair.old.model_id] == (True, True, "old")
    assert states[pair.new.model_id] == (False, False, "new")
    served.service.catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: serves(served) == pair.new.model_id)
    assert served.ask(variation(61))["sources"][0]["uri"] == "61.jpg"


def test_a_further_encoder_that_hangs_is_seen_as_the_first_would_be(pair, monkeypatch):
    free = threading.Event()
    with serving(pair.settings.model_copy(update={"hang_seconds": 0.3}), None) as served:
        served.add(1)
        prepare(pair, served.service.catalog)
        wait_for(lambda: loaded(served, pair.new.model_id))
        further = served.service.live().companions[pair.new.model_id].encoder
        prepared = further.preprocess

        def hang(images):
            assert free.wait(PATIENCE)
            return prepared(images)

        monkeypatch.setattr(further, "preprocess", hang)
        adding = threading.Thread(target=served.add, args=(2,))
        adding.start()
        try:
            wait_for(lambda: "does not come back" in served.client.get("/readyz").text)
        finally:
            free.set()
            adding.join()
        wait_for(lambda: served.client.get("/readyz").status_code == 200)


def test_an_encoder_that_cannot_be_loaded_delays_activation_and_nothing_else(
    pair, served, monkeypatch
):
    monkeypatch.setattr("app.encoders.switch._RETRY_SECONDS", 0.1)
    catalog = served.service.catalog
    prepare(pair, catalog)
    wait_for(lambda: loaded(served, pair.new.model_id))
    elsewhere = shutil.move(pair.new.name, f"{pair.new.name}-elsewhere")
    moved = RegisteredEncoder(pair.new.model_id, f"{pair.new.name}-nowhere", None)
    catalog.encoders.drop(pair.new.model_id)
    wait_for(lambda: pair.new.model_id not in served.service.live().companions)
    catalog.encoders.register(moved)
    wait_for(lambda: served.service.live().failures)
    assert "cannot be loaded" in served.service.live().failures[pair.new.model_id]
    assert served.add(70)["created"]
    assert not catalog.encoders.coverage(pair.new.model_id).full
    with pytest.raises(CoverageIncomplete):
        catalog.encoders.activate(pair.new.model_id)
    assert served.ask(variation(70))["sources"][0]["uri"] == "70.jpg"
    catalog.encoders.register(RegisteredEncoder(pair.new.model_id, str(elsewhere), None))
    wait_for(lambda: loaded(served, pair.new.model_id))
    fill_embeddings(catalog, load_encoder(str(elsewhere)))
    assert catalog.encoders.activate(pair.new.model_id).active == pair.new.model_id
    wait_for(lambda: serves(served) == pair.new.model_id)


def test_a_service_without_the_active_encoder_goes_on_and_refuses_what_none_would_find(
    pair, served, monkeypatch
):
    monkeypatch.setattr("app.encoders.switch._RETRY_SECONDS", 0.1)
    catalog = served.service.catalog
    encoder = load_encoder(pair.new.name)
    hidden = shutil.move(pair.new.name, f"{pair.new.name}-hidden")
    catalog.encoders.register(pair.old)
    catalog.encoders.activate(pair.old.model_id)
    catalog.encoders.register(pair.new)
    fill_embeddings(catalog, encoder)
    catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: served.service.live().failures)
    answer = served.ask(variation(3))
    assert (answer["model_id"], answer["sources"][0]["uri"]) == (pair.old.model_id, "3.jpg")
    refused = served.client.post("/v1/sources", files={"file": jpeg(picture(80))})
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/catalog-unavailable"
    assert pair.new.model_id in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0
    shutil.move(hidden, pair.new.name)
    wait_for(lambda: serves(served) == pair.new.model_id)
    assert served.add(80)["created"]
    assert catalog.encoders.coverage(pair.old.model_id).full


def test_queries_go_on_while_many_sources_wait_for_the_active_encoder_to_load(
    pair, served, monkeypatch
):
    catalog, switch = served.service.catalog, served.service.switch
    began, free = threading.Event(), threading.Event()
    load = switch._load

    def slowly(encoder):
        began.set()
        assert free.wait(2 * PATIENCE)
        return load(encoder)

    monkeypatch.setattr(switch, "_load", slowly)
    prepare(pair, catalog)
    assert began.wait(PATIENCE)
    catalog.encoders.activate(pair.new.model_id)
    created = []
    adding = [
        threading.Thread(target=lambda at=at: created.append(served.add(at)["created"]))
        for at in range(200, 244)  # more than the 40 threads of the server
    ]
    try:
        for thread in adding:
            thread.start()
        wait_for(lambda: served.service.slots.taken == len(adding))
        time.sleep(1)  # until they have gone as far as they go
        assert served.ask(variation(3))["sources"][0]["uri"] == "3.jpg"
        assert created == []
    finally:
        free.set()
        for thread in adding:
            thread.join()
    assert created == [True] * len(adding)
    assert catalog.encoders.coverage(pair.new.model_id).full


def test_who_began_before_the_change_ends_as_it_began(pair, served):
    catalog = served.service.catalog
    prepare(pair, catalog)
    before = served.service.pinned()
    old_index = before.serving.index
    [row] = load_encoder(pair.old.name).encode([picture(4)], domain="query")[None]
    catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: serves(served) == pair.new.model_id)
    generation = served.add(90)["generation"]
    [answer] = before.serving.attributor.attribute(row)
    assert answer.model_id == pair.old.model_id
    assert answer.sources[0].source.uri == "4.jpg"
    wait_for(lambda: old_index.generation >= generation)
    assert count_threads("index-follower") == 2
    del before
    wait_for(lambda: count_threads("index-follower") == 1)
    assert served.service.serving.embedder.alive


def count_threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_a_job_goes_on_through_the_change(pair, served):
    prepare(pair, served.service.catalog)
    wait_for(lambda: loaded(served, pair.new.model_id))
    files = [("files", (f"{at}.jpg", variation(at % SOURCES))) for at in range(80)]
    location = served.client.post("/v1/jobs", files=files).headers["location"]
    served.service.catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: served.client.get(location).json()["state"] == "finished")
    wait_for(lambda: serves(served) == pair.new.model_id)
    state = served.client.get(location).json()
    assert (state["completed"], state["failed"]) == (80, 0)


def test_the_catalog_decides_at_a_start_and_the_settings_where_it_does_not(pair, served, caplog):
    assert serves(served) == pair.old.model_id
    assert served.client.get("/v1/index").json()["encoders"] == []
    prepare(pair, served.service.catalog)
    served.service.catalog.encoders.activate(pair.new.model_id)
    wait_for(lambda: serves(served) == pair.new.model_id)
    settings = pair.settings.model_copy(update={"data": pair.settings.data.with_name("copy")})
    shutil.copytree(pair.settings.data, settings.data, ignore=lambda *_: {"service.lock"})
    with serving(settings, None) as again:
        assert serves(again) == pair.new.model_id
        assert loaded(again, pair.old.model_id)
    assert "is used, not" in caplog.text


@pytest.mark.parametrize(("lease", "longest"), [(None, 30), (object(), 6)])
def test_who_holds_the_lease_tries_again_before_another_could_have_it(lease, longest):
    pauses = []

    class Stopping:
        def wait(self, pause):
            pauses.append(pause)
            return len(pauses) == 12

    def follow():
        raise IndexUnavailable("it does not answer")

    settings = Settings(follow_seconds=0.5, lease_seconds=6)
    Switch._work(
        SimpleNamespace(_settings=settings, _lease=lease, _stopping=Stopping(), follow=follow)
    )
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert max(pauses) == longest
