"""The pages without a browser: logging in, forms and their guard, the editor, reviews, and what is escaped."""

import re

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.web.app import _each as each_of
from firstline.orchestrator.web.problem import problem_of
from firstline.orchestrator.web.schema_form import value_of
from firstline.schemas.access import Role
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from tests.unit.orchestrator.web.test_new_job import chosen
from tests.unit.web_house import WORKFLOW, build_house

PAGES = (
    "/",
    "/jobs",
    "/submit",
    "/reviews",
    "/workflows",
    "/workflows/new",
    "/workflows/two-steps",
    "/compare",
    "/money",
)


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


@pytest.fixture
def browser(house):
    """A browser that is logged in as an administrator."""
    client = house.client()
    token = house.token()
    assert client.post("/login", data={"token": token}).status_code == 200
    return client


def guard(client, path="/submit"):
    found = re.search(r'name="guard" value="([0-9a-f]{64})"', client.get(path).text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", [*PAGES, "/money", "/quality", "/failures", "/compare?profile=house&workflow=sort"])
def test_every_page_is_shown_when_there_is_nothing_yet(browser, path):
    page = browser.get(path)
    assert page.status_code == 200, page.text
    assert "<h1" in page.text
    assert 'lang="en"' in page.text


def test_no_page_loads_or_runs_anything_from_elsewhere(house, browser):
    job = house.submit(2, token=house.token())
    for path in (*PAGES, "/money", f"/jobs/{job}", f"/jobs/{job}/items/0", f"/jobs/{job}/report"):
        text = browser.get(path).text
        assert not re.search(r'(src|href)="(https?:)?//', text), path
        assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=", text), path


def test_who_is_not_logged_in_is_sent_to_log_in_and_back(house):
    token = house.token()
    client = house.client(follow_redirects=False)
    away = client.get("/money?days=7")
    assert (away.status_code, away.headers["location"]) == (303, "/login?to=/money%3Fdays%3D7")
    back = client.post(away.headers["location"], data={"token": token})
    assert back.headers["location"] == "/money?days=7"
    cookie = back.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_logging_in_leads_to_no_other_site(house, to):
    client = house.client(follow_redirects=False)
    assert client.post("/login", params={"to": to}, data={"token": house.token()}).headers["location"] == "/"


def test_a_wrong_token_is_told_so(house):
    house.token()
    page = house.client().post("/login", data={"token": "fl_wrong"})
    assert page.status_code == 401
    assert "No token in force" in page.text


def test_after_logging_out_pages_are_closed(browser):
    browser.post("/logout", data={"guard": guard(browser)})
    assert "Log in" in browser.get("/money").text


@pytest.mark.parametrize("sent", ["", "0" * 64])
def test_a_form_without_its_guard_does_nothing(house, browser, sent):
    job = house.submit(1, token=house.token())
    assert browser.post(f"/jobs/{job}/cancel", data={"guard": sent}).status_code == 403
    assert api.status(job).state is JobState.RUNNING


def test_without_a_token_the_forms_of_this_machines_browser_work_and_nobody_elses(house):
    job = house.submit(1)
    client = house.client()
    sent = guard(client, f"/jobs/{job}")
    assert house.client().post(f"/jobs/{job}/cancel", data={"guard": sent}).status_code == 403
    assert client.post(f"/jobs/{job}/cancel", data={"guard": sent}).status_code == 200
    assert api.status(job).state is JobState.CANCELLED


def test_a_browsers_cookie_changes_nothing_over_the_api(house, browser):
    job = house.submit(1, token=house.token())
    assert browser.get(f"/v1/jobs/{job}").status_code == 200
    assert browser.post(f"/v1/jobs/{job}/cancel").status_code == 401


def test_a_viewer_sees_and_may_not_steer(house):
    job = house.submit(1, token=house.token())
    client = house.client()
    client.post("/login", data={"token": house.token(Role.VIEWER)})
    assert client.get(f"/jobs/{job}").status_code == 200
    answer = client.post(f"/jobs/{job}/cancel", data={"guard": guard(client)})
    assert answer.status_code == 403
    assert "takes the role operator" in answer.text


def test_a_tenant_finds_no_page_of_anothers_job(house):
    job = house.submit(1, token=house.token(Role.SUBMITTER, "ours"))
    client = house.client()
    client.post("/login", data={"token": house.token(Role.OPERATOR, "theirs")})
    for path in ("", "/live", "/items", "/items/0", "/report", "/results.csv"):
        assert client.get(f"/jobs/{job}{path}").status_code == 404
    assert job not in client.get("/").text
    assert job not in client.get("/jobs").text


def test_a_job_is_submitted_by_file_or_by_typing(browser):
    form = {"guard": guard(browser), "workflow": "sort", "profile": "house"}
    typed = browser.post("/submit", data=form | {"texts": "id,text\r\n1,a\r\n2,b\r\n"})
    sent = browser.post("/submit", data=form, files={"file": ("a.jsonl", '{"text": "a"}\n')})
    assert [page.url.path.split("/")[1] for page in (typed, sent)] == ["jobs", "jobs"]
    assert sorted(job.items for job in api.jobs()) == [1, 2]


def test_what_was_typed_is_kept_when_it_will_not_do(browser):
    form = {"guard": guard(browser), "workflow": "sort", "texts": '{"text": 1', "budget_usd": "-1"}
    page = browser.post("/submit", data=form)
    assert page.status_code == 422
    assert "budget_usd" in page.text
    assert "{&#34;text&#34;: 1" in page.text


def test_what_an_item_holds_is_shown_and_never_run(house, browser):
    body = {"workflow": "sort", "name": "<b>job", "items": [{"id": "<script>", "text": "<img src=x onerror=alert(1)>"}]}
    job = browser.post("/v1/jobs", json=body, headers={"authorization": f"Bearer {house.token()}"}).json()["job"]
    for path in ("/", "/jobs", f"/jobs/{job}", f"/jobs/{job}/items/0"):
        text = browser.get(path).text
        assert "<b>job" not in text
        assert "<script>" not in text
        assert "<img" not in text


def test_the_live_part_stops_asking_when_the_job_has_ended(house, browser):
    job = house.submit(1, token=house.token())
    assert browser.get(f"/jobs/{job}/live").status_code == 200
    assert "hx-trigger" in browser.get(f"/jobs/{job}/live").text
    api.cancel(job)
    assert browser.get(f"/jobs/{job}/live").status_code == 286


# The editor ---------------------------------------------------------------------------------------------------------


def edit(browser, act, text, **fields):
    page = browser.post(f"/workflows/edit/{act}", data={"guard": guard(browser), "yaml": text, **fields})
    assert page.status_code == 200, page.text
    area = re.search(r'<textarea id="yaml"[^>]*>(.*?)</textarea>', page.text, flags=re.DOTALL)
    assert area
    return area[1].replace("&#39;", "'").replace("&#34;", '"').replace("&gt;", ">"), page.text


def test_a_workflow_that_is_only_looked_at_stays_as_it_was_typed(browser):
    text = "# mine\n" + WORKFLOW.strip() + "\n"
    shown, page = edit(browser, "select", text, pick="second")
    assert shown.strip() == text.strip()
    assert 'value="second"' in page


def test_steps_are_added_configured_connected_and_saved(house, browser):
    text, _ = edit(browser, "add", WORKFLOW, new_skill="sort", step="first")
    text, _ = edit(browser, "change", text, step="sort", name="third", kind="skill", skill="sort", start="frontier")
    text, page = edit(browser, "connect", text, source="second", target="third")
    assert "starts on frontier" in page
    saved = browser.post("/workflows/save", data={"guard": guard(browser), "yaml": text.replace("\n", "\r\n")})
    assert "Saved." in saved.text
    from firstline.config.catalogue.catalogue import load_catalogue

    workflow = load_catalogue().workflow("two-steps")
    third = workflow.steps[2]
    assert (third.name, third.after, third.policy.start) == ("third", ("first", "second"), "frontier")
    assert workflow.steps[1].when == "first.label == 'a'"


def test_a_text_that_is_no_workflow_is_kept_and_told(browser):
    shown, page = edit(browser, "show", "name: x\nsteps:\n  - {name: 1}\n")
    assert "workflow.yaml:3" in page
    assert "{name: 1}" in shown


def test_a_broken_workflow_is_not_saved(house, browser):
    text = WORKFLOW.replace("after: [first]", "after: [none]")
    page = browser.post("/workflows/save", data={"guard": guard(browser), "yaml": text})
    assert page.status_code == 422
    assert "no step is called" in page.text
    assert "none" not in (house.home / "workflows" / "two-steps.yaml").read_text()


def test_a_step_is_run_alone_on_a_sample(browser):
    form = {"guard": guard(browser), "yaml": WORKFLOW, "step": "second", "sample": '{"text": "hello"}'}
    page = browser.post("/workflows/try", data=form)
    assert "/workflows/try/" in page.text
    assert [job.name for job in api.jobs()] == ["try second"]


def test_a_comparison_takes_two_models_of_the_profile(browser):
    form = {"guard": guard(browser, "/compare"), "workflow": "sort", "profile": "house", "texts": '{"text": "a"}'}
    assert "at least two models" in browser.post("/compare", data=form | {"models": ["openai/small"]}).text
    page = browser.post("/compare", data=form | {"models": ["openai/small", "openai/big"]})
    assert page.url.path.startswith("/compare/")
    assert "openai/small" in page.text
    assert "openai/big" in page.text


def test_a_form_whose_items_lack_a_field_is_shown_again_with_the_likeliest_column(browser):
    form = {"guard": guard(browser), "workflow": "sort", "profile": "house", "texts": "no,body\r\n1,a long text\r\n"}
    page = browser.post("/submit", data=form)
    assert page.status_code == 422
    assert "has `text`, which step" in page.text
    assert chosen(page.text, "text") == "body"
    assert api.jobs() == []
    sent = browser.post("/submit", data=form | {"from-text": "body", "id_field": "no"})
    assert sent.url.path.startswith("/jobs/")
    (item,) = browser.get(f"/v1{sent.url.path}/items").json()["items"]
    assert item["item_id"] == "1"


def test_the_items_table_asks_again_until_the_job_has_ended(house, browser):
    job = house.submit(2, token=house.token())
    assert 'id="items" hx-get=' in browser.get(f"/jobs/{job}").text
    api.cancel(job)
    assert 'id="items">' in browser.get(f"/jobs/{job}").text


def test_what_has_ended_is_not_said_to_be_paused(house, browser):
    job = house.submit(1, token=house.token())
    sent = {"guard": guard(browser, f"/jobs/{job}")}
    api.cancel(job)
    answer = browser.post(f"/jobs/{job}/pause", data=sent)
    assert answer.status_code == 409
    assert "cancelled: it cannot pause now" in answer.text


def test_a_job_of_which_nothing_settled_is_not_green(house, browser):
    job = house.submit(1, token=house.token())
    with api.engine().db.writing() as tx:
        tx.exec_driver_sql("update item set state = 'failed', reason = 'no answer'")
        tx.exec_driver_sql("update job set state = 'done'")
    for path in ("/", "/jobs", f"/jobs/{job}", f"/jobs/{job}/report"):
        text = browser.get(path).text
        assert 'class="badge failed">done, nothing settled<' in text, path
        assert 'class="badge done"' not in text, path


# what is written, and kept ------------------------------------------------------------------------------------------


COMMENTED = f"# mine, with care\n{WORKFLOW.strip()}\n# the end\n"


def form(browser, path) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    text = browser.get(path).text
    return dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', text))


def test_a_step_is_changed_and_comments_stay(browser):
    text, _ = edit(browser, "change", COMMENTED, step="second", name="second", skill="sort", when="first.label == 'b'")
    assert "# mine, with care" in text
    assert "# the end" in text
    assert "first.label == 'b'" in text


def test_the_last_save_does_not_win_silently(house, browser):
    file = house.home / "workflows" / "two-steps.yaml"
    sent = form(browser, "/workflows/two-steps")
    ours, theirs = WORKFLOW + "# ours\n", WORKFLOW + "# theirs\n"
    assert "Saved." in browser.post("/workflows/save", data=sent | {"yaml": theirs}).text
    page = browser.post("/workflows/save", data=sent | {"yaml": ours})
    assert page.status_code == 422
    assert "was changed by admin at" in page.text
    assert "-# theirs\n+# ours" in page.text
    assert "# theirs" in file.read_text()
    again = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page.text))
    assert "Saved." in browser.post("/workflows/save", data=again | {"yaml": ours}).text
    assert file.read_text().endswith("# ours\n")
    history = browser.get("/workflows/two-steps").text
    assert "by admin" in history
    assert "# theirs" in history, "nothing that stood there is lost"


def test_a_file_that_was_edited_by_hand_meanwhile_is_not_written_over(house, browser):
    file = house.home / "workflows" / "two-steps.yaml"
    sent = form(browser, "/workflows/two-steps")
    file.write_text(WORKFLOW + "# by hand\n")
    page = browser.post("/workflows/save", data=sent | {"yaml": WORKFLOW + "# ours\n"})
    assert "by somebody who edited the file" in page.text
    assert file.read_text().endswith("# by hand\n")


def test_a_new_workflow_does_not_take_the_place_of_one_of_its_name(house, browser):
    sent = form(browser, "/workflows/new")
    page = browser.post("/workflows/save", data=sent | {"yaml": WORKFLOW + "# new\n"})
    assert page.status_code == 422
    assert "# new" not in (house.home / "workflows" / "two-steps.yaml").read_text()


def test_a_comparison_shows_what_it_would_change_before_it_writes(house, browser):
    skill = house.home / "skills" / "sort.yaml"
    skill.write_text("# my prompt\n" + skill.read_text())
    before = skill.read_text()
    sent = {"guard": guard(browser), "skill": "sort", "profile": "house", "model": "openai/other"}
    page = browser.post("/compare/abcdefabcdef/choose", data=sent)
    assert page.status_code == 200, page.text
    assert "+  start: cheap" in page.text
    assert skill.read_text() == before
    fields = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page.text))
    answer = browser.post("/compare/abcdefabcdef/choose", data=fields, follow_redirects=False)
    assert answer.status_code == 303
    assert skill.read_text() == before.rstrip("\n") + "\npolicy:\n  start: cheap\n"
    tiers = (house.home / "tiers" / "house.yaml").read_text()
    assert tiers.index("openai/other") < tiers.index("openai/small")


@pytest.mark.parametrize("path", ["/jobs?state=a%00", "/submit?workflow=%00", "/reviews/j?item=a%00", "/jobs/a%00"])
def test_no_address_brings_what_no_database_takes(browser, path):
    assert browser.get(path).status_code == 422


def test_every_form_refuses_what_no_database_takes(house, browser):
    """As it is typed, and in an encoding of the sender's in which half a character can be written."""
    forms = {route.path for route in each_of(house.app.routes) if "POST" in route.methods and is_page(route.path)}
    assert len(forms) > 15
    token = guard(browser)
    half = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n\\ud800\r\n'
        b'--b\r\nContent-Disposition: form-data; name="guard"\r\n\r\n' + token.encode() + b"\r\n--b--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=b; charset=unicode_escape"}
    for path in sorted(forms):
        address = re.sub(r"\{(\w+)\}", "1", path)
        typed = browser.post(address, data={"guard": token, "note": "a\0"})
        assert typed.status_code == 422, path
        assert browser.post(address, content=half, headers=kind).status_code == 422, path


def is_page(path: str) -> bool:
    return not path.startswith(("/v1/", "/health", "/metrics", "/openapi", "/static"))


def test_an_answer_that_is_a_nesting_bomb_is_shown_again_with_the_reason(house, browser):
    schema = {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]}
    for text in ("[" * 100_000, '["\\ud800"]', "1" * 5000, "NaN"):
        with pytest.raises(UserError, match="a: expected JSON"):
            value_of(schema, {"answer.a": text})
    form = {"guard": guard(browser, "/workflows/new"), "yaml": WORKFLOW, "step": "first", "sample": "[" * 100_000}
    tried = browser.post("/workflows/try", data=form)
    assert tried.status_code == 200
    assert "sample: expected a JSON object" in tried.text


def test_what_is_refused_may_quote_what_is_no_character():
    problem, _ = problem_of(UserError("got 'a\ud800\0'"))
    assert problem.detail == "got 'a\ufffd\ufffd'"
