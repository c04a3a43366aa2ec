"""The view of what is held: thousands of sources, found, added, changed and removed."""

import json
import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from app.settings import Settings
from attribution.catalog.schema import sources
from tests.support.pages import SLIT, blame, drop
from tests.support.pictures import jpeg, picture
from tests.support.service import Running, serving
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

MANY = 5000
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def held(tmp_path_factory, encoder, background):
    """Three sources that a query can find, and thousands that are only listed."""
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as running:
        running.client.put("/v1/collections/prints")
        for seed in range(3):
            running.add(seed)
        running.add(2, collection="prints")
        fill(running)
        yield running


def fill(running: Running) -> None:
    """Rows alone, which is all that a list is made of; they share the preview of the first."""
    now = datetime.now(UTC)
    with running.service.catalog._database.write() as connection:
        preview = connection.execute(sa.select(sources.c.preview).limit(1)).scalar_one()
        rows = [
            {"source_id": f"src_{number:020d}".translate(LETTERS), "collection": "prints",
             "sha256": f"{number:064x}", "uri": f"prints/{number}.jpg", "title": f"Print {number}",
             "creator": "Ada", "licence": "CC0-1.0", "metadata": {}, "width": 96, "height": 72,
             "format": "jpeg", "preview": preview, "created_at": now, "updated_at": now,
             "revision": 1}
            for number in range(MANY)
        ]  # fmt: skip
        connection.execute(sa.insert(sources), rows)


LETTERS = str.maketrans("0189", "abcd")  # ids know no such digits


def test_thousands_scroll(page: Page, held: Running):
    pages = []
    page.set_viewport_size(SLIT)
    page.on("request", lambda sent: pages.append(sent.url) if "/v1/sources?" in sent.url else None)
    page.goto(f"{held.url}#/sources")
    expect(page.locator("#sources .headline p")).to_have_text("5,004 sources held")
    expect(page.locator(".card .name").first).to_have_text("Print 4999")
    assert len(pages) < 4, "only what is looked at is asked for"
    page.add_style_tag(content=".card img { display: none }")  # a thousand thumbnails take long
    wait_for(
        lambda: page.evaluate(
            """() => {
              scrollTo(0, document.body.scrollHeight);
              return document.querySelector("#sources .more button").hidden;
            }"""
        )
    )
    expect(page.locator(".card")).to_have_count(MANY + 4)
    expect(page.locator(".card .name").last).to_have_text("0.jpg")


def test_sources_are_found_by_what_is_known_of_them(page: Page, held: Running):
    page.goto(f"{held.url}#/sources")
    told = page.locator("#sources .headline p")
    page.get_by_label("Title, creator, uri").fill("PRINT 499")
    expect(told).to_have_text("11 sources found")
    page.get_by_label("Licence", exact=True).fill("CC-BY-4.0")
    expect(told).to_have_text("No source is like that.")
    page.get_by_label("Licence", exact=True).fill("")
    page.get_by_label("Title, creator, uri").fill("")
    page.get_by_label("Collection").select_option("default")
    expect(told).to_have_text("3 sources held")
    page.get_by_label("Added from").fill("2999-01-01")
    expect(told).to_have_text("No source is like that.")
    page.get_by_label("Added from").fill("")
    page.get_by_label("Collection").select_option("")
    page.get_by_label("Only copies").check()
    expect(told).to_have_text("2 sources found")
    expect(page.locator(".group .card .name")).to_have_text(["2.jpg", "2.jpg"])


def test_a_dropped_image_is_added_changed_and_taken_down(page: Page, held: Running):
    page.goto(f"{held.url}#/sources")
    expect(page.locator(".card").first).to_be_visible()
    drop(page, [("new.jpg", jpeg(picture(50)))])
    page.get_by_label("or a new one").fill("fresh")
    page.get_by_label("Title", exact=True).fill(HOSTILE)
    page.get_by_label("Creator", exact=True).fill("Bo")
    page.get_by_role("button", name="Add 1 image").click()
    card = page.locator(".card").first
    expect(card.locator(".name")).to_have_text(HOSTILE)
    card.locator("a").click()
    opened = page.locator("dialog.wide")
    expect(opened.locator("h2")).to_have_text(HOSTILE)
    blame(page)
    opened.get_by_role("button", name="Edit").click()
    opened.get_by_label("Title").fill("A quay")
    opened.get_by_label("Creator").fill("")
    opened.get_by_label("Metadata").fill("{broken")
    opened.get_by_role("button", name="Save").click()
    expect(opened.get_by_role("alert")).to_contain_text("not valid JSON")
    opened.get_by_label("Metadata").fill('{"camera": "X100"}')
    opened.get_by_role("button", name="Save").click()
    expect(opened.locator("h2")).to_have_text("A quay")
    expect(opened.locator("dl").last).to_contain_text("X100")
    [source] = held.client.get("/v1/sources", params={"collection": "fresh"}).json()["items"]
    assert (source["title"], source["creator"]) == ("A quay", None)
    assert (source["uri"], source["metadata"]) == ("new.jpg", {"camera": "X100"})
    expect(page.locator(".card .name").first).to_have_text("A quay")
    opened.get_by_role("button", name="Take down…").click()
    asking = page.locator("dialog").last
    asking.get_by_role("button", name="Take down").click()
    expect(asking).to_be_visible()  # not without a reason
    asking.get_by_label("Reason").fill("asked for by Bo")
    asking.get_by_role("checkbox").check()
    asking.get_by_role("button", name="Take down").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".card .name").first).to_have_text("Print 4999")
    again = held.client.post("/v1/sources", files={"file": jpeg(picture(50))})
    assert again.status_code == 409
    drop(page, [("new.jpg", jpeg(picture(50))), ("broken.jpg", b"no image")])
    page.get_by_role("button", name="Add 2 images").click()
    expect(page.locator(".refused li")).to_have_count(2)
    expect(page.locator(".refused")).to_contain_text("cannot be added again")


def test_a_change_that_somebody_else_made_is_not_written_over(page: Page, held: Running):
    source = held.client.get("/v1/sources", params={"uri": "1.jpg"}).json()["items"][0]
    page.goto(f"{held.url}#/sources/{source['source_id']}")
    opened = page.locator("dialog.wide")
    opened.get_by_role("button", name="Edit").click()
    path = f"/v1/sources/{source['source_id']}"
    assert held.client.patch(path, json={"title": "theirs"}).status_code == 200
    opened.get_by_label("Title").fill("mine")
    opened.get_by_role("button", name="Save").click()
    expect(opened.get_by_role("alert")).to_contain_text("read it again")
    assert held.client.get(path).json()["title"] == "theirs"


def test_similar_ones_and_copies_of_a_source(page: Page, held: Running):
    source = held.client.get("/v1/sources", params={"uri": "2.jpg"}).json()["items"][0]
    again = ("again.jpg", jpeg(picture(2), quality=40))
    added = held.client.post("/v1/sources", files={"file": again}).json()["source"]
    page.goto(f"{held.url}#/sources/{source['source_id']}")
    page.get_by_role("button", name="Similar to this one").click()
    expect(page.get_by_role("heading", name="Held 3 times")).to_be_visible()
    twins = page.locator(".beside ul").first.locator(".card")
    expect(twins).to_have_count(2)
    expect(twins.filter(has_text="2.jpg")).to_contain_text("the very same file")
    expect(twins.filter(has_text="again.jpg")).to_contain_text("the same picture, in another file")
    similar = page.locator(".beside ul").last
    expect(similar.locator(".name")).to_have_count(2)
    similar.locator("a").first.click()
    expect(page.locator("dialog.wide")).to_have_count(1)
    expect(page.locator("dialog.wide h2")).not_to_have_text("2.jpg")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{held.url}/#/sources")
    held.client.delete(f"/v1/sources/{added['source_id']}")


def test_what_an_owner_says_about_training_is_shown(page: Page, held: Running):
    metadata = {"data_mining": "DMI-PROHIBITED-AIMLTRAINING", "Training": "allowed", "Id": "DAM-1"}
    said = json.dumps({"title": "Kept", "metadata": metadata})
    files = {"file": ("kept.jpg", jpeg(picture(60))), "metadata": (None, said)}
    added = held.client.post("/v1/sources", files=files).json()["source"]
    page.goto(f"{held.url}#/sources")
    card = page.locator(".card").filter(has_text="Kept")
    expect(card.locator(".badge")).to_have_text("May not be trained on")
    expect(page.locator(".card .badge")).to_have_count(1)
    card.locator("a").click()
    shown = page.locator("dialog.wide dl").first
    expect(shown).to_contain_text("May not be trained on (DMI-PROHIBITED-AIMLTRAINING)")
    expect(shown).to_contain_text(added["source_id"])
    expect(page.locator("dialog.wide dl").last).to_contain_text("DAM-1")
    held.client.delete(f"/v1/sources/{added['source_id']}")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Sunset;=cmd|' /C calc'!A0", "Sunset;'=cmd|' /C calc'!A0"),
        ("\n  +1+2", '"\n  \'+1+2"'),
        ("=1", "'=1"),
        ("-1.5", "-1.5"),
        ("quay - dusk", "quay - dusk"),
    ],
)
def test_no_cell_of_a_csv_file_is_a_formula(page: Page, held: Running, text, written):
    page.goto(held.url)
    found = page.evaluate("text => import('/web/sheet.js').then(({ field }) => field(text))", text)
    assert found == written


def test_several_are_chosen_and_deleted(page: Page, held: Running):
    for seed in (70, 71):
        held.add(seed, collection="prints")
    page.goto(f"{held.url}#/sources")
    for name in ("70.jpg", "71.jpg"):
        page.get_by_role("checkbox", name=f"Choose {name}").check()
    page.locator(".chosen").get_by_role("button", name="Delete…").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#toast")).to_have_text("2 sources deleted")
    expect(page.locator(".card .name").first).to_have_text("Print 4999")
    assert held.client.get("/v1/sources", params={"uri": "70.jpg"}).json()["items"] == []


def test_a_page_that_fails_is_not_the_end_of_the_list(page: Page, held: Running):
    refused = {"title": "Catalog unavailable", "detail": "Later.", "request_id": "req_1"}
    page.route("**/v1/sources?*", lambda route: route.fulfill(status=503, json=refused), times=1)
    page.goto(f"{held.url}#/sources")
    expect(page.locator("#sources").get_by_role("alert")).to_contain_text("Catalog unavailable")
    expect(page.locator("#sources .headline p")).not_to_contain_text("Nothing is held")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("#sources").get_by_role("alert")).to_be_hidden()


def test_what_was_typed_before_leaving_is_found_on_return(page: Page, held: Running):
    page.goto(f"{held.url}#/sources")
    expect(page.locator(".card").first).to_be_visible()
    page.get_by_label("Title, creator, uri").fill("PRINT 499")
    page.evaluate("location.hash = '#/status'")
    page.wait_for_timeout(400)  # longer than what is typed is waited for
    page.evaluate("location.hash = '#/sources'")
    expect(page.locator(".card")).to_have_count(11)


def test_a_source_is_left_by_the_browsers_back_and_the_focus_returns(page: Page, held: Running):
    page.goto(f"{held.url}#/sources")
    link = page.locator(".card a").first
    link.press("Enter")
    expect(page.locator("dialog.wide")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.wide")).to_have_count(0)
    expect(link).to_be_focused()
    link.press("Enter")
    expect(page.locator("dialog.wide")).to_be_visible()
    page.go_back()
    expect(page.locator("dialog.wide")).to_have_count(0)


def test_metadata_that_is_no_object_changes_nothing(page: Page, held: Running):
    said = json.dumps({"metadata": {"camera": "X100"}})
    files = {"file": ("kept.jpg", jpeg(picture(61))), "metadata": (None, said)}
    source_id = held.client.post("/v1/sources", files=files).json()["source"]["source_id"]
    page.goto(f"{held.url}#/sources/{source_id}")
    opened = page.locator("dialog.wide")
    late = []
    page.route("**/v1/attributions*", lambda route: late.append(route))  # noqa: PLW0108
    opened.get_by_role("button", name="Similar to this one").click()
    opened.get_by_role("button", name="Edit").click()
    for text in ("null", '["a"]'):
        opened.get_by_label("Metadata").fill(text)
        opened.get_by_role("button", name="Save").click()
        expect(opened.get_by_role("alert")).to_contain_text("has to be an object")
    wait_for(lambda: page.evaluate("1") and late)
    with page.expect_response("**/v1/attributions*"):
        late.pop().continue_()
    page.wait_for_timeout(100)
    expect(opened.get_by_label("Metadata")).to_have_value('["a"]')  # what is typed stays
    kept = held.client.get(f"/v1/sources/{source_id}").json()
    assert kept["metadata"] == {"camera": "X100"}
    held.client.delete(f"/v1/sources/{source_id}")


def test_what_was_added_before_the_dialogue_is_closed_is_told(page: Page, held: Running):
    page.goto(f"{held.url}#/sources")
    expect(page.locator(".card").first).to_be_visible()
    late = []
    page.route("**/v1/sources?*", lambda route: late.append(route)
               if route.request.method == "POST" else route.continue_())  # fmt: skip
    drop(page, [(f"{seed}.jpg", jpeg(picture(seed))) for seed in range(80, 86)])
    page.get_by_role("button", name="Add 6 images").click()
    wait_for(lambda: page.evaluate("1") and len(late) == 3)
    page.get_by_role("button", name="Close").last.click()
    for route in late:
        route.continue_()
    expect(page.locator("#toast")).to_have_text("3 sources added")
    expect(page.locator(".card .name").first).to_have_text(re.compile(r"8[012]\.jpg"))
    newest = held.client.get("/v1/sources", params={"order": "newest", "limit": 3})
    for source in newest.json()["items"]:
        held.client.delete(f"/v1/sources/{source['source_id']}")


def test_what_a_takedown_could_not_erase_is_told(page: Page, held: Running):
    source = held.add(90)["source"]
    page.goto(f"{held.url}#/sources/{source['source_id']}")
    done = {"source_ids": [source["source_id"]], "missing": [], "generation": 1,
            "taken_down": [source["sha256"]], "remaining": ["previews/x"]}  # fmt: skip
    page.route("**/v1/sources/delete", lambda route: route.fulfill(status=202, json=done))
    page.locator("dialog.wide").get_by_role("button", name="Take down…").click()
    asking = page.locator("dialog").last
    asking.get_by_label("Reason").fill("asked for by Bo")
    asking.get_by_role("checkbox").check()
    asking.get_by_role("button", name="Take down").click()
    expect(asking.get_by_role("alert")).to_contain_text("1 file could not be removed")
    asking.get_by_role("button", name="Close").last.click()
    held.client.delete(f"/v1/sources/{source['source_id']}")
