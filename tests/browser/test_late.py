"""What comes late, twice or not at all never stands in the place of what was asked last."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.pages import choose, drop, upload
from tests.support.pictures import variation
from tests.support.service import Running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser


class Held:
    """Requests that are let go one by one."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.routes: list[Route] = []
        page.route(address, lambda route: self.routes.append(route))  # noqa: PLW0108 - or it waits

    def next(self) -> Route:
        wait_for(lambda: self.page.evaluate("1") and self.routes)
        return self.routes.pop(0)


def test_the_answer_to_an_older_question_is_not_shown(page: Page, served: Running):
    page.goto(served.url)
    held = Held(page, "**/v1/attributions*")
    page.locator("#file").set_input_files(upload(variation(7)))
    older = held.next()
    page.locator("#question summary").click()
    page.get_by_label("False attributions").select_option("0.05")
    page.get_by_role("button", name="Ask again").click()
    older.continue_()
    held.next().continue_()
    expect(page.locator(".record")).to_contain_text(", 0.05")


def test_an_image_forgotten_by_two_clicks_takes_no_other_with_it(page: Page, served: Running):
    page.goto(served.url)
    drop(page, [("a.jpg", variation(7)), ("b.jpg", variation(3))])
    expect(page.get_by_text("2 images answered", exact=True)).to_be_visible()
    page.get_by_role("link", name="a.jpg").click()
    forget = page.get_by_role("button", name="Forget", exact=True)
    forget.evaluate("button => { button.click(); button.click(); }")
    expect(page.locator("tbody tr a.name")).to_have_text(["b.jpg"])


def test_an_image_chosen_before_the_kept_ones_are_there_replaces_none(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7), "kept.jpg")
    script = Held(page, "**/index.js")
    page.reload(wait_until="commit")
    page.locator("#file").set_input_files(upload(variation(4), "new.jpg"))
    script.next().continue_()
    expect(page.locator("tbody tr a.name")).to_have_text(["kept.jpg", "new.jpg"])


def test_regions_are_named_by_what_is_held_when_they_are_drawn(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    newer = {"file": ("newer.jpg", variation(7))}
    added = served.client.post("/v1/sources", files=newer).json()["source"]
    page.get_by_role("radio", name="Regions").check()
    expect(page.locator(".legend li").first).to_contain_text("newer.jpg")
    served.client.delete(f"/v1/sources/{added['source_id']}")


def test_three_views_of_the_maps_ask_for_them_once(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    held = Held(page, "**/v1/attributions?explain=true")
    for name in ("Where alike", "Evidence", "Regions"):
        page.get_by_role("radio", name=name).check()
    held.next().continue_()
    expect(page.locator(".legend li").first).to_contain_text("7.jpg")
    assert held.routes == []


def test_a_source_whose_picture_is_missing_hides_no_other(page: Page, served: Running):
    page.goto(served.url)
    gone = {"title": "Preview missing", "detail": "Restore it.", "request_id": "req_1"}
    page.route("**/thumbnail?size=512", lambda route: route.fulfill(status=404, json=gone), times=1)
    choose(page, variation(7))
    theirs = page.locator(".stand figure").first.locator("img")
    expect(theirs).to_be_hidden()
    page.locator(".similar summary").click()
    page.locator(".similar .name").first.click()
    expect(theirs).to_be_visible()


def test_a_browser_that_keeps_nothing_has_answers_all_the_same(page: Page, served: Running):
    page.add_init_script(
        """for (const name of ["sessionStorage", "indexedDB"]) {
          const get = () => { throw new DOMException("denied", "SecurityError"); };
          Object.defineProperty(window, name, { get });
        }"""
    )
    page.goto(served.url)
    choose(page, variation(7))
    expect(page.locator("h2.decision")).to_have_text(re.compile("Source found|sources found"))


def test_a_collection_that_is_gone_is_asked_for_no_more(page: Page, served: Running):
    served.client.put("/v1/collections/passing")
    page.goto(served.url)
    options = page.locator("#question summary")
    options.click()
    page.get_by_role("checkbox", name="passing").check()
    expect(page.locator("#question .said")).to_have_text("passing")
    served.client.delete("/v1/collections/passing")
    options.click()
    options.click()
    expect(page.locator("#question .said")).to_have_text("")


def test_a_file_that_cannot_be_read_takes_no_dropped_one_with_it(page: Page, served: Running):
    page.goto(served.url)
    names = page.evaluate(
        """async () => {
          const { filesOf } = await import("/web/files.js");
          const entry = (name, file) => ({ name, isFile: true, file });
          const entries = [
            entry("gone.jpg", (_, reject) => reject(new DOMException("gone", "NotFoundError"))),
            entry("there.jpg", (resolve) => resolve(new File(["x"], "there.jpg"))),
          ];
          const found = await filesOf({ items: entries.map((each) => (
            { kind: "file", webkitGetAsEntry: () => each })) });
          return found.map(({ name }) => name);
        }"""
    )
    assert names == ["there.jpg"]
    expect(page.locator("#toast")).to_have_text("Left out, since it cannot be read: 1 entry")
