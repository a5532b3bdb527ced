"""The HTTP API: jobs from submission to results, steering, plans, the catalogue, and the OpenAI-compatible endpoint."""

import json

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.store import jobs
from firstline.orchestrator.web import access
from firstline.orchestrator.web.api import chat
from firstline.schemas.job import WORKING, JobState
from tests.unit.web_house import SKILL, build_house


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


@pytest.fixture
def client(house):
    return house.client()


def test_a_submitted_job_says_where_to_look(client):
    answer = client.post("/v1/jobs", json={"workflow": "sort", "items": [{"text": "a"}, {"text": "b"}]})
    assert answer.status_code == 201
    assert client.get(answer.headers["location"]).json()["items"] == 2


def test_the_same_key_submits_nothing_again(client):
    body = {"workflow": "sort", "items": [{"text": "a"}]}
    first, second = (client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "x"}).json() for _ in range(2))
    assert first["job"] == second["job"]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_the_same_key_with_another_request_is_refused(client):
    body = {"workflow": "sort", "items": [{"text": "a"}]}
    headers = {"Idempotency-Key": "x"}
    first = client.post("/v1/jobs", json=body, headers=headers).json()
    for other in ({**body, "items": [{"text": "b"}]}, {**body, "budget_usd": 5}, {**body, "workflow": "two-steps"}):
        answer = client.post("/v1/jobs", json=other, headers=headers)
        assert answer.status_code == 422
        assert first["job"] in answer.json()["detail"]
    upload = {"files": {"file": ("a.csv", "id,text\n7,hello\n")}, "headers": headers}
    assert client.post("/v1/jobs/upload", data={"workflow": "sort"}, **upload).status_code == 422
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", "id,text\n7,hello\n8,world\n", id="csv"),
        pytest.param("a.jsonl", '{"id": 7, "text": "hello"}\n{"id": 8, "text": "world"}\n', id="jsonl"),
        pytest.param("a.json", '[{"id": 7, "text": "hello"}, {"id": 8, "text": "world"}]', id="json"),
        pytest.param("noname", '{"id": 7, "text": "hello"}\n{"id": 8, "text": "world"}\n', id="told by its content"),
    ],
)
def test_a_file_of_items_is_a_job(client, name, content):
    form = {"workflow": "two-steps", "budget_usd": "2.5", "tiers": ["cheap", "frontier"]}
    answer = client.post("/v1/jobs/upload", data=form, files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["budget_usd"] == 2.5
    items = client.get(f"/v1/jobs/{answer.json()['job']}/items").json()["items"]
    assert [item["item_id"] for item in items] == ["7", "8"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param({"items": [{"text": "a"}]}, 422, "got neither", id="no task"),
        pytest.param({"workflow": "sort", "goal": "x"}, 422, "got both", id="two tasks"),
        pytest.param({"workflow": "sort"}, 422, "no items", id="no items"),
        pytest.param({"workflow": "srot", "items": [{}]}, 422, "did you mean 'sort'", id="an unknown workflow"),
        pytest.param({"workflow": "sort", "items": [1]}, 422, "body.items[0]", id="an item that is no object"),
        pytest.param({"workflow": "sort", "itmes": []}, 422, "itmes", id="an unknown field"),
        pytest.param(
            {"workflow": "sort", "items": [{"id": "a"}, {"id": "a"}]},
            422,
            "stands twice",
            id="an id that is not one's own",
        ),
        pytest.param(
            {"workflow": "sort", "items": [{"text": "a"}], "webhook_url": "https://example.org"},
            422,
            "FIRSTLINE_WEBHOOK_SECRET",
            id="a webhook that could not be signed",
        ),
        pytest.param(
            {"workflow": "sort", "items": [{"text": "a"}], "profile": "recorded"},
            422,
            "services",
            id="a profile to be run",
        ),
    ],
)
def test_a_request_that_will_not_do_is_a_problem_that_says_why(client, body, status, said):
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert said in problem["detail"]


@pytest.mark.parametrize("item", ['{"text": "\\u0000"}', '{"text": "\\ud800"}'], ids=["NUL", "half a character"])
def test_an_item_that_no_database_takes_fails_alone(client, item):
    body = f'{{"workflow": "sort", "items": [{item}, {{"text": "fine"}}]}}'
    answer = client.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["failed"], answer.json()["items"]) == (1, 2)


@pytest.mark.parametrize(
    "field",
    [
        '"deadline": "0001-01-01T00:00:00+14:00"',
        '"deadline": "9999-12-31T23:59:59-14:00"',
        '"budget_usd": ' + "9" * 5000,
        '"items": [{"text": ' + "9" * 5000 + "}]",
        '"items": [{"text": 1e400}]',
        '"name": "\\ud800"',
        '"name": "\\u0000"',
        '"map": {"\\ud800": "\\ud800"}',
        '"id_field": "\\ud800"',
        '"webhook_url": "http://\\ud800/"',
        '"tools": ["\\ud800"]',
    ],
    ids=lambda field: field[:40],
)
def test_what_no_clock_number_or_text_can_be_is_a_sentence(client, field):
    body = f'{{"workflow": "sort", "items": [{{"text": "x"}}], {field}}}'
    answer = client.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (201, 400, 422), answer.text
    if answer.status_code == 201:
        assert client.get(f"/v1/jobs/{answer.json()['job']}").status_code == 200
    goal = client.post(
        "/v1/jobs", content=f'{{"goal": "\\ud800", {field}}}', headers={"content-type": "application/json"}
    )
    assert goal.status_code in (201, 400, 422), goal.text


def test_jobs_are_listed_page_by_page(house, client):
    made = [house.submit(1) for _ in range(5)]
    first = client.get("/v1/jobs?limit=3").json()
    second = client.get(f"/v1/jobs?limit=3&before={first['next']}").json()
    assert [one["job"] for one in (*first["jobs"], *second["jobs"])] == made[::-1]
    assert second["next"] is None


def test_items_are_listed_page_by_page_and_by_what_they_are(house, client):
    job = house.submit(5)
    first = client.get(f"/v1/jobs/{job}/items?limit=2").json()
    assert [item["n"] for item in first["items"]] == [0, 1]
    assert [item["n"] for item in client.get(f"/v1/jobs/{job}/items?after={first['next']}").json()["items"]] == [
        2,
        3,
        4,
    ]
    assert [item["n"] for item in client.get(f"/v1/jobs/{job}/items?text=i3").json()["items"]] == [3]
    assert client.get(f"/v1/jobs/{job}/items?state=settled").json()["items"] == []


def test_results_come_as_lines_or_as_a_table(house, client):
    job = house.submit(2)
    client.post(f"/v1/jobs/{job}/cancel")
    lines = client.get(f"/v1/jobs/{job}/results").text.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["cancelled", "cancelled"]
    table = client.get(f"/v1/jobs/{job}/results?format=csv").text.splitlines()
    assert table[0].startswith("item_id,status,output")
    assert [row.split(",")[0] for row in table[1:]] == ["i0", "i1"]


def test_events_end_with_the_job(house, client):
    job = house.submit(1)
    client.post(f"/v1/jobs/{job}/cancel")
    text = client.get(f"/v1/jobs/{job}/events").text
    assert text.startswith("event: status")
    assert '"state":"cancelled"' in text


def test_steering_says_what_cannot_be_done_now(house, client):
    job = house.submit(1)
    assert client.post(f"/v1/jobs/{job}/resume").status_code == 409
    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 409
    assert client.post(f"/v1/jobs/{job}/plan/approve").status_code == 409


def test_a_budget_is_raised(house, client):
    job = house.submit(1, budget_usd=1)
    assert client.post(f"/v1/jobs/{job}/budget", json={"add_usd": 2}).json()["budget_usd"] == 3


def test_a_plan_is_shown_before_anything_is_submitted(client):
    plan = client.post("/v1/plans", json={"workflow": "two-steps"}).json()
    assert [(step["step"]["name"], step["start_tier"]) for step in plan["steps"]] == [
        ("first", "cheap"),
        ("second", "cheap"),
    ]
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_steps_are_counted(house, client):
    steps = client.get(f"/v1/jobs/{house.submit(4)}/steps").json()
    assert [(step["name"], step["total"], step["settled"], step["cost_usd"]) for step in steps] == [
        ("first", 4, 0, None),
        ("second", 4, 0, None),
    ]


def test_an_item_is_shown_with_what_was_asked(house, client):
    job = house.submit(1)
    story = client.get(f"/v1/jobs/{job}/items/0").json()
    assert (story["item"]["item_id"], story["input"], story["attempts"]) == ("i0", {"id": "i0", "text": "text 0"}, [])
    assert client.get(f"/v1/jobs/{job}/items/9").status_code == 404


# The catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shelf", "name"), [("workflows", "two-steps"), ("skills", "sort"), ("tiers", "house")])
def test_what_is_read_can_be_saved_and_is_the_same(house, client, shelf, name):
    before = client.get(f"/v1/{shelf}/{name}").json()["value"]
    assert client.put(f"/v1/{shelf}/{name}", json=before).json()["value"] == before
    assert load_catalogue().problems == ()


def test_saving_over_a_built_in_makes_a_file_of_ones_own(house, client):
    skill = client.get("/v1/skills/summarize").json()
    assert skill["built_in"]
    saved = client.put("/v1/skills/summarize", json=skill["value"] | {"description": "Mine."}).json()
    assert (saved["built_in"], saved["value"]["description"]) == (False, "Mine.")
    assert (house.home / "skills" / "summarize.yaml").exists()


def test_what_is_wrong_with_a_saved_value_is_said_and_nothing_is_written(house, client):
    value = client.get("/v1/workflows/two-steps").json()["value"]
    value["steps"][1]["after"] = ["third"]
    answer = client.put("/v1/workflows/two-steps", json=value)
    assert answer.status_code == 422
    assert "no step is called 'third'" in answer.json()["detail"]
    assert "third" not in (house.home / "workflows" / "two-steps.yaml").read_text()


def test_making_a_model_the_skills_moves_its_start_and_the_tiers_first_model(house, client):
    body = {"profile": "house", "model": "openai/other"}
    assert client.put("/v1/skills/sort/model", json=body).json() == {"tier": "cheap"}
    catalogue = load_catalogue()
    assert catalogue.skill("sort").policy.start == "cheap"
    assert [model.name for model in catalogue.profile("house").ladder[0].models] == ["openai/other", "openai/small"]


def test_yaml_is_what_a_file_would_hold(client):
    text = client.get("/v1/skills/sort/yaml").text
    assert "instructions: Say what the text is about." in text
    assert SKILL.strip().splitlines()[0] in text


# The OpenAI-compatible endpoint --------------------------------------------------------------------------------------


def test_models_are_the_workflows_that_take_one_text(house, client):
    names = [card["id"] for card in client.get("/v1/models").json()["data"]]
    assert {"firstline/sort", "firstline/two-steps", "firstline/summarize"} <= set(names)
    assert "firstline/checkpoint" not in names


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}]}, 404, id="an unknown model"),
        pytest.param(
            {"model": "firstline/sort", "messages": [{"role": "system", "content": "a"}]}, 400, id="no message"
        ),
        pytest.param({"model": "firstline/sort", "messages": []}, 400, id="no messages"),
    ],
)
def test_clients_of_openai_are_told_in_their_own_words(client, body, status):
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == answer.json()["detail"]


def test_a_message_that_nobody_answers_in_time_is_cancelled(tmp_path, monkeypatch):
    client = build_house(tmp_path, monkeypatch, API_ANSWER_S="0.2").client()
    body = {"model": "firstline/sort", "messages": [{"role": "user", "content": "hello"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 504
    assert [job.state for job in api.jobs()] == [JobState.CANCELLED]


def test_a_client_whose_job_is_paused_is_told_so_at_once(house, client, monkeypatch):
    submitted = chat._submit

    def paused(*arguments) -> str:
        job = submitted(*arguments)
        with api.engine().db.writing() as tx:
            jobs.move(tx, job=job, to=JobState.PAUSED, among=WORKING, reason="its budget is used up")
        return job

    monkeypatch.setattr(chat, "_submit", paused)
    body = {"model": "firstline/sort", "messages": [{"role": "user", "content": "hello"}]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"].endswith("is paused: its budget is used up")


def test_every_operation_is_described():
    from firstline.config.settings import Settings
    from firstline.orchestrator.web.app import make_app

    for path, methods in make_app(Settings(), loopback=True).openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            problem = operation["responses"]["401"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}


def test_options_may_nest_over_http_as_they_do_in_python(client):
    body = {"workflow": "sort", "items": [{"text": "x"}], "options": {"budget_usd": 2.5, "priority": "low"}}
    answer = client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["budget_usd"]) == (201, 2.5)
    twice = client.post("/v1/jobs", json=body | {"budget_usd": 3})
    assert twice.status_code == 422
    assert "`budget_usd` stands twice" in twice.text
    unknown = client.post("/v1/jobs", json=body | {"options": {"bugdet_usd": 2.5}})
    assert unknown.status_code == 422


def test_a_stream_that_waits_says_so_and_ends_with_why(tmp_path, monkeypatch):
    monkeypatch.setattr("firstline.orchestrator.web.api.job_answers.KEEP_ALIVE_S", 0.05)
    client = build_house(tmp_path, monkeypatch, API_ANSWER_S="0.4").client()
    body = {"model": "firstline/sort", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    lines = client.post("/v1/chat/completions", json=body).text.splitlines()
    assert lines.count(": waiting") >= 2
    assert "had no answer within 0.4 s" in lines[-4]
    assert lines[-2] == "data: [DONE]"
    assert [job.state for job in api.jobs()] == [JobState.CANCELLED]


def test_a_chats_stream_ends_with_its_token_and_its_job_with_the_stream(tmp_path, monkeypatch):
    monkeypatch.setattr("firstline.orchestrator.web.api.job_answers.KEEP_ALIVE_S", 0.05)
    monkeypatch.setattr(access, "ASKED_AGAIN_S", -1.0)
    asked = iter([True, True])
    monkeypatch.setattr(access, "still_in", lambda _: next(asked, False))
    client = build_house(tmp_path, monkeypatch, API_ANSWER_S="60").client()
    body = {"model": "firstline/sort", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    lines = client.post("/v1/chat/completions", json=body).text.splitlines()
    assert [line for line in lines if line] == [": waiting"] * 2
    assert [job.state for job in api.jobs()] == [JobState.CANCELLED]


@pytest.mark.parametrize("stream", [True, False])
def test_a_token_waits_for_so_many_chats_at_once(tmp_path, monkeypatch, stream):
    house = build_house(tmp_path, monkeypatch, API_WAITS="1", API_ANSWER_S="0.1")
    client = house.client(house.token())
    body = {"model": "firstline/sort", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    # Each counts until it has ended.
    assert [client.post("/v1/chat/completions", json=body).status_code for _ in range(2)] == [
        200 if stream else 504
    ] * 2
    mine = house.app.state.doors.waits.open(tokens.listed(api.engine().db)[0].id)
    refused = client.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert "1 chats under way" in refused.json()["error"]["message"]
    assert len(api.jobs()) == 2
    mine.close()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (
            '{"model": "firstline/auto", "messages": ' + "[" * 50_000,
            "expected JSON, got what cannot be read: it is nested too deep",
        ),
        ('{"model": "firstline/auto", "messages": ' + "[" * 5_000 + "]" * 5_000 + "}", ""),
        ('{"model": "firstline/auto", "messages": [{"role": "user", "content": {"a": 1}}]}', "content"),
        ('{"model": "firstline/auto", "messages": [{"role": "user", "content": "a"}], "n": 1e9}', "n"),
        ('{"model": "firstline/auto", "messages": [{"role": "user", "content": "a"}], "tools": "all"}', "tools"),
        ("[]", ""),
        (
            '{"model": "firstline/auto", "messages": [{"role": "user", "content": "a"}], "response_format": {"type": '
            '"json_schema", "json_schema": ' + '{"items": ' * 450 + "{}" + "}" * 452,
            "nested too deeply",
        ),
        ('{"model": "firstline/auto", "messages": [{"role": "user", "content": "a\\u0000"}]}', "NUL"),
        ('{"model": "firstline/auto", "messages": [{"role": "developer"}]}', "'developer' needs `content`"),
    ],
    ids=["broken and deep", "deep", "content", "n", "tools", "no object", "a deep schema", "NUL", "no content"],
)
def test_what_is_no_chat_request_is_a_400_in_a_sentence(client, body, named):
    answer = client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert named in answer.json()["error"]["message"]
    assert "Traceback" not in answer.text
