"""Contact sheets: every picture of a family with its prompt, the misses marked, none left out.

Knows nothing of how pictures are made or judged.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Marked = tuple[str, npt.NDArray[np.uint8], bool]  # prompt, picture [h, w, 3], was it right

TILE, GAP, CAPTION = 112, 8, 30  # px
COLUMNS = 15
INK, PAPER, MISS = (34, 34, 40), (255, 255, 255), (196, 30, 58)
WEBP_QUALITY = 82


def write(pictures: list[Marked], path: Path, columns: int = COLUMNS) -> None:
    """Write a sheet as WebP. A miss has a red frame and a red caption."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    width, height = TILE + GAP, TILE + CAPTION + GAP
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, (prompt, picture, right) in enumerate(pictures):
        x, y = GAP + place % columns * width, GAP + place // columns * height
        tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(tile, (x, y))
        frame, ink = ((225, 225, 230), INK) if right else (MISS, MISS)
        pen.rectangle((x - 1, y - 1, x + TILE, y + TILE), outline=frame, width=1 if right else 2)
        for line, text in enumerate(_lines(prompt, font)):
            pen.text((x, y + TILE + 2 + 13 * line), text, ink, font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "WEBP", quality=WEBP_QUALITY, method=6)


def _lines(prompt: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """The prompt in at most two lines as wide as a tile; what does not fit is cut off with “…”."""
    lines = [""]
    for word in prompt.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= TILE:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines if len(lines) <= 2 else [lines[0], f"{lines[1]} …"]
