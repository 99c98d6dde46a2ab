"""The image is made of what the tree has, and of the versions that everything else runs with."""

import re
import shlex
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from dalle_app.settings import Settings

ROOT = Path(__file__).parent.parent


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, `("COPY", "static static")`, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    pairs = [line.split(" ", 1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def arguments(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def copied() -> list[str]:
    return [path for rest in arguments("COPY") for path in rest.split()[:-1]]


def environment() -> dict[str, str]:
    words = [word for rest in arguments("ENV") for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("path", copied())
def test_what_is_copied_is_in_the_tree_and_not_ignored(path: str) -> None:
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert known, f"{path} is no file of the tree"
    assert f"!{path}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_image_lets_in_nothing_that_is_not_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_torch_and_python_are_the_versions_of_everything_else() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    torch = re.search(r"^torch==(\S+)", requirements, re.MULTILINE)
    assert torch
    assert f"TORCH_VERSION={torch[1]}" in arguments("ARG")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+", arguments("FROM")[0])
    assert python
    assert project["requires-python"].startswith(f">={python[1]}")


def test_a_change_of_code_installs_nothing_again() -> None:
    steps = [f"{name} {rest}" for name, rest in instructions()]
    code = steps.index("COPY dalle_app dalle_app")
    assert not [step for step in steps[code:] if "pip install" in step]
    torch = next(k for k, step in enumerate(steps) if "torch==" in step)
    assert not [step for step in steps[:torch] if step.startswith("COPY")]


def test_it_runs_as_nobody_special_and_keeps_what_it_makes_in_volumes() -> None:
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("CMD")
    assert arguments("USER") == ["crayon"]
    kept = environment()
    assert arguments("VOLUME") == [f'["{kept["DALLE_DATA_DIR"]}", "{kept["DALLE_MODELS_DIR"]}"]']


def test_what_it_sets_are_settings_and_what_it_asks_is_the_health_check() -> None:
    variables = {field.metadata["variable"] for field in fields(Settings)}
    set_here = {name for name in environment() if name.startswith(("DALLE_", "GRADIO_"))}
    assert set_here <= variables
    assert "/healthz" in arguments("HEALTHCHECK")[0]
    web = (ROOT / "dalle_app" / "web.py").read_text(encoding="utf-8")
    assert '"/healthz"' in web
