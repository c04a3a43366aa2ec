"""A report of an answer with two sources, and keys to sign it with."""

import pytest

from attribution.report.document import Report
from attribution.report.signing import SigningKey, new_key
from tests.support.answers import attribution, report_of


@pytest.fixture
def report() -> Report:
    return report_of(attribution())


@pytest.fixture(scope="session")
def key(tmp_path_factory) -> SigningKey:
    return new_key(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory) -> SigningKey:
    return new_key(tmp_path_factory.mktemp("keys") / "other.pem")
