"""Every page, looked at: drawn in both themes and on a phone, with a picture of each.

The pictures are in `build/pages` (FIRSTLINE_TEST_PICTURES names another folder) when the tests have run.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstline.orchestrator.web.pages import every_page
from tests.acceptance.lived_in import LivedIn, lived_in
from tests.acceptance.test_pages import ARGS, CHROMIUM, SLOW_MS

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.timeout(300),
    pytest.mark.long,
]

PICTURES = Path(os.environ.get("FIRSTLINE_TEST_PICTURES") or Path(__file__).parents[2] / "build" / "pages")
#: What is no page of its own: parts that a page takes in, files to save, and the way through somebody else's login.
NO_PAGE = re.compile(r"^/parts/|/live$|/items$|/charts$|/results\.|/again$|^/login/|^/workflows/try/")
#: Reports to look at: of which job.
REPORTS = {"report": "done", "report-certified": "certified"}
DESK, PHONE = {"width": 1200, "height": 820}, {"width": 360, "height": 740}
#: What stands over the edge of the page, or of the card that it is in; the innermost first.
OVER = """() => [...document.querySelectorAll('main *, header *, footer *')].filter(one => {
    if (one.closest('.scroll, pre, svg, textarea, .hidden, .top nav')) return false;
    const card = one.parentElement.closest('.card');
    const edge = card ? card.getBoundingClientRect().right : document.documentElement.clientWidth;
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > edge + 1;
}).reverse().slice(0, 3).map(one => one.outerHTML.slice(0, 160))"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivedIn]:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    with lived_in(tmp_path_factory.mktemp("lived-in")) as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    playwright.expect.set_options(timeout=SLOW_MS)
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


def addresses(house: LivedIn) -> dict[str, str]:
    """Return every page's name and address, as the routers have them, with what there is in place of parameters."""
    job, item = house.question
    values = {
        "/jobs/{job}": {f"job-{name}": one for name, one in house.jobs.items()},
        "/jobs/{job}/items/{item}": {
            "item": f"{house.jobs['done']}/items/{house.climbed}",
            "item-failed": f"{house.jobs['failed']}/items/0",
        },
        "/jobs/{job}/report": {name: f"{house.jobs[of]}/report" for name, of in REPORTS.items()},
        "/calibrate/{experiment}": {"calibration": house.calibration},
        "/tune/{experiment}": {"tune": house.tuning[0]},
        "/tunings/{number}": {"tuning": str(house.tuning[1])},
        "/compare/{comparison}": {"comparison": house.comparison},
        "/reviews/{job}": {"review": f"{job}?item={item}"},
        "/skills/{name}": {"skill": "sort_surely"},
        "/profiles/{name}": {"profile": "simulated"},
        "/workflows/{name}": {"workflow": "triage"},
    }
    found = {}
    for path in sorted({route.path for router in every_page() for route in router.routes if "GET" in route.methods}):
        if NO_PAGE.search(path):
            continue
        if "{" in path:
            assert path in values, f"say in `values` what stands for the parameters of {path}"
            start = path.partition("{")[0]
            found |= {name: f"{start}{value}" for name, value in values[path].items()}
        else:
            found[path.strip("/").replace("/", "-") or "now"] = path
    return found


@pytest.mark.parametrize(
    ("view", "theme", "size"), [("light", "light", DESK), ("dark", "dark", DESK), ("phone", "light", PHONE)]
)
def test_every_page_is_whole(house: LivedIn, browser, view: str, theme: str, size: dict[str, int]) -> None:
    faults: list[str] = []
    context = browser.new_context(viewport=size, color_scheme=theme)
    context.request.post(f"{house.web.url}/login", form={"token": house.web.token})
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: faults.append(f"{page.url}: {said.text} {said.location}") if said.type == "error" else None,
    )
    page.on("response", lambda got: faults.append(f"{got.url}: {got.status}") if got.status >= 400 else None)
    for name, path in addresses(house).items():
        page.goto(house.web.url + path)
        # What a page takes in when it is there.
        playwright.expect(page.locator("[hx-trigger=load]")).to_have_count(0)
        faults += [f"{path} stands over its edge: {one}" for one in page.evaluate(OVER)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults.append(f"{path} is wider than its window")
        if len(page.locator("main").inner_text().split()) < 3:
            faults.append(f"{path}: nothing is there")
        page.screenshot(path=PICTURES / f"{name}.{view}.png", full_page=True)
    context.close()
    assert faults == []
