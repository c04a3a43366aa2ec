"""The page as a whole, and /docs: where they lie, how large they are, for whom."""

import json

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.support.pages import blame, choose
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving

pytestmark = pytest.mark.browser

STRANGER = jpeg(picture(777_777))
FIRST_VIEW_BYTES = 100_000
HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"


def test_the_first_view_is_small(page: Page, served: Running):
    sizes: dict[str, int] = {}
    page.on("response", lambda reply: sizes.update({reply.url: len(reply.body())}))
    page.goto(served.url, wait_until="networkidle")
    assert len(sizes) > 10
    assert sum(sizes.values()) < FIRST_VIEW_BYTES


def test_page_and_docs_work_under_the_prefix_of_a_proxy(page: Page, tmp_path, encoder, background):
    settings = Settings(data=tmp_path, inference_threads=1, root_path="/images")
    with serving(settings, encoder, background) as running:
        for seed in range(8):
            running.add(seed)
        outside = []  # what a proxy that forwards /images alone would not let through
        page.on("request", lambda request: outside.append(request.url)
                if request.url.startswith(running.url)
                and not request.url.startswith(f"{running.url}/images") else None)  # fmt: skip
        page.goto(f"{running.url}/images")
        choose(page, variation(7))
        expect(page.locator("#detail > .found .name").first).to_have_text("7.jpg")
        expect(page.locator(".found img").first).not_to_have_js_property("naturalWidth", 0)
        page.get_by_role("link", name="HTTP API").click()
        expect(page).to_have_url(f"{running.url}/images/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        assert outside == []


def test_a_phone_needs_no_sideways_scrolling(page: Page, served: Running):
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(served.url)
    choose(page, STRANGER, name="a_name_without_any_place_to_break_it" * 3 + ".jpg")
    for summary in page.locator("summary >> visible=true").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_names_that_hold_markup_are_shown_as_text(page: Page, served: Running):
    added = served.client.post(
        "/v1/sources",
        files={"file": ("x.jpg", jpeg(picture(99))), "metadata": (None, hostile_metadata())},
    )
    assert added.status_code == 201
    page.goto(served.url)
    choose(page, variation(99), name="<b>query<b>.jpg")
    expect(page.locator("#detail > .found .name").first).to_have_text(f"{HOSTILE}<U+202E>")
    owned = page.locator("#detail > .found .badge").first
    expect(owned).to_have_text("May not be trained on (script>)")
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("radio", name="Regions").check()
    expect(page.locator(".legend li").first).to_contain_text(HOSTILE)
    served.client.delete(f"/v1/sources/{added.json()['source']['source_id']}")
    assert "owned" not in page.title()


def hostile_metadata() -> str:
    said = {"title": f"{HOSTILE}\u202e", "creator": HOSTILE, "licence": HOSTILE}
    return json.dumps(said | {"metadata": {"do_not_train": True, "data_mining": HOSTILE}})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, served: Running, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(served.url)
    choose(page, variation(7))
    page.locator(".record summary").click()
    blame(page)


def test_docs_render_every_operation(page: Page, served: Running):
    paths = served.client.get("/openapi.json").json()["paths"]
    page.goto(f"{served.url}/docs")
    expect(page.locator(".opblock")).to_have_count(sum(map(len, paths.values())))
    page.get_by_text("Attribute one image").click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()


@pytest.mark.parametrize(
    ("p_value", "alpha", "text"),
    [
        (0.0104, 0.01, "0.0104"),
        (0.01, 0.01, "0.01"),
        (0.0096, 0.01, "0.0096"),
        (0.05004, 0.05, "0.05004"),
        (0.0499, 0.05, "0.05"),  # at most alpha, as it is
        (0.3141, 0.01, "0.31"),
        (0.0016638935108153079, 0.01, "0.0017"),
        (1, 0.01, "1"),
    ],
)
def test_a_p_value_shows_on_which_side_of_alpha_it_lies(page, served, p_value, alpha, text):
    page.goto(served.url)
    shown = "both => import('/web/wording.js').then(({ against }) => against(...both))"
    assert page.evaluate(shown, [p_value, alpha]) == text
