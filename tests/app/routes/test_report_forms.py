"""Reports over HTTP: negotiated, signed, inert, and problems stay problems."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import jsonschema_rs
import pypdf
import pytest
from PIL import Image

from app.reports import HTML, PDF, REPORT_JSON
from app.settings import Settings
from attribution.report.document import Report
from attribution.report.html import CONTENT_SECURITY_POLICY, render_html
from attribution.report.pdf import render_pdf
from attribution.report.signing import BadKey, PublicKey, new_key
from attribution.report.verification import verify
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving


@pytest.fixture(scope="module")
def signing(tmp_path_factory, encoder, background):
    """A service with a key and six sources."""
    folder = tmp_path_factory.mktemp("signing")
    new_key(folder / "key.pem")
    settings = Settings(data=folder / "data", inference_threads=1, signing_key=folder / "key.pem")
    with serving(settings, encoder, background) as served:
        for seed in range(6):
            served.add(seed)
        yield served


def ask(running, form, data=None, **parameters):
    return running.client.post(
        "/v1/attributions",
        params=parameters,
        files={"file": variation(3) if data is None else data},
        headers={"Accept": form},
    )


def test_a_report_says_what_whoever_asked_had_a_say_in(signing):
    said = "The shares start from what was believed before"
    plain = Report.model_validate_json(ask(signing, REPORT_JSON).content)
    assert not any(said in text for text in plain.statement)
    assert not any("four ways up" in note for note in plain.query.notes)
    asked = ask(signing, REPORT_JSON, no_source=0.999, any_way_up=True, alpha=0.5)
    told = Report.model_validate_json(asked.content)
    [believed] = [text for text in told.statement if said in text]
    assert "99.9 % of such images have no source" in believed
    assert any("four ways up" in note for note in told.query.notes)


def test_a_report_of_an_explained_answer_shows_where(signing):
    report = Report.model_validate_json(ask(signing, REPORT_JSON, explain=True).content)
    attributed = [source for source in report.sources if source.attributed]
    assert attributed
    for source in attributed:
        for drawn in (source.maps.query_png, source.maps.source_png):
            with Image.open(io.BytesIO(base64.b64decode(drawn)), formats=["PNG"]) as opened:
                assert min(opened.size) > 1
    assert [region.rank for region in report.region_map.legend] == [
        source.rank for source in attributed
    ]
    plain = Report.model_validate_json(ask(signing, REPORT_JSON).content)
    assert plain.region_map is None
    assert all(source.maps is None for source in plain.sources)


def test_the_json_report_says_what_the_answer_says_and_is_signed(signing):
    response = ask(signing, REPORT_JSON, top_k=4)
    assert response.status_code == 200
    assert response.headers["content-type"] == REPORT_JSON
    assert response.headers["vary"] == "Accept"
    assert response.headers["cache-control"] == "no-store"
    key = PublicKey(base64.b64decode(signing.client.get("/v1/report-key").json()["public_key"]))
    assert verify(response.content, key).verdict == "valid"
    report = Report.model_validate_json(response.content)
    answer = signing.ask(variation(3), top_k=4)
    assert (report.decision, report.p_value) == (answer["decision"], answer["p_value"])
    assert report.query.sha256 == answer["query"]["sha256"]
    assert report.request_id == response.headers["x-request-id"]
    for reported, listed in zip(report.sources, answer["sources"], strict=True):
        for name in ("source_id", "rank", "p_value", "share", "attributed", "uri"):
            assert getattr(reported, name) == listed[name]
        held = signing.client.get(f"/v1/sources/{reported.source_id}").json()
        assert reported.sha256 == held["sha256"]
        assert reported.thumbnail.content.startswith(b"\xff\xd8\xff")


def test_the_json_report_fits_its_published_schema(signing):
    description = signing.client.get("/openapi.json").json()
    components = description["components"]
    report = ask(signing, REPORT_JSON).json()
    jsonschema_rs.validate({**components["schemas"]["Report"], "components": components}, report)
    operation = description["paths"]["/v1/attributions"]["post"]
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        REPORT_JSON,
        HTML,
        PDF,
    }


def test_pages_and_pdfs_are_of_the_report_that_they_carry(signing):
    pdf = ask(signing, PDF)
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, PDF)
    assert pdf.headers["content-disposition"].endswith('.pdf"')
    [attached] = pypdf.PdfReader(io.BytesIO(pdf.content)).attachments.values()
    assert render_pdf(Report.model_validate_json(attached[0])) == pdf.content

    page = ask(signing, HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    encoded = page.text.partition("data:application/json;base64,")[2].partition('"')[0]
    inside = base64.b64decode(encoded)
    assert render_html(Report.model_validate_json(inside)) == page.content
    assert verify(inside).verdict == "intact"


def test_what_was_answered_before_is_still_the_default(signing):
    for accept in ("*/*", "application/json", "application/*"):
        response = ask(signing, accept)
        assert response.headers["content-type"] == "application/json"
        assert response.headers["vary"] == "Accept"
        assert "timings_ms" in response.json()


@pytest.mark.parametrize("form", [PDF, HTML, REPORT_JSON])
@pytest.mark.parametrize(
    ("data", "parameters", "status", "kind"),
    [
        (b"words", {}, 415, "unsupported-image"),
        (None, {"top_k": 101}, 422, "invalid-request"),
        (None, {"collection": "unknown"}, 404, "collection-not-found"),
        (None, {"alpha": 0.0001}, 422, "invalid-request"),
    ],
)
def test_problems_stay_problems(signing, form, data, parameters, status, kind):
    response = ask(signing, form, data, **parameters)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"/problems/{kind}"


def test_a_form_that_there_is_not_is_406_and_names_those_there_are(signing):
    response = ask(signing, "image/png")
    assert (response.status_code, response.json()["type"]) == (406, "/problems/not-acceptable")
    assert PDF in response.json()["detail"]


def test_without_the_extra_pdf_says_what_to_install_and_second_best_is_served(signing, monkeypatch):
    monkeypatch.setattr("app.routes.report_forms.pdf_available", lambda: False)
    response = ask(signing, PDF)
    assert (response.status_code, response.json()["type"]) == (406, "/problems/pdf-unavailable")
    assert "attribution[report]" in response.json()["detail"]
    assert ask(signing, "application/pdf, text/html;q=0.2").headers["content-type"].startswith(HTML)


def test_a_batch_has_no_report(signing):
    response = signing.client.post(
        "/v1/attributions/batch", files=[("files", variation(1))], headers={"Accept": PDF}
    )
    assert response.status_code == 406


def test_a_service_without_key_does_not_sign_and_says_so(shared):
    shared.add(1)
    response = shared.client.get("/v1/report-key")
    assert (response.status_code, response.json()["type"]) == (404, "/problems/no-signing-key")
    content = ask(shared, REPORT_JSON).content
    assert verify(content).verdict == "unsigned"
    assert "signature" not in json.loads(content)


def test_the_key_is_published_in_two_forms(signing):
    body = signing.client.get("/v1/report-key").json()
    key = PublicKey(base64.b64decode(body["public_key"]))
    assert (body["algorithm"], body["key_id"], body["pem"]) == ("Ed25519", key.id, key.pem)


def test_titles_from_the_catalog_cannot_become_elements(signing):
    hostile = "</title><script>alert(1)</script>"
    signing.client.post(
        "/v1/sources",
        files={"file": ("a.jpg", jpeg(picture(3).rotate(1)))},
        data={"metadata": json.dumps({"title": hostile, "creator": "東京"})},
    )
    assert "<script" not in ask(signing, HTML).text
    assert ask(signing, PDF).status_code == 200


def test_reports_at_once_are_answers_of_their_own(signing):
    def sha256(seed):
        return ask(signing, REPORT_JSON, variation(seed)).json()["query"]["sha256"]

    with ThreadPoolExecutor(6) as threads:
        digests = list(threads.map(sha256, range(6)))
    assert len(set(digests)) == 6


def test_a_source_without_preview_has_no_thumbnail_but_the_report_is_made(running):
    running.add(1)
    for path in (running.service.settings.data / "previews").rglob("*.jpg"):
        path.unlink()
    report = Report.model_validate_json(ask(running, REPORT_JSON, variation(1)).content)
    assert report.sources[0].thumbnail is None
    assert report.query.thumbnail is not None


def test_a_bad_key_keeps_the_service_from_starting(settings, encoder, tmp_path):
    (tmp_path / "open.pem").write_bytes(bytes(32))
    (tmp_path / "open.pem").chmod(0o644)
    bad = settings.model_copy(update={"signing_key": tmp_path / "open.pem"})
    with pytest.raises(BadKey, match="chmod 600"), serving(bad, encoder):
        pass
