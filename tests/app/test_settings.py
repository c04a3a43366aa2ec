"""Settings: defaults, refusals, and documentation that is true."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import PREFIX, Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_variables_with_the_prefix_are_read(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_PORT", "9001")
    monkeypatch.setenv("ATTRIBUTION_LOG_LEVEL", "WARNING")
    settings = Settings()
    assert (settings.port, settings.log_level) == (9001, "warning")


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_MAX_IMAGE_BYTE", "1")
    with pytest.raises(ValidationError, match="did you mean ATTRIBUTION_MAX_IMAGE_BYTES"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALPHA", "0"), ("ALPHA", "0.6"), ("PORT", "70000"), ("QUEUE_LIMIT", "10"), ("HOST", "")],
)
def test_values_out_of_range_are_refused(monkeypatch, variable, value):
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(ValidationError):
        Settings()


def test_every_setting_is_documented_with_its_default_and_nothing_else_is():
    table = REFERENCE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(ATTRIBUTION_\w+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    documented = {variable: (default, text) for variable, default, text in rows}
    expected = {}
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else f"`{field.default}`"
        expected[PREFIX + name.upper()] = (default, field.description)
    assert documented == expected
