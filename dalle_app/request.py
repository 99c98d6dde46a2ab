"""What a person asks for, what there is to see, and what they get.

Knows nothing of models, pages or servers; everything else in the program speaks in these three.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from dalle_app.errors import InvalidRequest

if TYPE_CHECKING:
    from PIL import Image

    from dalle_app.recipe import Recipe

MAX_PROMPT = 4_000  # characters; a model reads far fewer, and says which it dropped
MAX_SEED = 2**53 - 1  # the largest integer that JavaScript and JSON carry unharmed
MAX_SIDE = 6
MAX_COUNT = MAX_SIDE**2
MAX_TOP_K = 16_384  # DALL-E mini's whole image vocabulary
MAX_TEMPERATURE = 10.0
MAX_GUIDANCE = 100.0
_WHOLE = re.compile(r"[+-]?\d{1,32}")
_SIZE = re.compile(r"|auto|[1-9]\d{1,4}x[1-9]\d{1,4}")


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What a person asked for, checked once, here.

    `seed` None means “any”: `settle()` picks one. `temperature`, `top_k` and `guidance` None mean
    the model's own. `count` pictures; a grid of side g asks for g². `size`, `1024x1024` in pixels
    or `auto`, is for engines that can choose; empty is the model's own.

    Raises:
        InvalidRequest: for the first field that cannot be drawn.
    """

    prompt: str
    seed: int | None = None
    count: int = 9
    model: str = "pocket"
    negative_prompt: str = ""
    temperature: float | None = None
    top_k: int | None = None
    guidance: float | None = None
    size: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", _text("prompt", self.prompt))
        object.__setattr__(self, "negative_prompt", _text("negative_prompt", self.negative_prompt))
        if not self.prompt:
            raise InvalidRequest("prompt", "The prompt is empty. Say what to draw, “a blue harp”.")
        object.__setattr__(self, "model", _text("model", self.model))
        if not 0 < len(self.model) <= 200:
            raise InvalidRequest("model", "The model's name must be 1 to 200 characters long.")
        _check_whole("count", "The number of pictures", self.count, 1, MAX_COUNT)
        if self.seed is not None:
            _check_whole("seed", "The seed", self.seed, 0, MAX_SEED)
        if self.top_k is not None:
            _check_whole("top_k", "Top-k", self.top_k, 1, MAX_TOP_K)
        if self.temperature is not None:
            _check_real("temperature", "The temperature", self.temperature, 0.01, MAX_TEMPERATURE)
        if self.guidance is not None:
            _check_real("guidance", "The guidance", self.guidance, 0.0, MAX_GUIDANCE)
        if not isinstance(self.size, str) or not _SIZE.fullmatch(self.size):
            raise InvalidRequest("size", "The size must read like 1024x1024, or auto.")

    @property
    def side(self) -> int:
        """Side of the smallest square grid that holds all pictures."""
        return math.isqrt(self.count - 1) + 1

    def settle(self) -> ImageRequest:
        """The same request with a seed: its own, or a fresh random one."""
        if self.seed is not None:
            return self
        return replace(self, seed=secrets.randbelow(MAX_SEED + 1))


def request_from_fields(given: Mapping[str, object]) -> ImageRequest:
    """Read a request from texts or numbers, as a form, a link, JSON or a command line gives them.

    Keys are ImageRequest's field names, or `grid` (side of a square) in place of `count`.
    None and blank texts count as not given. Unknown keys are ignored.

    Raises:
        InvalidRequest: a text is no number, or the request cannot be drawn.
    """
    known = {field.name for field in fields(ImageRequest)}
    values: dict[str, object] = {}
    for key, value in given.items():
        if value is None or (isinstance(value, str) and not value.strip() and key != "prompt"):
            continue
        if key in ("seed", "count", "top_k"):
            values[key] = _whole(key, value)
        elif key == "grid":
            side = _whole(key, value)
            _check_whole("grid", "The grid size", side, 1, MAX_SIDE)
            values["count"] = side**2
        elif key in ("temperature", "guidance"):
            values[key] = _real(key, value)
        elif key in known:
            values[key] = value
    values.setdefault("prompt", "")
    return ImageRequest(**values)  # type: ignore[arg-type]  # __post_init__ checks every one


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One picture with its recipe. In a snapshot before the last: as far as it is drawn.

    It is RGB, or RGBA where a server was asked for one that can be seen through.
    """

    picture: Image.Image
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is to see now. The last one of a run has `step == of` and all pictures.

    Attributes:
        step, of: steps done and steps in all, a step being one token of every picture.
        rows: rows of tokens in a picture, for “row 5 of 16”; 0 where the engine knows none.
        images: the pictures so far, in order; empty until the first preview.
        ahead: requests that will be drawn before this one; 0 once it is being drawn.
        seconds_left: estimate to the last snapshot, None while unknown.
        notes: sentences for the person (“pocket has never seen an armchair. It will guess.”).
        text_tokens: tokens of the prompts that the model read, once for all pictures; 0 if unknown.
    """

    step: int
    of: int
    rows: int = 0
    images: tuple[GeneratedImage, ...] = ()
    ahead: int = 0
    seconds_left: float | None = None
    notes: tuple[str, ...] = ()
    text_tokens: int = 0

    @property
    def final(self) -> bool:
        """True for a run's last snapshot."""
        return self.step == self.of

    @property
    def row(self) -> int:
        """Rows finished so far."""
        return self.step * self.rows // self.of


_LABELS = {
    "seed": "The seed",
    "count": "The number of pictures",
    "grid": "The grid size",
    "top_k": "Top-k",
    "temperature": "The temperature",
    "guidance": "The guidance",
}


def _text(field: str, value: object) -> str:
    label = field.replace("_", " ")
    if not isinstance(value, str):
        raise InvalidRequest(field, f"The {label} must be text.")
    if len(value) > MAX_PROMPT:
        raise InvalidRequest(
            field,
            f"The {label} is {len(value):,} characters long; {MAX_PROMPT:,} is the most. "
            "Shorten it.",
        )
    # Lone surrogates, which no encoding carries, become the replacement character.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def _whole(field: str, value: object) -> int:
    if isinstance(value, str):
        if _WHOLE.fullmatch(value.strip()):
            return int(value)
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidRequest(field, f"{_LABELS[field]} must be a whole number, not {_shown(value)}.")


def _real(field: str, value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise InvalidRequest(field, f"{_LABELS[field]} must be a number, not {_shown(value)}.")


def _shown(value: object) -> str:
    # Of anything but a text or a number only the kind: a repr may be huge or nested without end.
    if isinstance(value, str):
        return f"“{value.strip()[:40]}”"
    if isinstance(value, float):
        return f"{value:g}"
    return f"a {type(value).__name__}"


def _check_whole(field: str, label: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(field, f"{label} must be a whole number.")
    if not low <= value <= high:
        raise InvalidRequest(field, f"{label} must be between {low} and {high:,}.")


def _check_real(field: str, label: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(field, f"{label} must be a number.")
    if not low <= value <= high:  # never true of NaN
        raise InvalidRequest(field, f"{label} must be between {low:g} and {high:g}.")
