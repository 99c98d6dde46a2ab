"""What a call used, as its answer's `usage` tells.

Knows no prices.
"""

from __future__ import annotations

from dalle_app.image_models import TokenCount


def used_of(answer: object) -> TokenCount:
    """The `usage` of an answer or of an event, as far as it makes sense; else nothing."""
    usage = getattr(answer, "usage", None)
    details = getattr(usage, "input_tokens_details", None)
    image = _number(details, "image_tokens")
    text = _number(details, "text_tokens") or max(0, _number(usage, "input_tokens") - image)
    return TokenCount(text, image, _number(usage, "output_tokens"))


def _number(item: object, name: str) -> int:
    value = getattr(item, name, None)
    return value if isinstance(value, int) and 0 <= value < 10**9 else 0
