"""Every setting, with its environment variable, default and one line of help.

Read once at start-up and passed on; nothing else in the program looks at the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from dalle_app.errors import InvalidSetting


def _setting(variable: str, default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    return field(
        default=default,
        repr=not variable.endswith("_KEY"),  # secrets stay out of logs and tracebacks
        metadata={"variable": variable, "help": help, "choices": choices},
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The values the whole program runs with. `settings_from_environment` reads them."""

    host: str = _setting(
        "GRADIO_SERVER_NAME", "127.0.0.1", "address to listen on; `0.0.0.0` for every network"
    )
    port: int = _setting("GRADIO_SERVER_PORT", 7860, "port to listen on")
    data_dir: Path = _setting(  # noqa: RUF009  # a Path never changes
        "DALLE_DATA_DIR", Path("data"), "folder for visitors' last runs"
    )
    models_dir: Path = _setting(  # noqa: RUF009
        "DALLE_MODELS_DIR", Path("models"), "folder for the published weights of mini and mega"
    )
    model: str = _setting(
        "DALLE_MODEL", "pocket", "model that the local tab starts with, if it can draw"
    )
    fetch: str = _setting(
        "DALLE_FETCH",
        "",
        "published model to fetch while the app starts, where nobody has a terminal or the page "
        "to ask for it: in a container, on a hosted Space",
        ("mini", "mega"),
    )
    device: str = _setting(
        "DALLE_DEVICE", "auto", "where to draw; `auto` is CUDA if there", ("auto", "cpu", "cuda")
    )
    precision: str = _setting(
        "DALLE_PRECISION",
        "float32",
        "number format of the weights; `float32` gives exactly repeatable pictures",
        ("float32", "bfloat16"),
    )
    queue_size: int = _setting("DALLE_QUEUE_SIZE", 30, "requests that may wait or run at a time")
    queue_per_visitor: int = _setting(
        "DALLE_QUEUE_PER_VISITOR", 3, "requests of one visitor that may wait or run at a time"
    )
    max_pictures: int = _setting("DALLE_MAX_PICTURES", 36, "pictures in one request, 36 at most")
    keep_hours: int = _setting("DALLE_KEEP_HOURS", 24, "hours that a finished run is kept")
    keep_megabytes: int = _setting("DALLE_KEEP_MB", 500, "size that all kept runs may reach, in MB")
    api: str = _setting(
        "DALLE_API",
        "auto",
        "who may use the Images API at `/v1`; `auto` is `keys` if there are keys, else this "
        "machine while the address is a loopback one, else `off`",
        ("auto", "off", "open", "keys"),
    )
    api_keys: str = _setting(
        "DALLE_API_KEYS", "", "hashes of `/v1`'s keys; `python -m dalle_app.access NAME` makes one"
    )
    openai_api_key: str = _setting(
        "OPENAI_API_KEY", "", "the owner's key for the API tab; it is never shown"
    )
    openai_base_url: str = _setting(
        "OPENAI_BASE_URL", "https://api.openai.com/v1", "server of the API tab"
    )
    openai_model: str = _setting(
        "OPENAI_MODEL",
        "",
        "model that the API tab starts with; empty is the newest that OpenAI has not switched off",
    )
    share_key: str = _setting(
        "DALLE_SHARE_KEY",
        "no",
        "whether visitors may draw with `OPENAI_API_KEY`; `no` is this machine alone, while the "
        "address is a loopback one",
        ("no", "yes"),
    )
    visit_dollars: int = _setting(
        "DALLE_VISIT_DOLLARS",
        5,
        "US dollars that a visit may spend at OpenAI; who has a key of their own may raise it",
    )
    api_hosts: str = _setting(
        "DALLE_API_HOSTS",
        "",
        "further servers that visitors may name in the API tab, `one.example.org, 10.0.0.7:8080`; "
        "on this machine any may be named while the address is a loopback one",
    )


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings; a variable that is absent or blank gives the default.

    Raises:
        InvalidSetting: naming the variable, its value (never a key's) and what was expected.
    """
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = environment.get(item.metadata["variable"], "").strip()
        if text:
            values[item.name] = _value(item, text)
    settings = Settings(**values)
    if settings.port > 65535:
        raise InvalidSetting(f"GRADIO_SERVER_PORT is {settings.port}; 65535 is the most.")
    return settings


def _value(item: Field[Any], text: str) -> Any:
    variable, choices = item.metadata["variable"], item.metadata["choices"]
    if choices and text not in choices:
        raise InvalidSetting(f"{variable} is {text!r}; it must be one of {', '.join(choices)}.")
    if isinstance(item.default, Path):
        return Path(text).expanduser()
    if isinstance(item.default, int):
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
            raise InvalidSetting(f"{variable} is {text!r}; it must be a whole number above 0.")
        return int(text)
    return text
