"""Settings: defaults, refusals, and documentation that is true."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.settings.limits import PREFIX

REFERENCE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_variables_with_the_prefix_are_read(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_PORT", "9001")
    monkeypatch.setenv("ATTRIBUTION_LOG_LEVEL", "WARNING")
    settings = Settings()
    assert (settings.port, settings.log_level) == (9001, "warning")


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_MAX_IMAGE_BYTE", "1")
    with pytest.raises(ValidationError, match="did you mean ATTRIBUTION_MAX_IMAGE_BYTES"):
        Settings()


@pytest.mark.parametrize("variable", ["HOST", "DATA", "PORT", "DATABASE_URL"])
def test_an_empty_variable_counts_as_unset(monkeypatch, variable):
    unset = Settings()
    monkeypatch.setenv(PREFIX + variable, "")
    assert Settings() == unset


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALPHA", "0"), ("ALPHA", "0.6"), ("PORT", "70000"), ("QUEUE_LIMIT", "10")],
)
def test_values_out_of_range_are_refused(monkeypatch, variable, value):
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(ValidationError):
        Settings()


SERVICE_LINKS = {
    "ATTRIBUTION_SERVICE_HOST": "10.0.0.1",
    "ATTRIBUTION_SERVICE_PORT": "8000",
    "ATTRIBUTION_SERVICE_PORT_HTTP": "8000",
    "ATTRIBUTION_PORT": "tcp://10.0.0.1:8000",
    "ATTRIBUTION_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "ATTRIBUTION_PORT_8000_TCP_PROTO": "tcp",
    "ATTRIBUTION_PORT_8000_TCP_PORT": "8000",
    "ATTRIBUTION_PORT_8000_TCP_ADDR": "10.0.0.1",
}


@pytest.mark.parametrize("name", ["ATTRIBUTION", "ATTRIBUTION_WEB"])
def test_variables_of_a_kubernetes_service_of_our_name_are_no_settings(monkeypatch, name):
    for variable, value in SERVICE_LINKS.items():
        monkeypatch.setenv(variable.replace("ATTRIBUTION", name, 1), value)
    assert Settings().port == 8000
    monkeypatch.setenv("ATTRIBUTION_ALHPA", "0.05")
    with pytest.raises(ValidationError, match="did you mean ATTRIBUTION_ALPHA"):
        Settings()


def test_a_port_given_beside_service_links_is_taken(monkeypatch):
    for variable, value in SERVICE_LINKS.items():
        monkeypatch.setenv(variable, value)
    assert Settings(port=9000).port == 9000
    monkeypatch.setenv("ATTRIBUTION_PORT", "9001")  # the pod's own variable comes before the link
    assert Settings().port == 9001


@pytest.mark.parametrize("missing", ["ATTRIBUTION_SERVICE_HOST", "ATTRIBUTION_SERVICE_PORT"])
def test_half_a_service_link_is_as_suspect_as_any_variable(monkeypatch, missing):
    for variable, value in SERVICE_LINKS.items():
        if variable != missing:
            monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match="which is no setting"):
        Settings()


def test_origins_are_read_and_must_be_origins(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_CORS_ORIGINS", "https://Shop.example http://a.example:8080")
    assert Settings().allowed_origins == {"https://shop.example", "http://a.example:8080"}
    for wrong in ("*", "shop.example", "https://shop.example/", "null", "ftp://a", "https://"):
        monkeypatch.setenv("ATTRIBUTION_CORS_ORIGINS", wrong)
        with pytest.raises(ValidationError, match="is no origin"):
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


def test_the_password_of_the_database_is_shown_nowhere(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_DATABASE_URL", "postgresql://me:not-to-be-shown@host/name")
    assert "not-to-be-shown" not in repr(Settings())
    with pytest.raises(ValidationError) as refused:
        Settings(shutdown_seconds=-1)
    assert "not-to-be-shown" not in str(refused.value)


def test_who_opens_the_database_changes_no_answer():
    def digest(url):
        return Settings(database_url=url).answers_by

    plain = digest("postgresql://host/name?sslmode=require")
    assert digest("postgresql://me:a/b@host/name?sslmode=require") == plain
    assert digest("postgresql://host/name?password=x&sslmode=require") != digest(
        "postgresql://host/other?password=x&sslmode=require"
    )
    assert digest("postgresql://host/name?user=a&sslmode=require") == digest(
        "postgresql://host/name?user=b&sslmode=require"
    )
