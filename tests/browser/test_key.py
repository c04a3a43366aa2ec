"""The web page of a service that has keys."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.support.pages import drop, give_key, upload
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, encoder, background):
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as running:
        for seed in range(5):
            running.add(seed)
        yield running


@pytest.fixture
def issued(guarded):
    return guarded.service.catalog.keys.create("page", ["query"])


def test_the_page_asks_for_a_key_and_keeps_it_out_of_addresses(page: Page, guarded, issued):
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(guarded.url)
    expect(page.locator("#access")).to_be_hidden()
    page.locator("#file").set_input_files(upload(variation(2)))
    expect(page.locator("#key")).to_be_focused()
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("2.jpg")
    expect(page.locator("#access")).to_be_hidden()
    shown = page.locator(".found img").first
    expect(shown).to_have_attribute("src", re.compile("^blob:"))
    expect(shown).not_to_have_js_property("naturalWidth", 0)
    assert not [address for address in addresses if issued.token in address]
    kept = page.evaluate(
        """() => [sessionStorage, localStorage].flatMap((store) =>
          Array.from(store, (_, at) => store.getItem(store.key(at)))).concat(document.cookie)"""
    )
    assert len(kept) > 1, "the name of the tab, at least"
    assert issued.token not in "".join(kept)
    assert issued.token not in page.content()


def test_the_key_ends_with_the_page_and_can_be_forgotten(page: Page, guarded, issued):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(1)))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")
    page.reload()
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")  # kept, not asked
    page.locator("#file").set_input_files(upload(variation(3)))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("3.jpg")
    page.get_by_role("button", name="Forget my key").click()
    expect(page.locator("#work")).to_be_hidden()
    page.locator("#file").set_input_files(upload(variation(3)))
    expect(page.locator("#key")).to_be_focused()


def test_a_wrong_key_is_asked_for_again(page: Page, guarded, issued):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(1)))
    give_key(page, "attr_wrong")
    expect(page.locator("#access")).to_contain_text(re.compile("not known here"))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")


def test_a_key_that_is_revoked_stops_the_asking_until_there_is_another(page: Page, guarded, issued):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(1)))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")
    guarded.service.catalog.keys.revoke(issued.key.key_id)
    drop(page, [(f"{place}.jpg", variation(place)) for place in range(5)])
    expect(page.locator("#access")).to_contain_text(re.compile("revoked"))
    page.get_by_role("button", name="Not now").click()
    expect(page.locator("#notice")).to_have_text("Without a key nothing is compared.")
    page.locator(".back").click()
    expect(page.locator("#access")).to_be_hidden()
    page.get_by_role("button", name="Compare 5 images").click()
    give_key(page, guarded.service.catalog.keys.create("another", ["query"]).token)
    expect(page.get_by_text("6 images answered", exact=True)).to_be_visible()
    expect(page.locator("tr[data-state=problem]")).to_have_count(0)


def test_no_key_is_asked_for_again_by_what_was_on_its_way(page: Page, guarded, issued):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(1)))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")
    guarded.service.catalog.keys.revoke(issued.key.key_id)
    asked, late = [], []

    def hold(route):
        """All but the first, whose refusal makes the page ask for a key."""
        asked.append(route)
        if len(asked) == 1:
            route.continue_()
        else:
            late.append(route)

    page.route("**/v1/attributions*", hold)
    drop(page, [(f"{place}.jpg", variation(place)) for place in range(5)])
    expect(page.locator("#access")).to_contain_text(re.compile("revoked"))
    assert late, "the page sends one at a time: then nothing can be on its way"
    page.get_by_role("button", name="Not now").click()
    expect(page.locator("#notice")).to_have_text("Without a key nothing is compared.")
    while late:
        with page.expect_response(lambda answer: answer.status == 401):
            late.pop().continue_()
        page.wait_for_timeout(100)
        expect(page.locator("#access")).to_be_hidden()


def test_no_picture_stands_under_the_name_of_another_source(page: Page, guarded, issued):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(2)))
    large = []
    page.route("**/thumbnail?size=512", lambda route: large.append(route))  # noqa: PLW0108
    give_key(page, issued.token)
    theirs = page.locator(".stand figure").first.locator("img")
    names = page.locator("#detail .name")

    def choose_next(place):
        names.nth(place).click()
        wait_for(lambda: page.evaluate("1") and large)
        return large.pop()

    expect(names.first).to_have_text("2.jpg")
    page.locator(".similar summary").click()
    wait_for(lambda: page.evaluate("1") and large)
    older = large.pop()
    choose_next(1).fulfill(content_type="image/jpeg", body=shown(20, 40))
    expect(theirs).to_have_js_property("naturalWidth", 20)
    with page.expect_response(lambda answer: answer.url == older.request.url):
        older.fulfill(content_type="image/jpeg", body=shown(40, 20))
    page.wait_for_timeout(100)
    expect(theirs).to_have_js_property("naturalWidth", 20)
    gone = {"title": "Preview missing", "detail": "Restore it.", "request_id": "req_1"}
    choose_next(2).fulfill(status=404, json=gone)
    expect(theirs).to_have_js_property("naturalWidth", 0)


def shown(width, height):
    return jpeg(picture(1).resize((width, height)))


def test_a_key_is_forgotten_also_where_the_browser_keeps_nothing_any_more(
    page: Page, guarded, issued
):
    page.goto(guarded.url)
    page.locator("#file").set_input_files(upload(variation(1)))
    give_key(page, issued.token)
    expect(page.locator("#detail > .found .name").first).to_have_text("1.jpg")
    page.evaluate(
        """() => { IDBDatabase.prototype.transaction = () => {
          throw new DOMException("closed", "InvalidStateError"); }; }"""
    )
    page.get_by_role("button", name="Forget my key").click()
    expect(page.get_by_role("button", name="Forget my key")).to_be_hidden()
