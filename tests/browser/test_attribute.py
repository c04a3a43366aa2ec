"""The view that asks where images came from, as a person meets it."""

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from app.problems.types import PROBLEM_TYPES
from app.settings import Settings
from tests.support.credentials import signed
from tests.support.pages import SLIT, blame, choose, drop, upload
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

STRANGER = jpeg(picture(777_777))
MARKUP = "<img src=x onerror=alert(1)>"
BUSY = {"title": "Overloaded", "detail": "Read Retry-After.", "request_id": "req_1"}


def test_an_upload_shows_the_decision_and_then_the_ranked_sources(page: Page, served: Running):
    told = served.ask(variation(7))
    attributed = [source["uri"] for source in told["sources"] if source["attributed"]]
    similar = [source["uri"] for source in told["sources"] if not source["attributed"]]
    assert attributed[0] == "7.jpg"
    page.goto(served.url)
    choose(page, variation(7))
    expect(page.locator("h2.decision")).to_have_text(re.compile("Source found|sources found"))
    expect(page.locator("h2.decision")).to_be_focused()
    expect(page.locator(".caution")).to_contain_text("neither a proof of copying")
    expect(page.locator("#detail > .found .name")).to_have_text(attributed)
    expect(page.locator(".similar .name")).to_have_text(similar)
    expect(page.locator(".record")).to_contain_text(told["query"]["sha256"])
    expect(page.locator(".found img").first).not_to_have_js_property("naturalWidth", 0)
    expect(page.locator(".shares figcaption")).to_contain_text("7.jpg")


def test_two_hundred_files_in_one_drop_are_answered_one_by_one(page: Page, served: Running):
    found = variation(3)
    files = [(f"{place:03}.jpg", STRANGER if place % 10 else found) for place in range(200)]
    files[100] = ("100.jpg", variation(1)[:200])
    page.set_viewport_size(SLIT)
    page.goto(served.url)
    page.route(
        "**/v1/attributions",
        lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}, json=BUSY),
        times=2,
    )
    drop(page, [*files, ("one-too-many.jpg", STRANGER)])
    expect(page.locator("#notice")).to_contain_text("200 images of 201 taken")
    expect(page.get_by_text("200 images answered", exact=True)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(200)
    rows = page.locator("tbody tr")
    assert rows.evaluate_all("rows => rows.map(row => row.dataset.state).join()") == ",".join(
        "problem" if place == 100 else "no_source_found" if place % 10 else "attributed"
        for place in range(200)
    )
    page.get_by_role("radio", name="Problem 1").check()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(PROBLEM_TYPES["corrupt-image"].title)
    page.get_by_role("radio", name="Source found 19").check()
    expect(rows).to_have_count(19)
    page.get_by_role("radio", name="All 200").check()
    page.get_by_role("button", name="Decision").click()
    expect(rows.last).to_have_attribute("data-state", "problem")
    page.get_by_role("button", name="Image", exact=True).click()
    page.get_by_role("button", name="Image", exact=True).click()
    expect(rows.first).to_contain_text("199.jpg")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    lines = saved.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len([line for line in lines if ",no_source_found," in line]) == 180
    assert "100.jpg,problem" in "\n".join(lines)


def test_answers_survive_a_reload_and_are_forgotten_on_demand(page: Page, served: Running):
    page.goto(served.url)
    drop(page, [("a.jpg", variation(7)), ("b.jpg", STRANGER)])
    expect(page.get_by_text("2 images answered", exact=True)).to_be_visible()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else 0)
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="a.jpg").click()
    expect(page.locator("#detail > .found .name").first).to_have_text("7.jpg")
    expect(page.locator(".stand img").last).not_to_have_js_property("naturalWidth", 0)
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    page.get_by_role("button", name="Forget all").click()
    expect(page.locator("tbody tr")).to_have_count(0)
    page.reload()
    expect(page.locator("#work")).to_be_hidden()
    assert asked == []


def test_something_dropped_that_is_no_file_is_explained(page: Page, served: Running):
    page.goto(served.url)
    drop(page, [])
    expect(page.locator("#notice")).to_contain_text("Save the image first")


def test_the_honest_no_accuses_nobody(page: Page, served: Running):
    assert served.ask(STRANGER)["decision"] == "no_source_found"
    page.goto(served.url)
    choose(page, STRANGER)
    expect(page.locator("#detail h2")).to_have_text("No source found")
    expect(page.locator("#detail > .found")).to_have_count(0)
    expect(page.locator(".similar li")).to_have_count(10)
    expect(page.locator(".similar li").first).to_be_hidden()
    expect(page.get_by_alt_text(re.compile("Preview of"))).to_be_hidden()
    page.locator(".similar summary").press("Enter")
    expect(page.locator(".similar li").first).to_be_visible()
    expect(page.locator(".similar meter")).to_have_count(0)
    expect(page.locator(".similar")).to_contain_text("Listed for comparison only")


def test_what_an_image_says_of_itself_stands_apart_from_what_was_measured(page: Page, served):
    unheld = {"title": f"{MARKUP}\u202egpj.txt", "picture": jpeg(picture(50))}
    file = signed(STRANGER, unheld, embedded=jpeg(picture(3)))
    assert served.ask(file)["decision"] == "no_source_found"
    page.goto(served.url)
    choose(page, file)
    expect(page.locator("h2.decision")).to_have_text("No source found")
    said = page.locator(".statement")
    expect(said).to_contain_text("no measurement")
    expect(said).to_contain_text("anybody may have signed it")
    expect(said.locator("dd").first).to_have_text("Maker [31m 3.1")
    unknown, whole = said.locator("li").all()
    expect(unknown).to_contain_text(MARKUP)  # as text; what turns letters round has gone
    expect(unknown).to_contain_text("not known to be held here")
    expect(whole.get_by_role("link")).to_have_text("3.jpg")
    expect(whole).to_contain_text("held here")
    expect(whole).to_contain_text("the very file lies in the credentials")
    expect(said).to_contain_text("did not find what is held of these")
    blame(page)
    whole.get_by_role("link").click()
    expect(page.locator("dialog.wide h2")).to_have_text("3.jpg")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Attribute", exact=True).click()
    choose(page, variation(3), "silent.jpg")
    expect(page.locator(".statement")).to_have_count(0)


def test_query_and_source_can_be_compared_by_eye(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    page.get_by_role("radio", name="Slider").check()
    cut = page.get_by_role("slider")
    cut.focus()
    page.keyboard.press("End")
    mine, theirs = (page.locator(".stand figure").nth(place) for place in (1, 0))
    assert (
        page.locator(".stand").evaluate("stand => stand.style.getPropertyValue('--cut')") == "100%"
    )
    assert mine.bounding_box() == theirs.bounding_box()
    page.get_by_role("radio", name="Blink").check()
    expect(page.locator(".stand.turned")).to_be_attached()
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_role("button", name="Blink")).to_be_visible()
    assert [mine.is_visible(), theirs.is_visible()].count(True) == 1


def test_maps_light_what_is_alike_and_number_the_regions(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    page.get_by_role("radio", name="Where alike").check()
    expect(page.locator(".told")).to_contain_text("Lit and outlined")
    expect(page.locator(".stand canvas")).to_have_count(2)
    lit = page.locator(".stand canvas").last.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          const opacity = data.filter((_, place) => place % 4 === 3);
          return opacity.filter((value) => value === 0).length / opacity.length;
        }"""
    )
    assert lit > 0.05
    page.get_by_role("radio", name="Evidence").check()
    expect(page.locator(".told")).to_contain_text("what the score of this source rests on")
    expect(page.locator(".stand canvas")).to_have_count(1)
    page.get_by_role("radio", name="Regions").check()
    expect(page.locator(".legend li").first).to_contain_text("% 7.jpg")
    expect(page.locator(".legend li").last).to_contain_text("% none of them")
    expect(page.locator(".stand canvas")).to_have_count(1)
    choose(page, STRANGER, "stranger.jpg")  # what was chosen holds for the next image
    page.locator(".similar summary").click()
    expect(page.locator(".told")).to_contain_text("there is none")


def test_a_closer_look_that_is_refused_leaves_the_answer(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    refused = {"title": "Internal error", "detail": "Report it.", "request_id": "req_1"}
    page.route(
        "**/v1/attributions?explain=true",
        lambda route: route.fulfill(status=500, json=refused),
    )
    page.get_by_role("radio", name="Where alike").check()
    expect(page.locator(".told")).to_have_text("Internal error")
    expect(page.locator("#detail > .found .name").first).to_have_text("7.jpg")


def test_a_broken_file_shows_what_to_do_and_can_be_tried_again(page: Page, served: Running):
    broken = variation(1)[:200]
    told = served.client.post("/v1/attributions", files={"file": broken}).json()
    page.goto(served.url)
    choose(page, broken)
    expect(page.locator("#detail h2")).to_have_text(PROBLEM_TYPES["corrupt-image"].title)
    expect(page.locator("#detail")).to_contain_text(told["detail"])
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#detail h2")).to_have_text(PROBLEM_TYPES["corrupt-image"].title)


def test_what_answers_in_place_of_the_service_stops_nothing(page: Page, served: Running):
    page.goto(f"{served.url}/#/attribute/%E0%A4%A")  # nor does an address that is none
    replies = [{"status": 200, "body": "<h1>Sign in</h1>"}, {"status": 502, "json": [0]}]
    page.route("**/v1/attributions", lambda route: route.fulfill(**replies.pop(0)), times=2)
    drop(page, [(f"{place}.jpg", variation(7)) for place in range(3)])
    expect(page.get_by_text("3 images answered", exact=True)).to_be_visible()
    problems = page.locator("tr[data-state=problem]")
    expect(problems).to_have_count(2)
    expect(problems.filter(has_text="Not understood")).to_have_count(1)
    page.get_by_role("button", name="Try 2 problems again").click()
    expect(page.locator("tr[data-state=attributed]")).to_have_count(3)


def test_options_go_with_the_question_and_into_the_curl(page: Page, served: Running):
    page.goto(served.url)
    page.evaluate("() => { navigator.clipboard.writeText = (text) => { window.copied = text; }; }")
    page.locator("#question summary").click()
    page.get_by_role("checkbox", name="default").check()
    page.get_by_label("False attributions").select_option("0.05")
    page.get_by_label("Your images that come from").select_option("0.95")
    page.get_by_label("How your images lie").select_option("true")
    expect(page.locator("#question .said")).to_have_text(
        "default · alpha 0.05 · prior 0.95 · any way up"
    )
    choose(page, variation(7), "it's; mine.jpg")
    page.get_by_role("button", name="Copy curl").click()
    expect(page.locator("#toast")).to_have_text("Command copied")
    assert page.evaluate("copied") == (
        "curl -F 'file=@\"it'\\''s; mine.jpg\"' "
        f"'{served.url}/v1/attributions?collection=default&alpha=0.05&no_source=0.95&any_way_up=true'"
    )
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.locator("#toast")).to_have_text("JSON copied")
    assert json.loads(page.evaluate("copied"))["alpha"] == 0.05
    with page.expect_download() as saved:
        page.get_by_role("button", name="Report as page").click()
    assert "7.jpg" in saved.value.path().read_text(encoding="utf-8")
    assert re.fullmatch(r".+\.html", saved.value.suggested_filename)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_is_enough(page: Page, served: Running, key):
    page.goto(served.url)
    page.locator("nav a").last.focus()
    page.keyboard.press("Tab")  # HTTP API
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press(key)
    chooser.value.set_files(upload(variation(5)))
    expect(page.locator("h2.decision")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Side by side")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_visible()  # a control that uses the key keeps it
    page.locator("h2.decision").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_without_background_or_sources_nothing_is_claimed(page: Page, tmp_path, encoder):
    with serving(Settings(data=tmp_path, inference_threads=1), encoder) as bare:
        page.goto(bare.url)
        choose(page, STRANGER)
        expect(page.locator("h2.decision")).to_have_text("Nothing to compare with")
        bare.add(1)
        choose(page, variation(1), "second.jpg")
        expect(page.locator("h2.decision")).to_have_text("Compared, but not decided")
        expect(page.locator("#detail > .found")).to_have_count(0)
        expect(page.locator(".similar .name")).to_have_text("1.jpg")


def test_an_image_chosen_before_the_script_has_come_is_asked_about(page: Page, served: Running):
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/index.js", hold)
    page.goto(served.url, wait_until="commit")
    page.locator("#file").set_input_files(upload(variation(4)))
    wait_for(lambda: page.evaluate("1") and late)
    late[0].continue_()
    expect(page.locator("#detail > .found .name").first).to_have_text("4.jpg")
