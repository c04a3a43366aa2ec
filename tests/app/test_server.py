"""Real processes: SIGTERM finishes what was accepted, and one that hangs ends itself."""

import json
import signal
import socket
import threading

import httpx
import pytest

from app.factory import open_app
from app.inference.watchdog import EXIT_CODE
from app.server import _listeners, run_beside
from attribution.opening.load import Vision
from tests.support.clients import NO_TLS, get
from tests.support.pictures import jpeg, picture, variation
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(**options):
        started.append(ServiceProcess(tmp_path, **options))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def results(service, location):
    lines = service.client.get(f"{location}/results").text.splitlines()
    return [json.loads(line) for line in lines]


def test_sigterm_finishes_the_request_and_the_next_start_the_job(start, tmp_path):
    service = start(pause=0.02)
    for seed in range(3):
        assert service.client.post("/v1/sources", files={"file": jpeg(picture(seed))}).is_success
    tiny = [jpeg(picture(seed, size=(16, 12))) for seed in range(120)]
    files = [("files", (f"{at}.jpg", data)) for at, data in enumerate(tiny)]
    location = service.client.post("/v1/jobs", files=files).headers["location"]
    wait_for(lambda: len(results(service, location)) >= 16)
    service.hold()
    answers = []

    def ask():
        answers.append(service.client.post("/v1/attributions", files={"file": variation(1)}))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: "attribution_images_in_flight 1.0" in service.client.get("/metrics").text)
    service.stop()

    def port_is_closed():
        try:
            get(f"{service.url}/livez", timeout=30)
        except httpx.TransportError:
            return True
        return False

    wait_for(port_is_closed)
    assert service.process.poll() is None, "it waits for the request"
    service.release()
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["sources"]
    # The server takes the signal up again once all is done, so that a supervisor sees why it ended.
    assert service.process.wait(120) in {0, -signal.SIGTERM}
    assert "Traceback" not in service.log
    assert (tmp_path / "data" / "index" / "CURRENT").is_file(), "the index was saved"

    again = start()
    assert again.client.get("/v1/index").json()["vectors"] == 3
    wait_for(lambda: again.client.get(location).json()["state"] == "finished")
    ended = results(again, location)
    assert [result["sequence"] for result in ended] == list(range(1, 121))
    assert sorted(result["index"] for result in ended) == list(range(120))
    assert all("attribution" in result for result in ended), "no attempt was lost on the way"


def test_a_hung_forward_pass_is_told_and_then_ends_the_process(start):
    service = start(ATTRIBUTION_HANG_SECONDS="0.5", ATTRIBUTION_HANG_EXIT_SECONDS="3")
    service.hold()
    asking = threading.Thread(target=_ask_in_vain, args=(service.url,))
    asking.start()

    def told():
        response = service.client.get("/readyz")
        return response.status_code == 503 and "come back" in response.json()["detail"]

    wait_for(told)
    assert service.client.get("/livez").status_code == 200
    assert service.process.wait(120) == EXIT_CODE
    asking.join()
    assert "has not come back for" in service.log
    assert "forward" in service.log, "where the threads were"


def test_a_process_that_hangs_while_it_stops_ends_nevertheless(start):
    service = start(ATTRIBUTION_HANG_EXIT_SECONDS="3", ATTRIBUTION_SHUTDOWN_SECONDS="1")
    service.hold()
    asking = threading.Thread(target=_ask_in_vain, args=(service.url,))
    asking.start()
    wait_for(lambda: "attribution_images_in_flight 1.0" in service.client.get("/metrics").text)
    service.stop()
    assert service.process.wait(120) == EXIT_CODE
    asking.join()


def _ask_in_vain(url):
    try:
        httpx.post(
            f"{url}/v1/attributions",
            files={"file": variation(1)},
            verify=NO_TLS,
            trust_env=False,
            timeout=120,
        )
    except httpx.TransportError:
        return


def test_any_address_of_ipv6_hears_ipv4_as_well(settings, encoder):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    everywhere = settings.model_copy(update={"host": "::", "port": 0, "unguarded": True})
    with open_app(everywhere, Vision(encoder, None)) as app, _listeners(everywhere) as listeners:
        [listener] = listeners
        port = listener.getsockname()[1]
        with run_beside(app, everywhere, listener, log_level="warning"):
            for host in ("127.0.0.1", "[::1]"):
                address = f"http://{host}:{port}/web/index.js"
                told = {"X-Forwarded-Prefix": "/images"}
                assert get(address).status_code == 200
                page = get(f"http://{host}:{port}/", headers=told)
                assert "/images/web/index.js" in page.text, "a neighbour in either family"


@pytest.mark.parametrize("proto", [0, socket.IPPROTO_TCP])
def test_a_body_does_not_wait_for_the_acknowledgement_of_its_head(settings, encoder, proto):
    """asyncio sees to it by itself only where a listener was made with the protocol TCP."""
    with (
        socket.socket(proto=proto) as listener,
        open_app(settings, Vision(encoder, None)) as app,
    ):
        listener.bind(("127.0.0.1", 0))
        with (
            run_beside(app, settings, listener, log_level="warning") as server,
            socket.create_connection(listener.getsockname()) as client,
        ):
            wait_for(lambda: server.server_state.connections)
            [connection] = server.server_state.connections
            held = connection.transport.get_extra_info("socket")
            assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            client.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "localhost", "images.example"])
def test_other_addresses_are_the_servers_own_business(settings, host):
    with _listeners(settings.model_copy(update={"host": host})) as listeners:
        assert listeners is None
