"""The look of Gradio's own widgets: its theme, in the colours of `static/page.css`.

Knows no widget; light and dark are told apart by the style sheet's variables alone.
"""

from __future__ import annotations

import gradio as gr

_COLOURS = {
    "body_background_fill": "var(--paper)",
    "body_text_color": "var(--ink)",
    "body_text_color_subdued": "var(--soft-ink)",
    "background_fill_primary": "var(--paper)",
    "background_fill_secondary": "var(--card)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--teal)",
    "block_background_fill": "transparent",
    "block_border_color": "transparent",
    "block_info_text_color": "var(--soft-ink)",
    "block_label_text_color": "var(--ink)",
    "block_title_text_color": "var(--ink)",
    "link_text_color": "var(--teal)",
    "input_background_fill": "var(--card)",
    "input_background_fill_focus": "var(--card)",
    "input_border_color": "var(--line)",
    "input_border_color_focus": "var(--teal)",
    "input_placeholder_color": "var(--soft-ink)",
    "checkbox_label_background_fill": "var(--card)",
    "checkbox_label_background_fill_hover": "var(--card)",
    "checkbox_label_background_fill_selected": "var(--highlight)",
    "checkbox_label_text_color": "var(--ink)",
    "checkbox_label_text_color_selected": "var(--on-highlight)",
    "checkbox_label_border_color": "var(--line)",
    "button_primary_background_fill": "var(--orange)",
    "button_primary_background_fill_hover": "var(--orange-deep)",
    "button_primary_text_color": "var(--on-orange)",
    "button_primary_text_color_hover": "var(--on-orange)",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "var(--card)",
    "button_secondary_background_fill_hover": "var(--line)",
    "button_secondary_text_color": "var(--ink)",
    "button_secondary_border_color": "var(--line)",
}


def theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours, with a font that the page itself ships."""
    font: list[gr.themes.Font | str] = [
        gr.themes.Font("Nunito"),
        "ui-rounded",
        "system-ui",
        "sans-serif",
    ]
    plain = gr.themes.Base(font=font, font_mono=("ui-monospace", "monospace"))
    same_in_dark = {f"{name}_dark": colour for name, colour in _COLOURS.items()}
    return plain.set(
        **_COLOURS,
        **same_in_dark,
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_radius="14px",
        input_radius="14px",
        button_large_radius="14px",
        layout_gap="12px",
    )
