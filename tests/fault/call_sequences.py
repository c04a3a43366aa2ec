"""Sequences of calls by the API's own description, each made of what earlier ones returned.

No answer is a server error, and each has a shape that the description promises.
"""

import contextlib

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition

from tests.fault.service_process import ServiceProcess
from tests.support.conformance import CHECKS
from tests.support.pictures import small_jpeg

QUIET = {"query_rate": 0, "curate_rate": 0, "admin_rate": 0, "job_retention_hours": 0.01}


def check(
    service: ServiceProcess, *, examples: int, steps: int, derandomize: bool = False
) -> set[str]:
    """Run sequences of at most so many calls; the operations that were called."""
    service.client.put("/v1/collections/art")
    for number in range(3):
        service.client.post("/v1/sources", files={"file": small_jpeg(number)})
    api = schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")
    called: set[str] = set()
    begun = 0

    class Calls(api.as_state_machine()):  # type: ignore[misc]
        def setup(self):
            nonlocal begun
            begun += 1

        def validate_response(self, response, case, additional_checks=None, **kwargs):
            called.add(case.operation.label)
            case.validate_response(response, checks=CHECKS)

    while begun < examples:
        # The service remembers earlier sequences, so the beginning of one, sent again, may be
        # answered in another way: a surprise to Hypothesis, which then begins anew.
        with contextlib.suppress(FlakyStrategyDefinition):
            Calls.run(
                settings=settings(
                    max_examples=examples - begun,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    derandomize=derandomize,
                    phases=[Phase.explicit, Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
            )
    assert service.client.get("/readyz").status_code == 200
    return called
