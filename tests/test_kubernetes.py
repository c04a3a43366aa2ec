"""kubernetes.yaml fits together. No cluster is run, so every name must lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[1]
ROLES = {"api", "indexer", "worker"}


@pytest.fixture(scope="module")
def objects():
    found = {}
    for each in yaml.safe_load_all((ROOT / "kubernetes.yaml").read_text()):
        key = each["kind"], each["metadata"]["name"]
        assert key not in found
        found[key] = each
    return found


def deployments(objects):
    return {name: each["spec"] for (kind, name), each in objects.items() if kind == "Deployment"}


def test_every_role_runs_more_than_once_and_finds_what_it_names(objects):
    assert deployments(objects).keys() == ROLES
    for role, spec in deployments(objects).items():
        pod = spec["template"]
        labels = pod["metadata"]["labels"]
        assert labels == spec["selector"]["matchLabels"] == {"app": "attribution", "role": role}
        assert spec["replicas"] >= 2
        [container] = pod["spec"]["containers"]
        assert container["args"] == ["serve", "--role", role]
        assert not container["image"].endswith(":latest")
        named = {name for each in container["envFrom"] for name in each}
        assert named == {"configMapRef", "secretRef"}
        assert {each["name"] for each in container["volumeMounts"]} == {
            each["name"] for each in pod["spec"]["volumes"]
        }
        assert "/data" in {each["mountPath"] for each in container["volumeMounts"]}
        [port] = container["ports"]
        for probe, path in (
            ("startup", "/livez"),
            ("liveness", "/livez"),
            ("readiness", "/readyz"),
        ):
            asked = container[f"{probe}Probe"]
            assert (asked["httpGet"]["path"], asked["httpGet"]["port"]) == (path, port["name"])
        assert container["resources"]["limits"]["memory"]
    claim = objects["PersistentVolumeClaim", "data"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"], "one folder for all"


def test_pods_are_those_of_the_image(objects):
    docker = (ROOT / "Dockerfile").read_text()
    for spec in deployments(objects).values():
        pod = spec["template"]["spec"]
        assert f"--uid {pod['securityContext']['runAsUser']} " in docker
        [container] = pod["containers"]
        assert f"EXPOSE {container['ports'][0]['containerPort']}" in docker
        assert container["securityContext"]["readOnlyRootFilesystem"]
    assert 'ENTRYPOINT ["attribution"]' in docker


def test_variables_are_settings_that_the_service_knows(objects, monkeypatch):
    text = (ROOT / "kubernetes.yaml").read_text()
    secret = dict(re.findall(r"--from-literal=(ATTRIBUTION_\w+)=(\S+)", text))
    assert secret.keys() == {"ATTRIBUTION_DATABASE_URL", "ATTRIBUTION_INDEX_URL"}
    for variable, value in {**objects["ConfigMap", "attribution"]["data"], **secret}.items():
        monkeypatch.setenv(variable, value)
    for role in ROLES:
        monkeypatch.setenv("ATTRIBUTION_ROLE", role)
        assert Settings().role == role  # refuses a variable that it does not know


def test_services_and_policies_select_pods_that_there_are(objects):
    def selected(labels):
        return {
            role
            for role, spec in deployments(objects).items()
            if labels.items() <= spec["template"]["metadata"]["labels"].items()
        }

    assert selected(objects["Service", "attribution"]["spec"]["selector"]) == {"api"}
    assert selected(objects["Service", "metrics"]["spec"]["selector"]) == ROLES
    policy = objects["NetworkPolicy", "attribution"]["spec"]
    assert selected(policy["podSelector"]["matchLabels"]) == ROLES
    budget = objects["PodDisruptionBudget", "api"]["spec"]
    assert selected(budget["selector"]["matchLabels"]) == {"api"}
    assert budget["minAvailable"] < deployments(objects)["api"]["replicas"]
