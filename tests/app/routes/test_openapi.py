"""The API against its own description: generated requests, no server error, true responses."""

import re

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.pictures import jpeg, picture


@pytest.fixture(scope="module")
def api(shared):
    import schemathesis  # noqa: PLC0415 (takes a second)

    shared.client.put("/v1/collections/art")
    for seed in range(3):
        shared.add(seed)
    return schemathesis.openapi.from_url(f"{shared.url}/openapi.json")


def test_generated_requests_are_answered_as_described(api, shared):
    from tests.support.conformance import CHECKS  # noqa: PLC0415

    known = shared.client.get("/v1/sources").json()["items"][0]["source_id"]
    job = shared.client.post("/v1/jobs", files={"files": jpeg(picture(1))}).json()["job_id"]
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) >= 20
    for operation in operations:
        strategy = operation.as_strategy()

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def check(case):
            if case.path_parameters and "source_id" in case.path_parameters:
                case.path_parameters["source_id"] = known
            if case.path_parameters and "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = job
            case.call_and_validate(checks=CHECKS)

        check()


def test_the_examples_of_the_description_fit_their_schemas(api):
    schema = api.raw_schema
    components = schema["components"]
    for name, component in components["schemas"].items():
        for example in component.get("examples", []):
            jsonschema_rs.validate({**component, "components": components}, example)
            assert re.match(r"[A-Z]", name)


def test_a_valid_upload_by_the_description_is_accepted(shared):
    assert shared.client.post(
        "/v1/sources", files={"file": jpeg(picture(50))}
    ).status_code == 201  # fmt: skip
