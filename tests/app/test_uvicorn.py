"""What `app.server` takes from inside uvicorn, which uvicorn has promised to nobody."""

import asyncio

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


async def _answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def _after_one_request(config: uvicorn.Config) -> H11Protocol:
    made = []

    def connected():
        made.append(H11Protocol(config=config, server_state=ServerState(), app_state={}))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 204")
        writer.close()
        await writer.wait_closed()
    return made[0]


def test_the_installed_uvicorn_has_what_the_limits_of_connections_lean_on():
    config = uvicorn.Config(_answer, log_config=None, lifespan="off")
    connection = asyncio.run(_after_one_request(config))
    wanted = [
        (connection, "conn connections cycle flow loop resume_writing send_400_response transport"),
        (getattr(connection, "conn", None), "their_state"),
        (getattr(connection, "cycle", None), "response_complete response_started"),
        (getattr(connection, "flow", None), "write_paused"),
        (uvicorn.Server(config), "should_exit started"),
    ]
    missing = [
        f"{type(thing).__name__}.{name}"
        for thing, names in wanted
        for name in names.split()
        if not hasattr(thing, name)
    ]
    assert not missing, (
        f"uvicorn {uvicorn.__version__} has no {', '.join(missing)}, on which app/server.py leans: "
        "see in uvicorn/protocols/http/h11_impl.py what does that work now and change "
        "LimitedProtocol, or keep uvicorn below this version in pyproject.toml"
    )
