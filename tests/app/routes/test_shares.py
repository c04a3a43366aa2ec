"""A running service says whose shares it gives, and takes up a calibration stored beside it."""

from attribution.calibration.shares.model import KIND, ShareModel
from attribution.calibration.shares.recall import Recall
from attribution.catalog import Catalog
from tests.support.pictures import jpeg, picture
from tests.support.waiting import wait_for


def calibration(running):
    return running.client.get("/v1/index").json()["calibration"]


def test_a_calibration_stored_beside_the_service_is_taken_up(running, settings, encoder):
    for seed in range(12):
        running.add(seed)
    query = jpeg(picture(3))
    before = running.ask(query)
    state = calibration(running)
    assert (state["shares"], state["shares_fitted_at"]) == ("default", None)
    assert state["id"] == before["calibration"]["id"]

    generous = ShareModel(no_source=0.9, exponent=0.2)
    with Catalog.open(settings.data) as beside:
        figures = {"recall": Recall({90: 0.0}, "drawings").document}
        beside.calibrations.add(encoder.model_id, KIND, generous.parameters, figures)
    wait_for(lambda: calibration(running)["shares"] == "fitted")
    after = running.ask(query)
    null, _ = before["calibration"]["id"].split("-")
    assert after["calibration"]["id"] == f"{null}-{generous.id}"
    assert calibration(running)["shares_fitted_at"]
    assert after["unattributed_share"] > before["unattributed_share"]
    assert after["p_value"] == before["p_value"]
    assert after["recall"] is None
    listed = running.ask(query, recall=0.9)
    assert listed["recall"] == {"rate": 0.9, "kinds": "drawings"}
    assert [source["rank"] for source in listed["sources"]] == [1]
    for path, body in (("/v1/attributions", query), ("/v1/jobs", query)):
        refused = running.client.post(
            path, content=body, headers={"content-type": "image/jpeg"}, params={"recall": 0.95}
        )
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["location"] == "query.recall"
        assert "at most 0.9" in refused.json()["detail"]
    for answer in (before, after, listed):
        total = answer["other_share"] + answer["unattributed_share"]
        total += sum(source["share"] for source in answer["sources"])
        assert abs(total - 1) < 1e-9
