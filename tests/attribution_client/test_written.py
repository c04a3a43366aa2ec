"""The client is what the description of the service makes of it, and can be read by a newer one."""

import importlib.util
from pathlib import Path

import pytest

from attribution_client import documents

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("client", ROOT / "docs" / "client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def description(writer):
    return writer.described()


def test_it_is_up_to_date_with_the_description(writer, description):
    for path, text in writer.files(description).items():
        assert path.read_text() == text, "run `make client`"


def test_every_operation_is_a_method_of_both_clients(description):
    from attribution_client import AsyncClient, Client  # noqa: PLC0415

    names = {
        operation["operationId"]
        for methods in description["paths"].values()
        for operation in methods.values()
    }
    assert len(names) >= 25
    assert [name for name in names if not callable(getattr(Client, name, None))] == []
    assert [name for name in names if not callable(getattr(AsyncClient, name, None))] == []


def test_what_it_has_not_been_taught_is_refused_by_name(writer):
    with pytest.raises(writer.UnknownConstruct, match="prefixItems"):
        writer._type({"prefixItems": [{"type": "string"}]})


def test_members_and_values_of_a_newer_service_are_kept():
    read = documents.Calibration.model_validate({"id": None, "state": "resting", "since": 3})
    assert read.model_dump() == {"id": None, "state": "resting", "since": 3}
