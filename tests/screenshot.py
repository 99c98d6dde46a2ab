"""Take the README's picture of the page: `PYTHONPATH=. python tests/screenshot.py`.

Serves the app with the shipped pocket on a free port, draws, and saves `static/screenshot.png`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from browser_fixtures import SWITCHES, draw, wait_for_pictures
from PIL import Image
from playwright.sync_api import sync_playwright
from serving import serve

from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.settings import Settings

TARGET = Path(__file__).parents[1] / "static" / "screenshot.png"
COLOURS = 200  # keeps the file small; crayon colours do not suffer


def take(prompt: str, seed: str, target: Path) -> None:
    """Draw `prompt` in a browser and save what a visitor sees."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = Settings(data_dir=Path(folder))
        with serve([LocalEngine(settings)], settings) as served:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES)
            page = browser.new_page(viewport={"width": 900, "height": 1290})
            page.goto(served.url)
            page.wait_for_selector(".recent", state="attached")
            page.locator("#seed input").press_sequentially(seed)
            draw(page, prompt)
            wait_for_pictures(page, prompt, 9)
            page.wait_for_selector("button.stop", state="hidden")
            page.screenshot(path=target, animations="disabled")
            browser.close()
    with Image.open(target) as shot:
        shot.convert("RGB").quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default="a blue harp")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--target", type=Path, default=TARGET)
    given = parser.parse_args()
    take(given.prompt, given.seed, given.target)
