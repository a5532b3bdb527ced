"""The text is not a refusal."""

import re

from firstline.schemas.base import Json
from firstline.schemas.check import NoRefusal
from firstline.workers.rules.json_paths import brief, texts

#: Refusals come first; later in a text the same words are mostly content.
_OPENING = 250
_APOSTROPHE = "['\u2019]"
_EN_VERB = (
    r"(help|assist|comply|answer|provide|fulfil+|complete|create|generate|write|process|do (that|this)|discuss|share)"
)
_REFUSALS = re.compile(
    "|".join(
        (
            rf"\b(i|we)( can{_APOSTROPHE}?t| cannot| can not| won{_APOSTROPHE}?t| am unable to|{_APOSTROPHE}m unable to"
            rf"| am not able to|{_APOSTROPHE}m not able to| will not| must decline to) (be able to )?{_EN_VERB}",
            r"\bas an? (ai|artificial intelligence|large language|language)\b.{0,40}\b(model|assistant|i)\b",
            rf"\bi{_APOSTROPHE}?( a)?m (sorry|afraid)[, ]+(but )?(i|that) (can{_APOSTROPHE}?t|cannot|is not something)",
            r"\bich (kann|darf|werde) (dabei |dir |ihnen |diese[nrs]? \w+ |das |darauf |leider )*nicht (\w+ )?"
            r"(helfen|beantworten|erf\u00fcllen|nachkommen)",
            r"\bals (ki|k\u00fcnstliche intelligenz|sprachmodell)\b",
            r"\bje (ne (peux|suis)|suis d\u00e9sol\u00e9).{0,40}\b(pas|incapable)\b.{0,20}"
            r"\b(aider|r\u00e9pondre|fournir|satisfaire)",
            r"\ben tant qu['\u2019](ia|intelligence|assistant|mod\u00e8le)",
            r"\b(no puedo|lo siento).{0,40}\b(ayudarte|ayudarle|ayudar|responder|cumplir|proporcionar)",
            r"\bcomo (una? )?(ia|inteligencia artificial|modelo de (lenguaje|linguagem))\b",
            r"\b(mi dispiace|non posso).{0,40}\b(aiutarti|aiutarla|aiutare|rispondere|fornire|soddisfare)",
            r"\b(n\u00e3o posso|desculpe|lamento).{0,40}\b(ajudar|responder|fornecer|atender)",
            r"\bik kan (je |u |dit |hier |daar )*(helaas )?(niet|geen) .{0,30}(helpen|beantwoorden|voldoen)",
            r"(\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u5f88\u9057\u61be).{0,12}(\u65e0\u6cd5|\u4e0d\u80fd)",
            r"(\u7533\u3057\u8a33|\u3059\u307f\u307e\u305b\u3093).{0,40}(\u3067\u304d\u307e\u305b\u3093|\u304a\u7b54\u3048)",
        )
    ),
    re.IGNORECASE,
)


def reason(spec: NoRefusal, value: Json) -> str | None:
    """Say that a text of the answer opens like a refusal."""
    opened = (" ".join(text[:_OPENING].split()) for text in texts(value))
    refused = next((text for text in opened if is_refusal(text)), None)
    return f"looks like a refusal: {brief(refused, 80)!r}" if refused else None


def is_refusal(text: str) -> bool:
    """Say whether a text opens as models refuse.

    In English, German, French, Spanish, Italian, Portuguese, Dutch, Chinese and Japanese.
    """
    return _REFUSALS.search(text[:_OPENING]) is not None
