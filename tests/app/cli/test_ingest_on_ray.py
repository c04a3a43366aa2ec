"""`attribution ingest --engine ray` on a real Ray of this machine, also when it is killed."""

import io
import json
import os
import socket
import tarfile

import numpy as np
import pytest

from attribution.catalog import Catalog, SourceFilter
from tests.support.pictures import draw, jpeg, picture
from tests.support.waiting import wait_for

pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'attribution[ray]'")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

LONGEST = 600.0
"""Seconds: Ray starts a dozen processes, which have to share whatever cores there are."""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on: with ports of its own choice Ray gives up after 15 seconds."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray with room for two workers, and for one that reads tar files."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster  # noqa: PLC0415  # reads the variables

        names = (
            "metrics_agent_port",
            "metrics_export_port",
            "dashboard_agent_listen_port",
            "runtime_env_agent_port",
        )
        ports = dict(zip(names, free_ports(4), strict=True))
        head = {"num_cpus": 3, "include_dashboard": False, "no_monitor": True, **ports}
        started = Cluster(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", started.address)
        yield started.address
        started.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, a file that is none, and a tar file of three with what is said of them."""
    folder = draw(tmp_path_factory.mktemp("photographs") / "of", range(12))
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for seed in range(100, 103):
            said = {"title": f"Number {seed}", "license": "CC0-1.0", "camera": "none"}
            for name, data in (
                (f"{seed}.jpg", jpeg(picture(seed))),
                (f"{seed}.json", json.dumps(said).encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return folder


def contents(data):
    """What is said of each source, its preview and its row, by sha256."""
    with Catalog.open(data) as catalog:
        [model_id] = catalog.models()
        return {
            source.sha256: (
                (source.uri, source.title, source.licence, dict(source.metadata)),
                (source.width, source.height, source.format, catalog.preview(source.source_id)),
                catalog.embeddings(model_id, [source.vector_id])[0],
            )
            for source in catalog.sources(SourceFilter(), limit=100).items
        }


def test_what_a_killed_run_left_is_done_by_the_next_each_source_once(
    attribution, launch, cluster, folder, small_encoder, tmp_path
):
    data, address = tmp_path / "data", f"file://{folder}"
    plain_arguments = ("ingest", address, "--batch", 2, "--json", "--encoder", small_encoder)
    arguments = (*plain_arguments, "--engine", "ray", "--data", data)
    last = folder / "011.jpg"
    whole = last.read_bytes()
    last.unlink()
    os.mkfifo(last)  # whoever reads it waits for ever
    with Catalog.open(data) as catalog:
        first = launch(*arguments, "--workers", 1)
        wait_for(lambda: first.poll() is not None or catalog.generation() >= 4, timeout=LONGEST)
        assert first.poll() is None, first.communicate()
        first.kill()
        first.wait()
        held = catalog.generation()  # each is a source that was added
    assert 4 <= held <= 11
    last.unlink()
    last.write_bytes(whole)

    done = attribution(*arguments, "--workers", 2)
    assert done.code == 1, done.err
    report = done.document
    assert (report["added"], report["unchanged"]) == (15 - held, held)
    assert [each["path"] for each in report["skipped"]] == ["bad.jpg"]

    plain = attribution(*plain_arguments, "--data", tmp_path / "plain")
    assert plain.document["skipped"] == report["skipped"]
    ours, theirs = contents(data), contents(tmp_path / "plain")
    assert list(ours) == list(theirs)
    for sha256, (said, seen, row) in theirs.items():
        assert ours[sha256][:2] == (said, seen)
        np.testing.assert_allclose(ours[sha256][2], row, atol=1e-5)
    assert sum(said[1] is not None for said, _, _ in ours.values()) == 3
