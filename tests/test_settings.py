"""Settings come from the environment, wrong ones are refused by name, and the README lists them."""

from dataclasses import fields
from pathlib import Path

import pytest

from dalle_app.errors import InvalidSetting
from dalle_app.settings import Settings, settings_from_environment

README = Path(__file__).parent.parent / "README.md"


def test_without_variables_or_with_blank_ones_the_defaults_hold():
    assert settings_from_environment({}) == Settings()
    assert settings_from_environment({"GRADIO_SERVER_PORT": " ", "UNRELATED": "x"}) == Settings()


def test_every_variable_is_read_into_its_field():
    for item in fields(Settings):
        variable, choices = item.metadata["variable"], item.metadata["choices"]
        text = choices[-1] if choices else "7" if isinstance(item.default, int) else "elsewhere"
        changed = settings_from_environment({variable: f" {text} "})
        assert getattr(changed, item.name) == type(item.default)(text)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRADIO_SERVER_PORT", "70000"),
        ("GRADIO_SERVER_PORT", "http"),
        ("GRADIO_SERVER_PORT", "-1"),
        ("DALLE_QUEUE_SIZE", "0"),
        ("DALLE_QUEUE_SIZE", "1e3"),
        ("DALLE_KEEP_MB", "9" * 5000),
        ("DALLE_DEVICE", "tpu"),
        ("DALLE_PRECISION", "float8"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_variables_name(variable, value):
    with pytest.raises(InvalidSetting, match=variable):
        settings_from_environment({variable: value})


def test_a_key_is_not_in_the_settings_repr():
    assert "sk-canary" not in repr(settings_from_environment({"OPENAI_API_KEY": "sk-canary"}))


def test_the_readme_has_a_line_for_every_setting_with_its_default():
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if "|" in line]
    for item in fields(Settings):
        variable, default = item.metadata["variable"], str(item.default)
        row = [line for line in rows if line.startswith(f"| `{variable}` |")]
        assert len(row) == 1, f"README's table has no single row for {variable}"
        assert not default or f"`{default}`" in row[0], f"{variable}'s default is {default}"
