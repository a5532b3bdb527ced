"""Every profile in docs/providers.md is in order, and `doctor` can say what each needs."""

import re
from pathlib import Path

import pytest

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.check import check_document
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.providers.doctor import Place, examine_profile
from firstline.config.providers.prices import has_price
from firstline.config.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
BLOCKS = dict(
    re.findall(
        r"^## (\w+)\n(?:(?!^## ).)*?^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
)
PROMISED = (
    "OpenAI", "Anthropic", "Gemini", "DeepSeek", "Mistral", "Groq", "OpenRouter", "Azure", "Bedrock", "vLLM", "Ollama",
)  # fmt: skip
NEEDS = {
    "OpenAI": {"OPENAI_API_KEY"},
    "Anthropic": {"ANTHROPIC_API_KEY"},
    "Gemini": {"GEMINI_API_KEY"},
    "DeepSeek": {"DEEPSEEK_API_KEY"},
    "Mistral": {"MISTRAL_API_KEY"},
    "Groq": {"GROQ_API_KEY"},
    "OpenRouter": {"OPENROUTER_API_KEY"},
    "Azure": {"AZURE_API_KEY", "server my-resource.openai.azure.com"},
    "Bedrock": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION_NAME"},
    "vLLM": {"OPENAI_API_KEY", "server localhost:8000"},
    "Ollama": {"server localhost:11434"},
}


def _document(name, folder):
    return parse_yaml(BLOCKS[name].encode(), folder / f"{name.lower()}.yaml")


def test_every_promised_provider_has_a_profile_and_no_block_is_left_unchecked():
    assert sorted(BLOCKS) == sorted(PROMISED)
    assert PAGE.read_text("utf-8").count("```yaml") == len(BLOCKS)


@pytest.mark.parametrize("name", PROMISED)
def test_the_profile_passes_check(name, tmp_path):
    assert check_document(_document(name, tmp_path)) == (FileKind.PROFILE, ())


@pytest.mark.parametrize("name", PROMISED)
def test_doctor_names_exactly_what_is_missing_on_a_machine_with_nothing(name, tmp_path, monkeypatch):
    monkeypatch.setattr("firstline.config.providers.doctor.listens", lambda url, timeout_s: False)
    profile = Catalogue().entry(_document(name, tmp_path), FileKind.PROFILE).value
    place = Place(Settings(_env_file=None), environ={}, pulled={}, dotenv=tmp_path / ".env")
    missing = [finding for finding in examine_profile(profile, place) if finding.ok is False]
    assert {finding.subject for finding in missing} == NEEDS[name]
    assert all(finding.mend for finding in missing)


@pytest.mark.parametrize("name", PROMISED)
def test_every_model_of_the_profile_has_a_price(name, tmp_path):
    profile = Catalogue().entry(_document(name, tmp_path), FileKind.PROFILE).value
    assert [model.name for model in profile.models if not has_price(model)] == []


@pytest.mark.parametrize("name", ["cloud", "ollama", "local", "recorded"])
def test_every_model_of_a_built_in_profile_has_a_price(name):
    assert [model.name for model in Catalogue().profile(name).models if not has_price(model)] == []
