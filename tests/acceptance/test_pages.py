"""The pages in a real Chromium, in front of real workers; the screenshots of the docs come from here."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator.web.pages import every_page
from tests.acceptance.web_deployment import LABELLED, WebDeployment, labelled, web_deployment

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"), pytest.mark.timeout(400)]

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: What the browser notes of a form that is shown again because of what was filled in.
FORM_AGAIN = "responded with a status of 422"
#: What htmx notes of a preview that a later one took the place of.
REPLACED = ("htmx:afterRequest", "htmx:sendAbort")
#: Says of each chart whether anything stands where its figures do.
DRAWN = """() => [...document.querySelectorAll('.chart canvas')].map(canvas => {
    const {width, height} = canvas, pixels = canvas.getContext('2d').getImageData(80, 0, width - 80, height * 0.8).data;
    const colours = new Set();
    for (let n = 0; n < pixels.length; n += 4) if (pixels[n + 3] === 255) colours.add(pixels.slice(n, n + 3).join());
    return colours.size > 1;
})"""
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SLOW_MS = 60_000
AXE = Path(AXE_FILE_PATH).read_text("utf-8")


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Iterator[WebDeployment]:
    with web_deployment(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def triaged(web) -> str:
    job = web.submit("triage", 80)
    web.wait(job, timeout_s=180)
    return job


@pytest.fixture
def page(web, browser):
    """A page that is logged in; what the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 820})
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    playwright.expect.set_options(timeout=SLOW_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(f"{web.url}/")
    page.get_by_label("Token").fill(web.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{web.url}/")
    yield page
    context.close()
    assert [text for text in complaints if FORM_AGAIN not in text and not text.startswith(REPLACED)] == []


def picture(page, name: str) -> None:
    """Keep a screenshot for the docs, when asked to (FIRSTLINE_TEST_IMAGES=1)."""
    if os.environ.get("FIRSTLINE_TEST_IMAGES"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=str(IMAGES / f"{name}.png"))


def test_a_job_is_submitted_and_followed_to_its_end_without_reloading(web, page):
    page.get_by_role("link", name="New job").click()
    page.get_by_label("Workflow or skill").select_option("sort_ticket")
    page.get_by_label("Or type them: a JSON object a line, or CSV").fill('{"id": "a", "body": "Where is it?"}')
    playwright.expect(page.locator("#from-text")).to_have_value("body")
    playwright.expect(page.get_by_text("Expected cost")).to_be_visible()
    assert obstacles(page) == []
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/*")
    page.evaluate("document.body.dataset.mark = 'same page'")
    playwright.expect(page.get_by_role("status")).to_have_text("done", timeout=SLOW_MS)
    assert page.evaluate("document.body.dataset.mark") == "same page"
    playwright.expect(page.locator("svg.plan")).to_contain_text("1 of 1")


def test_a_job_shows_its_plan_with_figures_and_its_items_by_filter(web, page, triaged):
    page.goto(f"{web.url}/jobs")
    page.get_by_role("link", name="triage", exact=True).first.click()
    plan = page.locator("svg.plan")
    for text in ("sort", "reply", "check_topic", "80 of 80", "↑"):
        playwright.expect(plan).to_contain_text(text)
    playwright.expect(page.locator(".chart canvas")).to_have_count(3)
    assert all(page.evaluate(DRAWN)), "a chart is empty"
    dollars = page.locator(".chart", has_text="Dollars")
    dollars.get_by_text("As a table").click()
    playwright.expect(dollars.get_by_role("columnheader", name="all on the top tier")).to_be_visible()
    dollars.get_by_text("As a table").click()
    picture(page, "job")
    page.get_by_label("Ended on").select_option("frontier")
    rows = page.locator("#items tbody tr")
    playwright.expect(rows.locator(".tier", has_text="cheap")).to_have_count(0)
    assert rows.count() > 0
    page.get_by_label("Ended on").select_option("")
    page.get_by_label("Id", exact=True).fill("T-1042")
    playwright.expect(rows).to_have_count(1)
    page.get_by_label("Id", exact=True).fill("")
    page.get_by_role("link", name="2", exact=True).click()
    playwright.expect(rows.first).to_contain_text("T-1050")
    page.get_by_label("Sorted by").select_option("cost")
    page.wait_for_url("**?sort=cost")
    playwright.expect(rows.first.locator(".tier")).to_have_text("frontier")
    page.reload()
    playwright.expect(page.get_by_label("Sorted by")).to_have_value("cost")
    playwright.expect(rows.first.locator(".tier")).to_have_text("frontier")


def test_an_item_shows_cheap_beside_frontier_and_why_it_climbed(web, page, triaged):
    with web.client() as client:
        item = client.get(f"/v1/jobs/{triaged}/items", params={"tier": "frontier"}).json()["items"][0]
    page.goto(f"{web.url}/jobs/{triaged}/items/{item['n']}")
    cheap = page.locator(".attempt", has=page.locator(".badge.escalate")).first
    frontier = page.locator(".attempt", has=page.locator(".tier", has_text="frontier")).first
    playwright.expect(cheap).to_contain_text("Climbs because")
    playwright.expect(cheap.locator(".checks .failed")).to_contain_text("schema")
    playwright.expect(frontier).to_contain_text("Accepted because")
    left, right = cheap.bounding_box(), frontier.bounding_box()
    assert left["x"] + left["width"] <= right["x"]
    assert abs(left["y"] - right["y"]) < 2
    picture(page, "item")


def test_another_model_is_asked_about_an_item_and_its_answer_taken(web, page, triaged):
    page.goto(f"{web.url}/jobs/{triaged}/items/0")
    step = page.locator("#at-check_topic")
    step.get_by_text("Ask again on another model").click()
    model = step.get_by_label("Model")
    playwright.expect(model.locator("option").last).to_contain_text("frontier: openai/frontier, about $")
    assert obstacles(page) == []
    model.select_option("openai/frontier")
    step.get_by_role("button", name="Ask once").click()
    second = step.locator(".second")
    playwright.expect(second.get_by_role("button", name="Take this answer")).to_be_visible(timeout=SLOW_MS)
    playwright.expect(second.locator("pre")).to_contain_text("topic")
    assert obstacles(page) == []
    page.on("dialog", lambda dialog: dialog.accept())
    second.get_by_role("button", name="Take this answer").click()
    playwright.expect(second).to_contain_text("It stands in place")
    playwright.expect(page.get_by_text("the answer of openai/frontier")).to_be_visible()


def test_money_and_quality_are_summed_up(web, page, triaged):
    page.get_by_role("link", name="Money").click()
    playwright.expect(page.get_by_text("Saved")).to_be_visible()
    playwright.expect(page.get_by_role("row", name="sort_ticket")).to_contain_text("calls")
    picture(page, "money")
    page.get_by_role("link", name="Quality").click()
    playwright.expect(page.get_by_role("row", name="openai/cheap")).to_contain_text("%")
    playwright.expect(page.locator(".chart canvas")).to_have_count(2)
    page.get_by_role("link", name="Failures").click()
    playwright.expect(page.get_by_role("row", name="off schema")).to_be_visible()


def test_a_person_answers_a_question_and_the_item_settles(web, page):
    job = web.submit("tricky", 1)
    web.wait(job, timeout_s=120)
    page.get_by_role("link", name="Reviews").click()
    page.get_by_role("row", name="tricky").get_by_role("link").first.click()
    assert obstacles(page) == []
    page.get_by_label("amount").fill("41")
    page.get_by_label("reason").select_option("late")
    page.get_by_role("button", name="Answer").click()
    playwright.expect(page.get_by_role("alert")).to_contain_text("expression")
    playwright.expect(page.get_by_label("amount")).to_have_value("41")
    page.get_by_label("amount").fill("42")
    page.get_by_role("button", name="Answer").click()
    page.wait_for_url("**/reviews")
    assert web.wait(job, timeout_s=60) == "done"
    with web.client() as client:
        assert '"amount":42' in client.get(f"/v1/jobs/{job}/results").text


def test_models_are_compared_and_one_becomes_the_skills(web, page, triaged):
    page.goto(f"{web.url}/compare?workflow=sort_ticket")
    page.get_by_label("Model 1").select_option("openai/cheap")
    page.get_by_label("Model 2").select_option("openai/frontier")
    items = "\n".join(f'{{"id": "{n}", "text": "Ticket number {n}"}}' for n in range(4))
    page.get_by_label("Items (a JSON object a line, or CSV)").fill(items)
    page.get_by_role("button", name="Compare").click()
    playwright.expect(page.get_by_role("heading", name="Outputs")).to_be_visible(timeout=120_000)
    playwright.expect(page.locator(".outputs tbody tr")).to_have_count(4)
    picture(page, "compare")
    assert obstacles(page) == []
    page.get_by_role("button", name="Start sort_ticket on openai/frontier").click()
    playwright.expect(page.locator(".diff").first).to_contain_text("start: frontier")
    assert obstacles(page) == []
    page.get_by_role("button", name="Write").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("starts on tier frontier")
    assert load_catalogue().skill("sort_ticket").policy.start == "frontier"


def test_a_calibration_is_begun_and_watched_to_its_end(web, page):
    page.get_by_role("link", name="Quality").click()
    page.get_by_role("link", name="Calibrate").first.click()
    page.get_by_label("Workflow or skill").select_option("sort_ticket")
    page.get_by_label("Or type them: a JSON object a line, or CSV").fill('{"text": "Where is it?"}')
    page.get_by_role("button", name="Calibrate").click()
    page.wait_for_url("**/calibrate/*")
    playwright.expect(page.get_by_role("status")).to_have_text("failed", timeout=SLOW_MS)
    playwright.expect(page.locator("#experiment")).to_contain_text("confidence")
    assert obstacles(page) == []


def typed(first: int, end: int) -> str:
    return "\n".join(json.dumps(labelled(n)) for n in range(first, end))


def test_a_calibration_ends_in_a_certificate_that_the_next_job_uses(web, page):
    page.goto(f"{web.url}/calibrate?workflow=label_ticket")
    page.get_by_label("Models (profile)").select_option("sure")
    page.get_by_label("Or type them: a JSON object a line, or CSV").fill(typed(0, 240))
    page.get_by_label("Labels").fill("120")
    playwright.expect(page.locator("#preview")).to_contain_text("The first 10 rows")
    page.get_by_role("button", name="Calibrate").click()
    page.wait_for_url("**/calibrate/*")
    progress = page.get_by_role("img", name="of 240 items ended")
    playwright.expect(progress.first).to_be_visible(timeout=SLOW_MS)
    playwright.expect(page.get_by_role("status")).to_have_text("done", timeout=180_000)
    kept = page.get_by_role("row", name="label_ticket")
    playwright.expect(kept).to_contain_text("openai/small")
    playwright.expect(kept).to_contain_text("10.0%")
    page.wait_for_function(f"({DRAWN})().every(Boolean)")
    playwright.expect(page.locator(".chart canvas")).to_have_count(1)
    assert obstacles(page) == []
    begun = page.url
    page.get_by_role("navigation", name="Where").get_by_role("link", name="Calibrate").click()
    listed = page.get_by_role("row", name="label_ticket")
    playwright.expect(listed).to_contain_text("Accept at confidence")
    assert begun.endswith(listed.get_by_role("link").get_attribute("href"))
    page.goto(f"{web.url}/quality")
    playwright.expect(page.locator("figure", has_text="label_ticket: openai/small")).to_be_visible()

    job = web.submit("label_ticket", [labelled(n) for n in range(240, 280)], profile="sure")
    assert web.wait(job, timeout_s=120) == "done"
    page.goto(f"{web.url}/jobs/{job}/report")
    playwright.expect(page.get_by_text(re.compile("at most 10(.0)?% of"))).to_be_visible()
    with web.client() as client:
        climbed = [one["n"] for one in client.get(f"/v1/jobs/{job}/items?tier=frontier").json()["items"]]
    page.goto(f"{web.url}/jobs/{job}/items/{climbed[0]}")
    playwright.expect(page.locator(".because.escalate")).to_contain_text("calibrated")
    assert obstacles(page) == []


def test_a_tuning_is_begun_watched_and_applied_once_its_files_were_seen(web, page):
    page.goto(f"{web.url}/quality")
    page.get_by_role("link", name="Tune", exact=True).click()
    page.get_by_label("Workflow or skill").select_option("label_ticket")
    page.get_by_label("Models (profile)").select_option("sure")
    page.get_by_label("Or type them: a JSON object a line, or CSV").fill(typed(0, LABELLED))
    page.get_by_label("Loss to bear").fill("0.1")
    page.get_by_label("Labels").fill("120")
    page.get_by_label("Examples").fill("0")
    page.get_by_label("Column with the right answers").fill("gold")
    page.get_by_label("Field of the answer that is compared with it").fill("label")
    playwright.expect(page.locator("#cost")).to_contain_text("this costs at most $")
    assert obstacles(page) == []
    page.get_by_role("button", name="Tune").click()
    page.wait_for_url("**/tune/*")
    begun = page.url
    playwright.expect(page.get_by_role("img", name="items ended").first).to_be_visible(timeout=SLOW_MS)
    playwright.expect(page.get_by_role("button", name="Apply")).to_be_visible(timeout=240_000)
    playwright.expect(page.get_by_role("status")).to_have_text("done")
    playwright.expect(page.get_by_role("row", name="openai/small")).to_contain_text("certified: taken from confidence")
    page.wait_for_function(f"({DRAWN})().every(Boolean)")
    playwright.expect(page.locator(".chart canvas")).to_have_count(1)
    assert obstacles(page) == []
    picture(page, "tuning")
    page.get_by_role("button", name="Apply").click()
    playwright.expect(page.locator(".diff")).to_contain_text("+name: label_ticket-tuned")
    assert "label_ticket-tuned" not in load_catalogue().profiles.entries
    assert obstacles(page) == []
    page.get_by_role("button", name="Write 1 file").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("1 calibration stored")
    applied = load_catalogue().profile("label_ticket-tuned")
    assert [[model.name for model in tier.models] for tier in applied.ladder] == [["openai/small"], ["openai/large"]]
    page.goto(f"{web.url}/tune")
    listed = page.get_by_role("row", name="label_ticket")
    playwright.expect(listed).to_contain_text("this saves")
    assert begun.endswith(listed.get_by_role("link").get_attribute("href"))
    page.goto(f"{web.url}/quality")
    page.get_by_role("row", name="this saves").get_by_role("link", name="label_ticket").first.click()
    page.wait_for_url("**/tunings/*")


def test_a_tuning_that_is_cancelled_sends_no_more(web, page):
    # Its models are so slow that a job of it is under way whenever somebody cancels.
    profile = web.deployment.profile()
    models = [tier.models[0].evolve(name=f"openai/slow-{tier.name}") for tier in profile.tiers]
    tiers = tuple(tier.evolve(models=(model,)) for tier, model in zip(profile.tiers, models, strict=True))
    (web.folder / "home/tiers/slowly.yaml").write_text(as_yaml(profile.evolve(name="slowly", tiers=tiers)))
    page.goto(f"{web.url}/tune?workflow=sort_ticket")
    page.get_by_label("Models (profile)").select_option("slowly")
    page.get_by_label("Or type them: a JSON object a line, or CSV").fill(typed(0, LABELLED))
    page.get_by_label("Loss to bear").fill("0.1")
    playwright.expect(page.locator("#cost")).to_contain_text("this costs at most $")
    page.get_by_role("button", name="Tune").click()
    page.wait_for_url("**/tune/*")
    playwright.expect(page.get_by_role("img", name="items ended").first).to_be_visible(timeout=SLOW_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    playwright.expect(page.get_by_role("status")).to_have_text("cancelled")
    playwright.expect(page.locator("#experiment")).to_contain_text("Ada cancelled it")
    playwright.expect(page.locator("#experiment .line .badge").last).to_have_text("cancelled")
    sent = page.locator("#experiment .line").count()
    page.goto(f"{web.url}/jobs?purpose=tune")
    playwright.expect(page.locator("main .badge.running")).to_have_count(0)
    assert page.get_by_role("link", name="tune sort_ticket on").count() == sent


def test_a_workflow_is_built_as_a_graph_tried_and_saved(web, page):
    page.goto(f"{web.url}/workflows/triage")
    page.get_by_label("Skill of a new step").select_option("tricky")
    page.get_by_role("button", name="Add a step").click()
    playwright.expect(page.locator("#node-tricky")).to_be_visible()
    settled(page)
    page.locator("#node-sort").drag_to(page.locator("#node-tricky"))
    playwright.expect(page.get_by_label("YAML")).to_have_value(re.compile(r"skill: tricky\s+after:\s+- sort"))
    settled(page)
    page.locator("#node-check_topic").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_label("Name", exact=True)).to_have_value("check_topic")
    settled(page)
    page.get_by_label("Model", exact=True).select_option("cheap")
    page.get_by_role("button", name="Apply").click()
    playwright.expect(page.locator("#node-check_topic")).to_contain_text("starts on cheap")
    settled(page)
    page.get_by_label("A sample").fill('{"text": "Where is my parcel?"}')
    page.get_by_role("button", name="Run this step").click()
    playwright.expect(page.locator("#tried .badge")).to_have_text("settled", timeout=SLOW_MS)
    picture(page, "workflow")
    page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_text("Saved.")).to_be_visible()
    saved = {step.name: step for step in load_catalogue().workflow("triage").steps}
    assert saved["check_topic"].policy.start == "cheap"
    assert "sort" in saved["tricky"].after
    text = page.get_by_label("YAML").input_value()
    page.get_by_role("button", name="Show as graph").click()
    playwright.expect(page.locator("#node-tricky")).to_be_visible()
    assert page.get_by_label("YAML").input_value() == text


def test_a_skill_is_tried_where_its_prompt_stands(web, page):
    page.goto(f"{web.url}/workflows")
    page.get_by_role("link", name="sort_ticket").click()
    playwright.expect(page.get_by_text("You sort support tickets of an online shop.")).to_be_visible()
    page.get_by_label("A sample").fill('{"text": "Where is my parcel?"}')
    page.get_by_role("button", name="Ask").click()
    playwright.expect(page.locator("#tried .badge")).to_have_text("settled", timeout=SLOW_MS)


def settled(page) -> None:
    """Wait until what was just swapped in hears keys and clicks: some 20 ms, which no person notices."""
    playwright.expect(page.locator(".htmx-settling")).to_have_count(0)


#: What is no page of its own, or is looked at where a test has something to show on it.
NO_PAGE = re.compile(
    r"^/parts/|/live$|/items$|/charts$|/results\.|/try/|/again$|^/login|^/(?:compare|calibrate|tune|tunings)/\{|^/reviews/\{"
)


def addresses(job: str) -> list[str]:
    """The address of each page, as the routers have them."""
    routes = [route for router in every_page() for route in router.routes if "GET" in route.methods]
    filled = {"/jobs/{job}": f"/jobs/{job}", "{item}": "0", "/skills/{name}": "/skills/sort_ticket"}
    filled |= {"/profiles/{name}": "/profiles/simulated", "/workflows/{name}": "/workflows/triage"}
    found = [route.path for route in routes if not NO_PAGE.search(route.path)]
    for part, value in filled.items():
        found = [path.replace(part, value) for path in found]
    return found


def obstacles(page) -> list[str]:
    """What axe-core says stops people who see little, or use no mouse."""
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {one['id']}: {one['nodes'][0]['html']}: {one['nodes'][0]['failureSummary']}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.long
def test_axe_finds_nothing_serious_on_any_page_in_either_theme_and_on_a_phone(web, page, triaged):
    found = []
    for path in addresses(triaged):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1200, "height": 820})
        page.goto(web.url + path)
        found += obstacles(page)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 360, "height": 820})
        found += obstacles(page)
    assert found == []


def test_every_page_fits_a_phone_and_names_what_can_be_pressed(web, browser, page, triaged):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme="dark", storage_state=page.context.storage_state()
    )
    phone = context.new_page()
    phone.set_default_timeout(SLOW_MS)
    for path in addresses(triaged):
        phone.goto(web.url + path)
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360, path
        unnamed = phone.evaluate(
            """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
                .filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.outerHTML)"""
        )
        assert unnamed == [], path
        tab = phone.locator(".top nav [aria-current]")
        if tab.count():
            box = tab.bounding_box()
            assert box["x"] >= 0, path
            assert box["x"] + box["width"] <= 360, path
    phone.goto(f"{web.url}/jobs/{triaged}")
    picture(phone, "phone")
    context.close()
