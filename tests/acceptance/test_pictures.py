"""Every page, looked at: drawn in both themes and on a phone, with a picture of each.

The pictures are in `build/pages` (FIRSTLINE_TEST_PICTURES names another folder) when the test has run.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstline.orchestrator.web.pages import every_page
from tests.acceptance.lived_in import LivedIn, lived_in
from tests.acceptance.test_pages import ARGS, CHROMIUM

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.timeout(300),
    pytest.mark.long,
]

PICTURES = Path(os.environ.get("FIRSTLINE_TEST_PICTURES") or Path(__file__).parents[2] / "build" / "pages")
#: What is no page of its own: parts that a page takes in, files to save, and the way through somebody else's login.
NO_PAGE = re.compile(r"^/parts/|/live$|/items$|/charts$|/results\.|/again$|^/login/|^/workflows/try/")
VIEWS = {
    "light": {"viewport": {"width": 1200, "height": 820}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1200, "height": 820}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}
#: What stands over the edge of the page, innermost first.
OVER = """() => [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && box.right > document.documentElement.clientWidth + 1
        && !one.closest('.scroll, pre, svg, textarea, .hidden, .top nav, .graph');
}).reverse().slice(0, 3).map(one => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivedIn]:
    with lived_in(tmp_path_factory.mktemp("lived-in")) as made:
        yield made


def addresses(house: LivedIn) -> dict[str, str]:
    """Return every page's name and address, as the routers have them, with what there is in place of parameters."""
    job, item = house.question
    each_job = {f"{name} job": one for name, one in house.jobs.items()}
    values = {
        "/jobs/{job}": each_job,
        "/jobs/{job}/items/{item}": {"item": f"{house.jobs['done']}/items/{house.climbed}"},
        "/jobs/{job}/report": {"report": f"{house.jobs['done']}/report"},
        "/calibrate/{calibration}": {"calibration": house.calibration},
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


def test_every_page_is_whole_in_both_themes_and_on_a_phone(house: LivedIn) -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    faults: list[str] = []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for view, how in VIEWS.items():
            context = browser.new_context(**how)
            context.request.post(f"{house.web.url}/login", form={"token": house.web.token})
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
            page.on("console", lambda said: faults.append(f"{page.url}: {said.text}") if said.type == "error" else None)
            page.on("response", lambda got: faults.append(f"{got.url}: {got.status}") if got.status >= 400 else None)
            page.on("requestfailed", lambda lost: faults.append(f"{lost.url}: {lost.failure}") if "/static/" in lost.url else None)
            for name, path in addresses(house).items():
                page.goto(house.web.url + path)
                page.evaluate("document.fonts.ready")
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    faults.append(f"{view} {path}: {wide} pixels too wide: {page.evaluate(OVER)}")
                if len(page.locator("main").inner_text().split()) < 3:
                    faults.append(f"{view} {path}: nothing is there")
                page.screenshot(path=PICTURES / f"{name.replace(' ', '-')}.{view}.png", full_page=True)
            context.close()
        browser.close()
    assert faults == []
