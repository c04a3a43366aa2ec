"""compose.yaml says what `docker compose` and each of its programs will understand.

No container is run: names must lead somewhere, variables must be settings, and the files within it
must be of their kinds.
"""

import re
from pathlib import Path

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[1]
OURS = {"api", "indexer", "worker"}
SECRET = "POSTGRES_PASSWORD"


@pytest.fixture(scope="module")
def compose():
    text = (ROOT / "compose.yaml").read_text()
    # As compose reads it: variables first, then YAML; `$$` is one dollar.
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == {SECRET}
    filled = re.sub(r"\$\{\w+:\?[^}]*\}", "hidden", text).replace("$$", "$")
    return yaml.safe_load(filled)


def test_every_name_leads_somewhere(compose):
    services = compose["services"]
    assert OURS | {"postgres", "milvus", "prometheus", "grafana", "balancer"} == services.keys()
    for name, service in services.items():
        assert service["depends_on"].keys() <= services.keys() if "depends_on" in service else True
        for other, how in service.get("depends_on", {}).items():
            checked = "healthcheck" in services[other] or other in OURS  # theirs is the image's
            assert how["condition"] == "service_started" or checked, (name, other)
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).is_file() if source[0] == "." else source in compose["volumes"]
        for used in service.get("configs", ()):
            assert used["source"] in compose["configs"], name
            assert used["target"].startswith("/")
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"]), "a version is named"
        assert not service["image"].endswith(":latest")
    used = {each["source"] for service in services.values() for each in service.get("configs", ())}
    assert used == compose["configs"].keys()


def test_each_role_starts_with_settings_that_the_service_knows(compose, monkeypatch):
    roles = {}
    for name in OURS:
        service = compose["services"][name]
        with monkeypatch.context() as patch:
            for variable, value in service["environment"].items():
                assert variable.startswith("ATTRIBUTION_"), variable
                patch.setenv(variable, value)
            settings = Settings()  # refuses a variable that it does not know
        roles[name] = settings.role
        assert settings.index_url == "http://milvus:19530"
        assert (
            settings.database_url == "postgresql+psycopg://attribution:hidden@postgres/attribution"
        )
        assert "data:/data" in service["volumes"], "one folder for all"
    assert roles == {name: name for name in OURS}
    assert compose["services"]["api"]["deploy"]["replicas"] == 2
    [image] = {compose["services"][name]["image"] for name in OURS}
    extras = compose["services"]["api"]["build"]["args"]["EXTRAS"].split(",")
    project = (ROOT / "pyproject.toml").read_text()
    assert {"postgres", "milvus"} <= set(extras)
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)
    assert "ARG EXTRAS=" in (ROOT / "Dockerfile").read_text()
    assert image


def test_the_files_within_it_are_of_their_kinds(compose):
    contents = {name: entry["content"] for name, entry in compose["configs"].items()}
    [scraped] = yaml.safe_load(contents["prometheus"])["scrape_configs"]
    assert set(scraped["dns_sd_configs"][0]["names"]) == OURS
    secret = scraped["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert secret in compose["services"]["prometheus"]["secrets"]
    [source] = yaml.safe_load(contents["grafana-source"])["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load(contents["grafana-dashboards"])["providers"]
    [dashboard] = [m for m in compose["services"]["grafana"]["volumes"] if "grafana.json" in m]
    assert dashboard.split(":")[1].startswith(provider["options"]["path"] + "/")
    user = yaml.safe_load(contents["milvus-user"])
    assert user["queryNode"]["segcore"]["interimIndex"]["enableIndex"] is False
    assert yaml.safe_load(contents["milvus-etcd"])["auto-compaction-mode"] == "revision"
    balancer = contents["balancer"]
    assert balancer.count("{") == balancer.count("}")
    assert "server api:8000" in balancer
    assert "proxy_set_header Host $http_host;" in balancer
    for secret in ("/.env", "/metrics.key"):
        assert secret in (ROOT / ".gitignore").read_text().splitlines()
