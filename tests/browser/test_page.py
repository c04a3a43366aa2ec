"""The web page and /docs, as a person meets them."""

import base64
import re

import pytest
from playwright.sync_api import Page, Route, expect

from app.problems.types import PROBLEM_TYPES
from app.settings import Settings
from tests.support.pages import choose, upload
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

STRANGER = jpeg(picture(777_777))


def test_an_upload_shows_the_decision_and_then_the_ranked_sources(page: Page, served: Running):
    told = served.ask(variation(7))
    attributed = [source["uri"] for source in told["sources"] if source["attributed"]]
    similar = [source["uri"] for source in told["sources"] if not source["attributed"]]
    assert attributed[0] == "7.jpg"
    page.goto(served.url)
    choose(page, variation(7))
    expect(page.locator("#decision")).to_have_text(re.compile("Source found|sources found"))
    expect(page.locator("#decision")).to_be_focused()
    expect(page.locator("#caution")).to_contain_text("neither a proof of copying")
    expect(page.locator("#attributed .name")).to_have_text(attributed)
    expect(page.locator("#similar .name")).to_have_text(similar)
    expect(page.locator("#record")).to_contain_text(told["query"]["sha256"])
    expect(page.locator("#attributed img").first).not_to_have_js_property("naturalWidth", 0)


def test_page_and_docs_work_under_the_prefix_of_a_proxy(page: Page, tmp_path, encoder, background):
    settings = Settings(data=tmp_path, inference_threads=1, root_path="/images")
    with serving(settings, encoder, background) as running:
        for seed in range(20):
            running.add(seed)
        outside = []  # what a proxy that forwards /images alone would not let through
        page.on("request", lambda request: outside.append(request.url)
                if request.url.startswith(running.url)
                and not request.url.startswith(f"{running.url}/images") else None)  # fmt: skip
        page.goto(f"{running.url}/images")
        choose(page, variation(7))
        expect(page.locator("#attributed .name").first).to_have_text("7.jpg")
        expect(page.locator("#attributed img").first).not_to_have_js_property("naturalWidth", 0)
        page.get_by_role("link", name="HTTP API").last.click()
        expect(page).to_have_url(f"{running.url}/images/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        assert outside == []


def test_a_picture_dropped_anywhere_is_asked_about(page: Page, served: Running):
    page.goto(served.url)
    drop(page, variation(3))
    expect(page.locator("#attributed .name").first).to_have_text("3.jpg")
    expect(page.locator("#chosen")).to_be_visible()


def test_something_dropped_that_is_no_file_is_explained(page: Page, served: Running):
    page.goto(served.url)
    drop(page, None)
    expect(page.get_by_role("alert")).to_contain_text("Save the image first")


def test_the_honest_no_accuses_nobody(page: Page, served: Running):
    assert served.ask(STRANGER)["decision"] == "no_source_found"
    page.goto(served.url)
    choose(page, STRANGER)
    expect(page.get_by_role("heading", level=2)).to_have_text("No source found")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#attributed li")).to_have_count(0)
    expect(page.locator("#similar li")).to_have_count(10)
    expect(page.locator("#similar li").first).to_be_hidden()
    page.locator("#similar summary").press("Enter")
    expect(page.locator("#similar li").first).to_be_visible()
    expect(page.locator("#similar meter").first).to_be_hidden()
    expect(page.locator("#similar")).to_contain_text("Listed for comparison only")


def test_show_where_lays_maps_over_the_pictures(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    expect(page.locator("#attributed .name").first).to_have_text("7.jpg")
    expect(page.locator("#regions")).to_be_hidden()
    page.get_by_role("checkbox", name="Show where").check()
    expect(page.locator("#where-status")).to_be_empty()
    expect(page.locator("#regions")).to_be_visible()
    expect(page.locator("#regions li").first).to_contain_text("% 7.jpg")
    expect(page.locator("#regions li").last).to_contain_text("% none of them")
    first = page.locator("#attributed > li").first
    expect(
        first.get_by_alt_text("Heat map over your image: where it resembles 7.jpg")
    ).to_be_visible()
    expect(
        first.get_by_alt_text("Heat map over 7.jpg: where it resembles your image")
    ).to_be_visible()
    maps = page.locator("#regions .over, #attributed > li:first-child .over")
    expect(maps).to_have_count(3)
    for place in range(3):
        expect(maps.nth(place)).not_to_have_js_property("naturalWidth", 0)
        picture = page.locator("#regions .under, #attributed > li:first-child .under").nth(place)
        expect(picture).not_to_have_js_property("naturalWidth", 0)
        same_size = maps.nth(place).evaluate(
            """map => {
              const picture = map.previousElementSibling;
              return map.naturalWidth > 0 && picture.naturalWidth > picture.naturalHeight
                && map.clientWidth === picture.clientWidth
                && map.clientHeight === picture.clientHeight;
            }"""
        )
        assert same_size
    choose(page, variation(3))  # the choice stays for what is asked next
    expect(page.locator("#regions li").first).to_contain_text("% 3.jpg")
    page.get_by_role("checkbox", name="Show where").uncheck()
    expect(page.locator("#regions")).to_be_hidden()
    expect(page.locator("#attributed .heat").first).to_be_hidden()


def test_show_where_of_an_honest_no_assigns_no_region(page: Page, served: Running):
    page.goto(served.url)
    choose(page, STRANGER)
    page.get_by_role("checkbox", name="Show where").focus()
    page.keyboard.press("Space")
    expect(page.locator("#similar .heat:not([hidden])")).to_have_count(3)
    expect(page.locator("#regions")).to_be_hidden()
    expect(page.get_by_role("checkbox", name="Show where")).to_be_focused()


def test_a_closer_look_that_is_refused_leaves_the_answer(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    busy = {"title": "Overloaded", "detail": "Read Retry-After.", "request_id": "req_1"}
    page.route(
        "**/v1/attributions?explain=true",
        lambda route: route.fulfill(status=503, headers={"Retry-After": "5"}, json=busy),
    )
    page.get_by_role("checkbox", name="Show where").check()
    expect(page.locator("#where-status")).to_have_text("Overloaded")
    expect(page.locator("#attributed .name").first).to_have_text("7.jpg")


def test_a_broken_file_shows_what_to_do(page: Page, served: Running):
    broken = variation(1)[:200]
    told = served.client.post("/v1/attributions", files={"file": broken}).json()
    page.goto(served.url)
    choose(page, variation(1))
    choose(page, broken)
    problem = page.get_by_role("alert")
    expect(problem.get_by_role("heading")).to_have_text(PROBLEM_TYPES["corrupt-image"].title)
    expect(problem).to_contain_text(told["detail"])
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#chosen")).to_be_hidden()
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_busy_service_is_asked_again_on_demand(page: Page, served: Running):
    page.goto(served.url)
    busy = {"title": "Overloaded", "detail": "Read Retry-After.", "request_id": "req_1"}
    page.route(
        "**/v1/attributions",
        lambda route: route.fulfill(status=503, headers={"Retry-After": "5"}, json=busy),
        times=1,
    )
    choose(page, variation(1))
    expect(page.get_by_role("alert")).to_contain_text("try again in 5 seconds")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#attributed .name").first).to_have_text("1.jpg")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_is_enough(page: Page, served: Running, key):
    page.goto(served.url)
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press(key)
    chooser.value.set_files(upload(variation(5)))
    expect(page.locator("#decision")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="Show where")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#similar summary")).to_be_focused()


def test_a_phone_needs_no_sideways_scrolling(page: Page, served: Running):
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(served.url)
    choose(page, STRANGER, name="a_name_without_any_place_to_break_it" * 3 + ".jpg")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_background_or_sources_nothing_is_claimed(page: Page, tmp_path, encoder):
    with serving(Settings(data=tmp_path, inference_threads=1), encoder) as bare:
        page.goto(bare.url)
        choose(page, STRANGER)
        expect(page.locator("#decision")).to_have_text("Nothing to compare with")
        bare.add(1)
        choose(page, variation(1))
        expect(page.locator("#decision")).to_have_text("Compared, but not decided")
        expect(page.locator("#attributed li")).to_have_count(0)
        expect(page.locator("#similar .name")).to_have_text("1.jpg")


def test_docs_render_every_operation(page: Page, served: Running):
    paths = served.client.get("/openapi.json").json()["paths"]
    page.goto(f"{served.url}/docs")
    expect(page.locator(".opblock")).to_have_count(sum(map(len, paths.values())))
    page.get_by_text("Attribute one image").click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()


def drop(page: Page, data: bytes | None) -> None:
    """Drop a file, or what is none, on the page beside the box."""
    dropped = page.evaluate_handle(
        """encoded => {
          const dropped = new DataTransfer();
          if (encoded === null) return dropped;
          const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
          dropped.items.add(new File([bytes], "query.jpg", { type: "image/jpeg" }));
          return dropped;
        }""",
        None if data is None else base64.b64encode(data).decode(),
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})


def test_an_image_chosen_before_the_script_has_come_is_asked_about(page: Page, served: Running):
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/index.js", hold)
    page.goto(served.url, wait_until="commit")
    page.locator("#file").set_input_files(upload(variation(4)))
    wait_for(lambda: page.evaluate("1") and late)
    late[0].continue_()
    expect(page.locator("#attributed .name").first).to_have_text("4.jpg")
