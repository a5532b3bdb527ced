"""An application that changes nothing but its `base_url`: what it is told, and what it pays by the provider's log."""

import json
import time
from collections import Counter

import httpx
import openai
import pytest

from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.quality.families.family import FamilyState
from firstline.orchestrator.quality.families.family_skill import skill_of
from firstline.orchestrator.quality.families.prompts import GAP
from firstline.orchestrator.store import calibrations, families
from firstline.schemas.access import Role
from firstline.workers.providers.recording import messages_key
from tests.acceptance.application import TEAMS, bill, known, run_application, script_of, settle
from tests.acceptance.commands import typed
from tests.acceptance.web_deployment import web_deployment

pytestmark = pytest.mark.long
SLOW_TEXT = "roses are red and violets are blue as far as anybody here knows"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    with web_deployment(folder, script=script_of(folder), FIRSTLINE_SHADOW_SHARE="1") as made:
        profile = made.deployment.profile()
        slow = profile.tiers[-1].models[0].evolve(name="openai/slow")
        slowly = profile.evolve(name="slowly", tiers=(profile.tiers[0], profile.tiers[1].evolve(models=(slow,))))
        (folder / "home/tiers/slowly.yaml").write_text(as_yaml(slowly))
        yield made


def client_of(web, **more) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=60, **more)


def poem(name: str) -> dict[str, object]:
    return {"model": "firstline/auto", "messages": [{"role": "user", "content": f"A poem for {name}"}]}


@pytest.mark.timeout(120)
def test_a_conversation_reaches_the_top_model_as_it_came(web):
    turns = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": [{"type": "text", "text": "Who wrote Emma?"}]},
        {"role": "assistant", "content": "Jane Austen."},
        {"role": "user", "content": "And when? [stars 4]"},
    ]
    with client_of(web) as client:
        assert {"firstline/auto", "frontier"} <= {model.id for model in client.models.list()}
        said = client.chat.completions.create(
            model="openai/frontier", messages=turns, logprobs=True, top_logprobs=2, max_tokens=50, seed=3
        )
        pushed = client.chat.completions.create(
            **poem("Ada"),
            tools=[{"type": "function", "function": {"name": "rhyme", "parameters": {"type": "object"}}}],
            tool_choice={"type": "function", "function": {"name": "rhyme"}},
        )
    assert "4" in said.choices[0].message.content
    assert said.choices[0].logprobs.content
    assert said.usage.total_tokens > 0
    assert pushed.choices[0].message.tool_calls[0].function.name == "rhyme"


@pytest.mark.timeout(120)
def test_tokens_stream_as_the_top_model_writes_them(web):
    with client_of(web) as client:
        began = time.monotonic()
        at, texts, usage = [], [], None
        slow = {"model": "slow", "messages": [{"role": "user", "content": "A long poem"}]}
        for chunk in client.chat.completions.create(**slow, stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            if chunk.choices and chunk.choices[0].delta.content:
                at.append(time.monotonic() - began)
                texts.append(chunk.choices[0].delta.content)
    assert "".join(texts) == SLOW_TEXT
    assert at[-1] - at[0] > 0.5, "the words came all at once"
    assert usage.completion_tokens > 0


@pytest.mark.timeout(120)
def test_the_responses_api_asks_the_same_families_in_other_words(web):
    form = {"type": "json_schema", "name": "team", "strict": True, "schema": team_schema()}
    with client_of(web) as client:
        said = client.responses.create(
            model="frontier",
            instructions="You name the team of a request.",
            input=[{"role": "user", "content": [{"type": "input_text", "text": "Whose is it? [team account]"}]}],
            text={"format": form},
            max_output_tokens=60,
            temperature=0,
        )
        tool = {"type": "function", "name": "rhyme", "parameters": {"type": "object", "properties": {}}, "strict": None}
        asked = {"input": "A poem for Ada", "tools": [tool], "tool_choice": {"type": "function", "name": "rhyme"}}
        wished = client.responses.create(model="firstline/auto", **asked)
        (call,) = [item for item in wished.output if item.type == "function_call"]
        told = {"type": "function_call_output", "call_id": call.call_id, "output": "rose, prose"}
        after = client.responses.create(
            model="firstline/auto",
            input=[{"role": "user", "content": "A poem for Ada [stars 2]"}, call.model_dump(exclude_none=True), told],
        )
        kinds, final = [], None
        for event in client.responses.create(model="slow", input="A long poem", stream=True):
            kinds.append(event.type)
            final = event.response if event.type == "response.completed" else final
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            client.responses.create(model="frontier", input="And?", previous_response_id="resp_1")
        odd = [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]
        with pytest.raises(openai.BadRequestError, match="input_text, output_text or input_image"):
            client.responses.create(model="frontier", input=odd)
    assert json.loads(said.output_text) == {"team": "account"}
    assert (said.status, said.usage.total_tokens > 0) == ("completed", True)
    assert call.name == "rhyme"
    assert "2" in after.output_text
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds.count("response.output_text.delta") > 3
    assert (kinds[-1], final.output_text) == ("response.completed", SLOW_TEXT)
    assert final.usage.output_tokens > 0
    known_prompts = {row["prompt"] for row in settled_families()}
    assert any("You name the team of a request" in prompt for prompt in known_prompts)
    wait_for_shadow(
        web,
        {"role": "system", "content": "You name the team of a request."},
        {"role": "user", "content": "Whose is it? [team account]"},
    )


def wait_for_shadow(web, *messages):
    """Wait until the cheap model was asked what the top model answered: the call is in no later test's count."""
    deadline = time.monotonic() + 30
    while ("cheap", messages_key(messages)) not in {(call["model"], call["key"]) for call in web.deployment.paid()}:
        assert time.monotonic() < deadline, "no shadow was asked"
        time.sleep(0.1)


def settled_families():
    """Return the families once the book has written down what was asked."""
    time.sleep(1.5)
    with api.engine().db.reading() as tx:
        return families.listed(tx)


def team_schema():
    team = {"type": "object", "properties": {"team": {"enum": list(TEAMS)}}, "required": ["team"]}
    return {**team, "additionalProperties": False}


@pytest.mark.timeout(120)
def test_who_goes_away_leaves_no_call_behind(web):
    with client_of(web) as client:
        client.chat.completions.create(**poem("Eve"))
    for stream, leave in ((False, leave_waiting), (True, leave_reading)):
        before = stats(web)
        leave(web, {"model": "slow", "messages": [{"role": "user", "content": f"gone {stream}"}], "stream": stream})
        deadline = time.monotonic() + 20
        while stats(web)["in_flight"] and time.monotonic() < deadline:
            time.sleep(0.1)
        gone = web.deployment.paid()[before["paid"] :]
        assert [call["delivered"] for call in gone if call["model"] == "slow"] == [False], stream


def leave_waiting(web, body):
    with web.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=body, timeout=0.6)


def leave_reading(web, body):
    with web.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())


def stats(web):
    return httpx.get(f"http://127.0.0.1:{web.deployment.sim_port}/stats").json()


@pytest.mark.timeout(120)
def test_the_same_key_is_answered_and_paid_once(web):
    with client_of(web) as client:
        for asked in (poem("Bo"), {**poem("Bo"), "model": "firstline/sort_ticket"}):
            key = {"extra_headers": {"Idempotency-Key": f"k-{asked['model']}"}}
            before = len(web.deployment.paid())
            one, two = (client.chat.completions.create(**asked, **key) for _ in range(2))
            assert one == two
            assert len({call["n"] for call in web.deployment.paid()[before:]}) == 1
            with pytest.raises(openai.BadRequestError, match="used for another request"):
                client.chat.completions.create(
                    **{**asked, "temperature": 1}
                    if "auto" in asked["model"]
                    else {**asked, "messages": [{"role": "user", "content": "another"}]},
                    **key,
                )


@pytest.mark.timeout(120)
def test_what_is_passed_on_keeps_to_the_tenants_budget(web):
    secret, _ = tokens.create(api.engine().db, name="Poor", role=Role.SUBMITTER, tenant="poor")
    assert typed(web.folder, "budget", "--tenant", "poor", "--total", "0.02").code == 0
    asked = {"model": "frontier", "messages": [{"role": "user", "content": "word " * 400}], "max_tokens": 40}
    before, refused = len(web.deployment.paid()), None
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=2) as client:
        for _ in range(30):
            try:
                client.chat.completions.create(**asked)
            except openai.RateLimitError as error:
                refused = error
                break
    assert refused is not None
    assert "the budget of tenant 'poor'" in str(refused)
    cost = bill(web.deployment.paid()[before:])
    assert 0.01 < cost <= 0.02
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and passed_on("poor") != pytest.approx(cost):
        time.sleep(0.1)
    assert passed_on("poor") == pytest.approx(cost)


def passed_on(tenant):
    with api.engine().db.reading() as tx:
        return families.passed_on_usd(tx, tenant=tenant)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"model": "firstline/auto", "best_of": 3}, "best_of"),
        ({"model": "firstline/auto", "api_base": "http://evil"}, "api_base"),
        ({"model": "firstline/auto", "temperature": 9}, "temperature"),
        ({"model": "firstline/auto", "messages": []}, "messages"),
        ({"model": "firstline/auto", "messages": [{"role": "wizard", "content": "a"}]}, "role"),
        ({"model": "firstline/sort_ticket", "tool_choice": "auto"}, "tool_choice"),
        ({"model": "firstline/sort_ticket", "response_format": {"type": "json_object"}}, "response_format"),
        ({"model": "firstline/sort_ticket", "n": 2}, "n:"),
        (
            {
                "model": "firstline/sort_ticket",
                "messages": [{"role": role, "content": "a"} for role in ("system", "user")],
            },
            "other turns",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_done_is_refused_by_name(web, asked, named):
    body = {"messages": [{"role": "user", "content": "a"}], **asked}
    with web.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    assert named in answer.json()["error"]["message"]


@pytest.mark.timeout(120)
def test_an_unanswerable_message_is_one_job_though_the_client_tries_again(web):
    with client_of(web, max_retries=2) as client:
        before = len(api.jobs(200))
        with pytest.raises(openai.InternalServerError, match="waits for a person") as refused:
            client.chat.completions.create(model="firstline/tricky", messages=[{"role": "user", "content": "a"}])
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(api.jobs(200)) - before == 1


def page_of(web, path):
    with httpx.Client(base_url=web.url, follow_redirects=True) as browser:
        browser.post("/login", data={"token": web.token})
        return browser.get(path).text


def batch_files(web, count: int) -> list[str]:
    """Write what OpenAI's Batch API leaves: closed answers and prose, by turns."""
    closed = {"enum": list(TEAMS)}
    body = {"type": "object", "properties": {"team": closed}, "required": ["team"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "team", "schema": body, "strict": True}}
    sent, came = [], []
    for n in range(count):
        team = TEAMS[n % 4]
        prose = n % 4 == 3
        turns = [
            {"role": "system", "content": "You write letters." if prose else "You name the team."},
            {"role": "user", "content": f"Logged {n} [team {team}]"},
        ]
        said = f"Dear {n}" if prose else json.dumps({"team": team})
        asked = {"model": "frontier", "messages": turns, **({} if prose else {"response_format": form})}
        sent.append({"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": asked})
        answer = {"model": "frontier", "choices": [{"message": {"role": "assistant", "content": said}}]}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        came.append({"custom_id": str(n), "response": {"status_code": 200, "body": {**answer, "usage": usage}}})
    files = []
    for name, rows in (("in.jsonl", sent), ("out.jsonl", came)):
        (web.folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        files.append(name)
    return files


@pytest.mark.timeout(180)
def test_logs_tell_what_could_move_and_trying_asks_no_top_model(web):
    files = batch_files(web, 160)
    told = typed(web.folder, "adopt", *files)
    assert told.code == 0, told.told
    assert "75% of your bill, could move" in told.out
    assert "free text" in told.out
    before = len(web.deployment.paid())
    tried = typed(web.folder, "adopt", *files, "--top", "frontier", "--try", "--budget", "1", "--write", "--json")
    assert tried.code == 0, tried.told
    closed, prose = json.loads(tried.out)
    assert closed["models"] == ["openai/cheap"]
    assert closed["served_share"] > 0.5
    assert prose["served_share"] is None
    asked = web.deployment.paid()[before:]
    assert {call["model"] for call in asked} == {"cheap"}
    assert len(asked) == 120
    name = f"family_{closed['family']}"
    assert name in typed(web.folder, "skills").out
    (web.folder / "more.jsonl").write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": f"Fresh {n} [team {TEAMS[n % 4]}]"}]}) + "\n"
            for n in range(12)
        )
    )
    ran = typed(web.folder, "run", name, "--input", "more.jsonl", "--json")
    assert ran.code == 0, ran.told
    assert "certified" in ran.told.lower() or "confidence" in ran.told.lower()
    refused = typed(web.folder, "adopt", *files, "--top", "gpt-9")
    assert refused.code == 2
    assert "no profile has 'gpt-9'" in refused.err
    refused = typed(web.folder, "adopt", *files, "--try")
    assert (refused.code, "--budget USD" in refused.err) == (2, True)


@pytest.mark.timeout(300)
def test_an_unmodified_application_gets_cheaper_by_itself(web):
    answered = run_application(web.url, web.token, web.folder, rounds=105, seed=1)
    assert all(right != "0" for _, right in answered), "in shadow the top model answers"
    found = settle(lambda now: all(now[name].state is FamilyState.SERVED for name in ("team", "stars")))
    assert len(found) == 4, [one.prompt for one in found.values()]
    assert found["tool"].state is FamilyState.STRAIGHT
    assert "tool calls" in found["tool"].why

    before = len(web.deployment.paid())
    answered = run_application(web.url, web.token, web.folder, rounds=20, seed=2)
    wrong = [right for kind, right in answered if right == "0"]
    paid = web.deployment.paid()[before:]
    served = [kind for kind, _ in answered if kind in ("team", "stars")]
    top = [call for call in web.deployment.paid()[:before] if call["model"] == "frontier"]
    alone = bill(top) / len(top) * len(answered)
    assert len(wrong) <= 0.1 * len(served)
    assert bill(paid) < 0.6 * alone

    with web.client() as client:
        page = page_of(web, "/families")
        listed = {one["id"]: one for one in client.get("/v1/families").json()}
        team = known()["team"]
        assert listed[team.id]["state"] == "served"
        assert listed[team.id]["served_usd"] < listed[team.id]["served"] * team.top_usd / team.top_calls / 2
        assert "You write poems" in page
        assert "tool calls" in page
        refused = client.patch(f"/v1/families/{team.id}", json={"compare": "astrology"})
        assert refused.status_code == 422
        assert "exact, number, set_f1" in refused.json()["detail"]
    told = typed(web.folder, "families")
    assert told.code == 0
    assert all(word in told.out for word in ("You route tickets", "served", "straight"))

    assert typed(web.folder, "families", "set", known()["stars"].id, "--choice", "pinned").code == 0
    with api.engine().db.writing() as tx:
        skill = skill_of(team)
        for row in calibrations.standing(
            tx, tenant="default", skill_digest=skill.digest, frontier_model="openai/frontier"
        ):
            calibrations.end(tx, calibration=row["id"], state="drifted", reason="audits: 9 of 60 were lost")
    found = settle(lambda now: now["team"].state is FamilyState.SHADOW)
    assert "9 of 60 were lost" in found["team"].why
    time.sleep(1)
    before = len(web.deployment.paid())
    with client_of(web) as client:
        for name in ("team", "stars"):
            turns = [{"role": "system", "content": known()[name].prompt.replace(GAP, "2026-11-01")}]
            turns.append({"role": "user", "content": "One more [team account] [stars 3]"})
            more = known()[name].params
            form = known()[name].response_format
            for _ in range(2):
                client.chat.completions.create(model="frontier", messages=turns, response_format=form, **more)
    # Audits of what was served before may come in between, each of another request.
    on_top = Counter(call["key"] for call in web.deployment.paid()[before:] if call["model"] == "frontier")
    twice = [count for count in on_top.values() if count > 1]
    assert twice == [2, 2], "what is pinned or in shadow is answered by the top model alone"
