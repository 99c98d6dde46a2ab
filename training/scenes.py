"""Twelve painted places for a thing to be in: space, beach, night, snow, forest, sea and so on.

It does not know what stands in them; all randomness comes from the caller's generator.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from training.sprites import PIXELS

RGB = tuple[int, int, int]
WHITE = (255, 255, 255)


class Painter:
    """A canvas with what the scenes have in common: gradients, dots, clouds, trees."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.horizon = self.within(86, 98)
        self.image = Image.new("RGB", (PIXELS, PIXELS))
        self.draw = ImageDraw.Draw(self.image)

    def within(self, low: float, high: float) -> float:
        """A number of pixels between the two."""
        return float(self.rng.uniform(low, high))

    def about(self, colour: RGB, spread: int = 12) -> RGB:
        """The colour, a little off."""
        r, g, b = (int(np.clip(v + self.rng.integers(-spread, spread + 1), 0, 255)) for v in colour)
        return r, g, b

    def sky(self, top: RGB, bottom: RGB) -> None:
        """Fill the canvas from top to bottom."""
        t = np.linspace(0, 1, PIXELS)[:, None, None]
        rows = np.array(self.about(top)) * (1 - t) + np.array(self.about(bottom)) * t
        rows = np.broadcast_to(rows, (PIXELS, PIXELS, 3)).astype(np.uint8)
        self.image.paste(Image.fromarray(rows))

    def ground(self, colour: RGB, from_y: float) -> None:
        """Fill everything below."""
        self.draw.rectangle((0, from_y, PIXELS, PIXELS), fill=self.about(colour))

    def hill(self, left: float, right: float, top: float, colour: RGB) -> None:
        """A wide ellipse that leaves the picture below."""
        self.draw.ellipse((left, top, right, top + 120), fill=self.about(colour))

    def disc(self, x: float, y: float, radius: float, colour: RGB) -> None:
        """Sun, moon, planet, bubble, flower."""
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def dots(self, count: int, colour: RGB, low: float, high: float, down_to: float = 128) -> None:
        """Stars or snow."""
        for _ in range(count):
            self.disc(self.within(0, 128), self.within(0, down_to), self.within(low, high), colour)

    def cloud(self, x: float, y: float, colour: RGB = WHITE) -> None:
        """Three balls of cotton."""
        for dx, radius in ((-9, 6), (0, 9), (9, 6)):
            self.disc(x + dx, y, radius, colour)

    def tree(self, x: float, base: float, height: float, colour: RGB) -> None:
        """A fir: a trunk and three triangles."""
        self.draw.rectangle((x - 2, base - height * 0.3, x + 2, base), fill=(95, 65, 40))
        for up in (0, 0.25, 0.5):
            half, foot = height * (0.42 - up * 0.35), base - height * (0.2 + up)
            peak = base - height * (0.55 + up)
            self.draw.polygon([(x - half, foot), (x + half, foot), (x, peak)], fill=colour)


def paint(scene: str, rng: np.random.Generator) -> Image.Image:
    """The scene's picture, RGB, PIXELS along a side."""
    painter = Painter(rng)
    SCENE_PAINTERS[scene](painter)
    return painter.image


def _space(p: Painter) -> None:
    p.sky((10, 8, 30), (40, 20, 80))
    p.dots(45, WHITE, 0.5, 1.4)
    x, y, radius = p.within(14, 114), p.within(12, 34), p.within(8, 14)
    p.disc(x, y, radius, p.about((200, 120, 80), 50))
    ring = (x - radius * 1.7, y - radius * 0.35, x + radius * 1.7, y + radius * 0.35)
    p.draw.ellipse(ring, outline=(235, 215, 170), width=2)


def _beach(p: Painter) -> None:
    p.sky((110, 195, 245), (200, 235, 252))
    p.disc(p.within(14, 114), p.within(12, 22), 9, (255, 225, 80))
    p.ground((30, 130, 205), p.horizon - 28)
    p.draw.rectangle((0, p.horizon - 3, PIXELS, p.horizon), fill=(225, 245, 255))
    p.ground((240, 215, 150), p.horizon)


def _night(p: Painter) -> None:
    p.sky((8, 14, 50), (35, 45, 105))
    p.dots(28, (255, 250, 220), 0.6, 1.4, down_to=80)
    p.disc(p.within(16, 112), p.within(14, 26), 10, (250, 240, 190))
    p.hill(-30, PIXELS + 30, p.horizon, (18, 32, 45))


def _snow(p: Painter) -> None:
    p.sky((165, 195, 225), (215, 230, 245))
    for _ in range(4):
        p.tree(p.within(4, 124), p.horizon + 4, p.within(26, 40), p.about((60, 110, 100)))
    p.hill(-40, PIXELS + 40, p.horizon - 4, (250, 252, 255))
    p.dots(40, WHITE, 1.0, 1.9)


def _forest(p: Painter) -> None:
    p.sky((180, 220, 200), (140, 190, 140))
    for nth in range(11):
        green = (35 + nth * 2, 105 + nth * 3, 55)
        p.tree(p.within(-4, 132), p.horizon + nth, p.within(50, 80), p.about(green, 8))
    p.ground((75, 130, 60), p.horizon + 6)


def _sea(p: Painter) -> None:
    p.sky((60, 175, 225), (10, 55, 120))
    for _ in range(12):
        x, y, radius = p.within(0, 128), p.within(0, 110), p.within(2, 4.5)
        box = (x - radius, y - radius, x + radius, y + radius)
        p.draw.ellipse(box, outline=(200, 240, 255), width=1)
    p.hill(-30, PIXELS + 30, 112, (210, 190, 130))
    for _ in range(5):
        x = p.within(4, 124)
        weed = [(x + np.sin(t * 1.3) * 3, PIXELS - 6 - t * 4) for t in range(7)]
        p.draw.line(weed, fill=(40, 150, 90), width=3)


def _sunset(p: Painter) -> None:
    p.sky((95, 45, 120), (255, 150, 70))
    p.disc(p.within(34, 94), p.horizon - 4, 22, (255, 225, 110))
    p.ground((70, 35, 70), p.horizon)


def _desert(p: Painter) -> None:
    p.sky((120, 190, 240), (245, 225, 185))
    p.disc(108, 15, 9, (255, 240, 140))
    p.hill(-60, 90, p.horizon - 8, (225, 175, 100))
    p.hill(40, PIXELS + 70, p.horizon, (238, 195, 120))
    x, top, green = p.within(8, 120), p.horizon - 22, (60, 140, 75)
    p.draw.rounded_rectangle((x - 3, top, x + 3, top + 34), 3, fill=green)
    p.draw.rounded_rectangle((x - 10, top + 8, x - 6, top + 20), 2, fill=green)
    p.draw.rectangle((x - 9, top + 17, x, top + 20), fill=green)


def _city(p: Painter) -> None:
    p.sky((150, 205, 240), (225, 235, 245))
    x = -4.0
    while x < PIXELS:
        width, top = p.within(14, 24), p.horizon + 10 - p.within(34, 72)
        p.draw.rectangle((x, top, x + width, PIXELS), fill=p.about((110, 120, 145), 25))
        for wy in np.arange(top + 4, p.horizon, 7):
            for wx in np.arange(x + 3, x + width - 4, 6):
                lit = (255, 240, 170) if p.rng.random() < 0.6 else (80, 90, 110)
                p.draw.rectangle((wx, wy, wx + 2, wy + 3), fill=lit)
        x += width + 1
    p.ground((85, 88, 95), p.horizon + 14)
    p.draw.line((0, p.horizon + 24, PIXELS, p.horizon + 24), fill=(250, 220, 90), width=2)


def _field(p: Painter) -> None:
    p.sky((95, 185, 250), (205, 235, 252))
    for _ in range(2):
        p.cloud(p.within(14, 114), p.within(12, 30))
    p.hill(-50, PIXELS + 50, p.horizon - 8, (105, 190, 80))
    for _ in range(12):
        petals = ((255, 90, 110), (255, 225, 80), WHITE)[p.rng.integers(3)]
        p.disc(p.within(0, 128), p.within(100, 126), 1.7, petals)


def _mountains(p: Painter) -> None:
    p.sky((130, 190, 240), (220, 235, 245))
    foot = p.horizon + 10
    for _ in range(4):
        x, height, half = p.within(0, 128), p.within(48, 75), p.within(36, 55)
        top, quarter = foot - height, half * 0.25
        rock, cap = p.about((110, 115, 135), 15), foot - height * 0.75
        p.draw.polygon([(x - half, foot), (x + half, foot), (x, top)], fill=rock)
        p.draw.polygon([(x - quarter, cap), (x + quarter, cap), (x, top)], fill=(250, 252, 255))
    p.ground((95, 150, 85), p.horizon + 6)


def _rain(p: Painter) -> None:
    p.sky((95, 105, 125), (160, 170, 182))
    p.cloud(p.within(20, 50), p.within(9, 16), (70, 78, 95))
    p.cloud(p.within(70, 110), p.within(9, 16), (78, 86, 102))
    p.ground((85, 95, 105), p.horizon + 10)
    for _ in range(40):
        x, y = p.within(0, 128), p.within(18, 128)
        p.draw.line((x, y, x - 2, y + 7), fill=(190, 215, 245), width=1)


SCENE_PAINTERS: dict[str, Callable[[Painter], None]] = {
    "space": _space, "beach": _beach, "night": _night, "snow": _snow, "forest": _forest,
    "sea": _sea, "sunset": _sunset, "desert": _desert, "city": _city, "field": _field,
    "mountains": _mountains, "rain": _rain,
}  # fmt: skip
