"""What went wrong at an Images API server, in one sentence for the person.

Knows the openai package's exceptions and nothing else of it.
"""

from __future__ import annotations

import re
from datetime import date

import httpx2
import openai

from dalle_app.errors import ProviderError
from dalle_app.image_models import image_model

_REFUSALS = ("moderation_blocked", "content_policy_violation", "image_generation_user_error")
_KEYS = re.compile(r"\b(sk-|Bearer )\S+")

WEB_PAGE = (
    "The server answered with something other than pictures, perhaps a web page. Check its "
    "address: it usually ends in /v1."
)
NO_PICTURE = "The server answered without a picture. Draw it again, or choose another model."
CUT_OFF = (
    "The server broke off before the picture was done. It may have been billed all the same: look "
    "at the account's usage before you draw it again."
)
REFUSED = "The server's safety rules refuse this prompt. Change its words; nothing was drawn."


def provider_error(error: Exception, model: str, host: str) -> ProviderError:
    """The sentence for an exception of the openai package or of the network below it."""
    code, kind = getattr(error, "code", None), getattr(error, "type", None)
    if code in _REFUSALS or kind in _REFUSALS:
        return ProviderError(REFUSED)
    if code == "insufficient_quota":
        return ProviderError(
            "The account of this key has no credit left. Add some, or use another key."
        )
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return ProviderError(
            "The server took too long. The pictures may have been drawn and billed all the same: "
            "look at the account's usage before you draw them again."
        )
    if isinstance(error, openai.APIStatusError):
        return ProviderError(_by_status(error, model, host))
    network = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(network, httpx2.RemoteProtocolError | httpx2.ReadError):
        return ProviderError(CUT_OFF)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        return ProviderError(
            f"{host} could not be reached. Check its address and this machine's network."
        )
    if isinstance(error, openai.APIResponseValidationError):
        return ProviderError(WEB_PAGE)
    return ProviderError(f"The server failed{_because(error)}. Try again later.")


def costs_nothing(error: Exception) -> bool:
    """Whether a call that failed so was surely not billed: refused, or never heard."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code < 500
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout) or (
        getattr(error, "code", None) in _REFUSALS
    )


def _by_status(error: openai.APIStatusError, model: str, host: str) -> str:
    status = error.status_code
    if status == 401:
        return "The server does not accept this key. Check it, or use another one."
    if status == 403:
        return f"This key may not use {model}{_because(error)}. Choose another model or key."
    if status == 404 and "model" in f"{error.code} {error.message}".lower():
        advice = image_model(model).advice(date.today()) or "Choose another one."
        return f"{host} has no model {model}. {advice}"
    if status == 404:
        return f"There is no Images API at {host}. Check the address: it usually ends in /v1."
    if status == 413:
        return "The request is too large for the server. Shorten the prompt."
    if status == 429:
        seconds = error.response.headers.get("retry-after", "")
        when = f"in {seconds} s" if re.fullmatch(r"\d{1,6}", seconds) else "in a minute"
        return f"The server is taking no more requests with this key just now. Try again {when}."
    if 300 <= status < 400:
        return f"{host} sends us to another address, which is not followed. Type the final one."
    if status >= 500:
        return (
            f"The server failed (status {status}). It was not asked again, because that could cost "
            "twice. Try in a minute."
        )
    return f"The server refuses the request{_because(error)}. Change it and draw again."


def _because(error: Exception) -> str:
    """The server's own words, short and without anything that looks like a key."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    if not isinstance(said, str) or not said.strip():
        return ""
    words = _KEYS.sub("…", " ".join(said.split()))[:200].rstrip(". ")
    return f": “{words}”"
