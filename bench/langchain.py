"""Runs LangChain's standard chat-model tests against the drop-in endpoint, and against the provider behind it.

    python -m bench.langchain [--quick] [--json] [--proxy LITELLM]

Needs `pip install langchain-tests langchain-openai`; --proxy names the executable of a LiteLLM proxy
(`pip install 'litellm[proxy]'`, into an environment of its own), which then stands between client and endpoint.
The simulator answers as a model would that does what these tests ask of it. A test that ends otherwise through the
endpoint than at the provider itself is a fault of the endpoint. What is not claimed is listed with the reason.
"""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import httpx

from bench.kit.figures import at_least, at_most, finish, machine, parser, show
from tests.acceptance.compose_run import until
from tests.acceptance.web_deployment import web_deployment
from tests.servers import free_port

#: What is claimed of the endpoint, and for what is not, why. Whatever is named nowhere is claimed.
NOT_CLAIMED = {
    "supports_image_inputs": "pictures are handed on as they come, and the tests fetch theirs from the internet",
    "supports_image_urls": "as above",
    "supports_image_tool_message": "as above",
    "supports_pdf_inputs": "files are the provider's own: no chat model of the profile takes them",
    "supports_pdf_tool_message": "as above",
    "supports_audio_inputs": "as above",
    "supports_video_inputs": "as above",
    "supports_anthropic_inputs": "the endpoint speaks OpenAI's format",
}
CLAIMED = ("has_tool_calling", "has_tool_choice", "has_structured_output", "supports_json_mode")
_TESTS = """
import os
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class TestEndpoint(ChatModelIntegrationTests):
    chat_model_class = property(lambda self: ChatOpenAI)
    chat_model_params = property(
        lambda self: {"stream_usage": True} | {name: os.environ[name] for name in ("model", "base_url", "api_key")}
    )
    supports_model_override = property(lambda self: False)
"""
_SCRIPT = """
seed: 11
steady: true
recordings: said.jsonl
models:
  frontier:
    latency: 0.02
    answer: from_schema
    tool_calls: [{name: magic_function, arguments: {input: 3}}]
  cheap: {latency: 0.02, answer: from_schema}
"""
_JOKE = {"setup": "Why do cats sit on keyboards?", "punchline": "They like to be a part of the story."}
#: What a model that keeps to its instructions says to the prompts of the tests.
_CALLS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("value of magic_function(3)", "magic_function", {"input": 3}),
    ("value of magic_function_no_args()", "magic_function_no_args", {}),
    ("generate a Pirate greeting", "greeting_generator", {"answer_style": "pirate"}),
    ("weather in San Francisco", "get_weather", {"location": "San Francisco, CA"}),
    ("'你好啊集团'", "unicode_customer", {"customer_name": "你好啊集团", "description": "technology"}),
    ("'こんにちは株式会社'", "unicode_customer", {"customer_name": "こんにちは株式会社", "description": "technology"}),
)


def _recordings() -> Iterator[str]:
    joke = {"contains": "Return the result as a JSON", "text": json.dumps(_JOKE)}
    yield f"{json.dumps(joke)}\n"
    for piece, name, arguments in _CALLS:
        line = {"contains": piece, "text": "", "tool_calls": [{"name": name, "arguments": arguments}]}
        yield f"{json.dumps(line, ensure_ascii=False)}\n"


def run(folder: Path, url: str, key: str, *, model: str) -> dict[str, str]:
    """Return how each test ended against an endpoint: passed, skipped or failed."""
    tests, report = folder / "test_standard.py", folder / "report.xml"
    said = "".join(f"    {name} = property(lambda self: True)\n" for name in CLAIMED)
    said += "".join(f"    {name} = property(lambda self: False)\n" for name in NOT_CLAIMED)
    tests.write_text(_TESTS + said)
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), str(tests)]
    argv += ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "asyncio_mode=auto"]
    argv += ["-o", "asyncio_default_fixture_loop_scope=session", "-o", "asyncio_default_test_loop_scope=session"]
    env = {**os.environ, "base_url": url, "api_key": key, "model": model}
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    if not report.exists():
        raise RuntimeError(f"pytest made no report (exit code {done.returncode}): {done.stdout}{done.stderr}")
    # pytest's own report; no stranger wrote it.
    cases = ElementTree.parse(report).iter("testcase")
    return {str(case.get("name")): _end(case) for case in cases}


def _end(case: ElementTree.Element) -> str:
    tags = {child.tag for child in case}
    return "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"


@contextmanager
def proxy(executable: str, url: str, key: str) -> Iterator[tuple[str, str]]:
    """Run a LiteLLM proxy in front of the endpoint for the length of the block; yield its address and its key."""
    port = free_port()
    argv = [executable, "--model", "openai/frontier", "--api_base", url, "--port", str(port), "--telemetry", "False"]
    own_key = f"sk-{secrets.token_hex(16)}"
    env = {**os.environ, "OPENAI_API_KEY": key, "LITELLM_MASTER_KEY": own_key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until("the proxy is up", lambda: _is_up(f"http://127.0.0.1:{port}/health/liveliness"))
            yield f"http://127.0.0.1:{port}/v1", own_key
        finally:
            process.terminate()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("langchain", __doc__ or "", "the same")
    made.add_argument("--proxy", metavar="LITELLM", help="executable of a LiteLLM proxy that stands in between")
    options = made.parse_args(argv)
    missing = [name for name in ("langchain_tests", "langchain_openai") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"expected {' and '.join(missing)}; `pip install langchain-tests langchain-openai`", file=sys.stderr)
        return 2
    show(machine(), options)
    with tempfile.TemporaryDirectory(prefix="firstline-bench-") as name:
        folder = Path(name)
        (folder / "said.jsonl").write_text("".join(_recordings()), encoding="utf-8")
        with web_deployment(folder, script=_SCRIPT) as web:
            direct = run(folder, f"http://127.0.0.1:{web.deployment.sim_port}/v1", "none", model="frontier")
            ends = {"the endpoint": run(folder, f"{web.url}/v1", web.token, model="frontier")}
            if options.proxy:
                with proxy(options.proxy, f"{web.url}/v1", web.token) as (url, key):
                    ends["the endpoint behind a LiteLLM proxy"] = run(folder, url, key, model="openai/frontier")
    targets = [at_least("standard tests that pass at the provider itself", Counter(direct.values())["passed"], 39)]
    for where, found in ends.items():
        count = Counter(found.values())
        show(f"{where}: {count['passed']} passed, {count['skipped']} skipped, {count['failed']} failed", options)
        for test in sorted(test for test, end in found.items() if end == "failed" == direct.get(test)):
            show(f"  {test}: failed, as at the provider: the simulator does not do what it asks of a model", options)
        otherwise = sorted(test for test, end in found.items() if end != direct.get(test))
        for test in otherwise:
            show(f"  {test}: {found[test]}, at the provider {direct.get(test)}", options)
        targets.append(at_most(f"tests that end otherwise at {where} than at the provider", len(otherwise), 0))
    for claim, why in NOT_CLAIMED.items():
        show(f"not claimed: {claim}: {why}", options)
    return finish({"targets": targets, "ends": ends, "provider": direct, "not_claimed": NOT_CLAIMED}, options)


if __name__ == "__main__":
    raise SystemExit(main())
