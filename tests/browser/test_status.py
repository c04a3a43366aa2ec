"""The view of the service's state: figures, and what needs attention in words."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import blame, choose
from tests.support.pictures import variation
from tests.support.service import Running

pytestmark = pytest.mark.browser


def test_the_state_is_told_in_figures_and_words(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    page.get_by_role("link", name="Status").click()
    panel = page.locator(".panel")
    expect(panel.filter(has_text="Sources").locator(".figure")).to_have_text("20")
    expect(panel.filter(has_text="Calibration").locator(".figure")).to_have_text("Fresh")
    expect(page.locator(".attention li")).to_have_count(1)
    expect(page.locator(".attention")).to_contain_text("Shares are the encoder's default")
    expect(page.locator(".attention code")).to_have_text("attribution calibrate")
    answered = served.client.get("/v1/index").json()["calibration"]["recent"]["queries"]
    told = page.get_by_role("heading", name=re.compile(f"The last {answered} answer"))
    expect(told).to_be_visible()
    expect(page.locator(".bars span")).to_have_count(10)
    blame(page)
    page.emulate_media(color_scheme="dark")
    blame(page)


def test_what_needs_attention_comes_first_with_what_to_do(page: Page, served: Running):
    index = served.client.get("/v1/index").json()
    index["calibration"]["state"] = "missing"
    index["calibration"]["recent"] |= {
        "evenness": 1e-5, "sameness": 2e-4, "without_source": 0.7, "likened": 400,
        "unlike_background": 60,
    }  # fmt: skip
    troubles = [{"part": "previews", "detail": "Free some space."}]
    page.route("**/v1/index", lambda route: route.fulfill(json=index))
    page.route(
        "**/readyz",
        lambda route: route.fulfill(json={"status": "degraded", "troubles": troubles}),
    )
    page.goto(f"{served.url}#/status")
    expect(page.locator(".attention li b")).to_have_text(
        [
            "The disk fails for previews.",
            "Nothing is decided.",
            "The background no longer resembles what is asked.",
            "What is asked has changed.",
            "15 % of the last images are unlike the background.",
        ]
    )
    expect(page.locator(".attention li").first).to_contain_text("Free some space.")
    expect(page.locator(".panel").last).to_contain_text(
        "does not resemble what is asked (p = 0.00001)"
    )


def test_a_service_that_is_not_ready_is_told(page: Page, served: Running):
    problem = {"title": "Not ready", "detail": "The encoder fails.", "status": 503}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=problem))
    page.goto(f"{served.url}#/status")
    expect(page.locator(".attention li").first).to_contain_text("Queries are not answered.")
    expect(page.locator(".attention li").first).to_contain_text("The encoder fails.")
