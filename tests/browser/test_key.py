"""The web page of a service that has keys."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.support.pages import choose
from tests.support.pictures import variation
from tests.support.service import serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, encoder, background):
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as running:
        for seed in range(5):
            running.add(seed)
        yield running


@pytest.fixture
def token(guarded):
    return guarded.service.catalog.keys.create("page", ["query"]).token


def test_the_page_asks_for_a_key_and_keeps_it_out_of_addresses(page: Page, guarded, token):
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(guarded.url)
    expect(page.locator("#access")).to_be_hidden()
    choose(page, variation(2))
    expect(page.locator("#key")).to_be_focused()
    expect(page.locator("#answer")).to_be_hidden()
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    expect(page.locator("#attributed .name").first).to_have_text("2.jpg")
    expect(page.locator("#access")).to_be_hidden()
    shown = page.locator("#attributed img").first
    expect(shown).to_have_attribute("src", re.compile("^blob:"))
    expect(shown).not_to_have_js_property("naturalWidth", 0)
    assert not [address for address in addresses if token in address]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert token not in page.content()


def test_the_key_lasts_as_long_as_the_tab_and_can_be_forgotten(page: Page, guarded, token):
    page.goto(guarded.url)
    choose(page, variation(1))
    page.locator("#key").fill(token)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#attributed .name").first).to_have_text("1.jpg")
    page.reload()
    choose(page, variation(3))
    expect(page.locator("#attributed .name").first).to_have_text("3.jpg")
    page.get_by_role("button", name="Forget my key").click()
    expect(page.locator("#answer")).to_be_hidden()
    choose(page, variation(3))
    expect(page.locator("#key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_wrong_key_is_asked_for_again(page: Page, guarded, token):
    page.goto(guarded.url)
    choose(page, variation(1))
    page.locator("#key").fill("attr_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#access")).to_contain_text(re.compile("not known here"))
    page.locator("#key").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("#attributed .name").first).to_have_text("1.jpg")
