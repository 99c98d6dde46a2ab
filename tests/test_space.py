"""The README's head makes this repository a hosted Space as it stands."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def front_matter() -> dict[str, str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert head, "README.md begins with no front matter"
    pairs = re.findall(r"^(\w+):[ ]*(.*)$", head[1], re.MULTILINE)
    return {key: value.strip('"') for key, value in pairs}


def test_a_space_runs_the_gradio_and_the_app_that_are_tested() -> None:
    head = front_matter()
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    assert head["sdk"] == "gradio"
    assert f"gradio=={head['sdk_version']}" in pinned
    assert (ROOT / head["app_file"]).is_file()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={head["python_version"]}' in project
    assert head["python_version"] == "3.11"


def test_the_spaces_card_has_what_the_hub_asks_for() -> None:
    head = front_matter()
    assert head["title"]
    assert head["license"] == "mit"
    assert "models:\n  - kuprel/min-dalle\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert 0 < len(head["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {head["colorFrom"], head["colorTo"]} <= colours


def test_no_file_is_too_large_for_plain_git() -> None:
    shipped = ("dalle_app", "docs", "static", "tests")
    files = [path for name in shipped for path in (ROOT / name).rglob("*") if path.is_file()]
    files += [path for path in (ROOT / "training").iterdir() if path.is_file()]
    assert len(files) > 100
    assert not [path for path in files if path.stat().st_size > 10_000_000]
