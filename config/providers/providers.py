"""What each provider needs: the usual environment variables, and where its keys come from."""

from dataclasses import dataclass

from firstline.schemas.tier import Model


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider as litellm names it."""

    #: Environment variables that must all be set.
    variables: tuple[str, ...]
    #: Where a person gets the key.
    keys_at: str


PROVIDERS = {
    "openai": Provider(("OPENAI_API_KEY",), "https://platform.openai.com/api-keys"),
    "anthropic": Provider(("ANTHROPIC_API_KEY",), "https://console.anthropic.com/settings/keys"),
    "gemini": Provider(("GEMINI_API_KEY",), "https://aistudio.google.com/apikey"),
    "deepseek": Provider(("DEEPSEEK_API_KEY",), "https://platform.deepseek.com/api_keys"),
    "mistral": Provider(("MISTRAL_API_KEY",), "https://console.mistral.ai/api-keys"),
    "groq": Provider(("GROQ_API_KEY",), "https://console.groq.com/keys"),
    "openrouter": Provider(("OPENROUTER_API_KEY",), "https://openrouter.ai/keys"),
    "together_ai": Provider(("TOGETHERAI_API_KEY",), "https://api.together.ai/settings/api-keys"),
    "fireworks_ai": Provider(("FIREWORKS_AI_API_KEY",), "https://fireworks.ai/account/api-keys"),
    "azure": Provider(("AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"), "https://portal.azure.com"),
    "bedrock": Provider(
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION_NAME"), "https://console.aws.amazon.com/iam"
    ),
}

#: Set for Bedrock instead of keys: a profile, a web identity or a container's role.
AWS_INSTEAD = (
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def provider_of(model: Model) -> str | None:
    """Return the provider in a model's name (`groq/...`), or None where the name has none."""
    prefix, slash, _ = model.name.partition("/")
    return prefix if slash else None


def variables_of(model: Model) -> tuple[str, ...]:
    """Return the environment variables that calling a model needs; none where it names a server of its own."""
    provider = PROVIDERS.get(provider_of(model) or "")
    usual = provider.variables if provider and model.service is None else ()
    given = {"AZURE_API_BASE": model.api_base, "AZURE_API_VERSION": model.params.get("api_version")}
    needed = tuple(name for name in usual if not given.get(name))
    if model.api_key_env is not None:
        return (model.api_key_env, *(name for name in needed if not name.endswith("_API_KEY")))
    return () if model.api_base and provider_of(model) != "azure" else needed
