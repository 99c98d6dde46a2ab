"""Rebuild sprites.parquet, pocket's drawings with their words, from package.json's npm packages.

Knows nothing of captions, compositions or models. `make pocket-data` runs npm and then this.
"""

import argparse
import io
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import resvg_py
from PIL import Image
from tqdm import tqdm

from training import DATA
from training.concepts import Concepts, code_key, load, read_json
from training.sprites import PIXELS

HERE = Path(__file__).parent
SETS_FILE = HERE / "sets.toml"
MARGIN, WEBP_QUALITY = 6, 90
# Mean difference (of 255, on a 16×16 thumbnail) under which two drawings of a set are the same.
SAME_PICTURE = 2.0
INK = "#1b1b1f"  # what `currentColor` means in the monochrome set
# A name that means something else in that set (the country's flag, a real gun).
WRONG = {
    ("streamline", "turkey"), ("streamline", "pistol"), ("fxemoji", "pistol"),
    ("emojitwo", "pistol"), ("noto-v1", "pistol"),
}  # fmt: skip
COLOUR = re.compile(r"\b(red|orange|yellow|green|blue|purple|brown|black|white|pink|grey|light)\b")
TONE = re.compile(r"skin-tone|-tone\d$|-(light|medium|dark|medium-light|medium-dark)$")

Rgba = npt.NDArray[np.uint8]


def sets() -> dict[str, dict[str, Any]]:
    """Set id -> package, art (licence), credit, source, style words."""
    return tomllib.loads(SETS_FILE.read_text(encoding="utf-8"))


def fit(image: Image.Image) -> Rgba | None:
    """The drawn part, longer side 128 − 2·6 px, centred on transparency: uint8 [128, 128, 4].

    None for a blank picture. Alpha is straight; scaling happens premultiplied, else edges fringe.
    """
    pixels = np.asarray(image)
    drawn = pixels[..., 3] > 8
    if drawn.sum() < 40:
        return None
    rows, columns = np.where(drawn)
    pixels = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = (PIXELS - 2 * MARGIN) / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    layers = pixels.astype(np.float32)
    layers[..., :3] *= layers[..., 3:] / 255
    resized = np.stack(
        [
            np.asarray(
                Image.fromarray(layers[..., c]).resize((width, height), Image.Resampling.LANCZOS)
            )
            for c in range(4)
        ],
        axis=-1,
    ).clip(0, 255)
    resized[..., :3] = (resized[..., :3] / np.maximum(resized[..., 3:], 1) * 255).clip(0, 255)
    canvas = np.zeros((PIXELS, PIXELS, 4), np.uint8)
    top, left = (PIXELS - height) // 2, (PIXELS - width) // 2
    canvas[top : top + height, left : left + width] = resized.round().astype(np.uint8)
    return canvas


def draw(icon: dict[str, Any], collection: dict[str, Any]) -> Image.Image | None:
    """An Iconify icon as RGBA, or None where the renderer gives up at every margin tried."""
    width = icon.get("width", collection.get("width", 16))
    height = icon.get("height", collection.get("height", 16))
    # Some art draws past its box, so look a little wider; resvg panics on a few filters at some
    # sizes and not at others.
    for share in (0.1, 0.0, 0.25):
        margin = share * max(width, height)
        box = (
            icon.get("left", 0) - margin, icon.get("top", 0) - margin,
            width + 2 * margin, height + 2 * margin,
        )  # fmt: skip
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box[0]} {box[1]} {box[2]} {box[3]}" '
            f'width="{PIXELS * 3 // 2}" height="{PIXELS * 3 // 2}">{icon["body"]}</svg>'
        ).replace("currentColor", INK)
        try:
            png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
        except BaseException as error:
            # resvg's PanicException is no Exception; anything else is not ours to swallow
            if type(error).__name__ != "PanicException":
                raise
            continue
        return Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    return None


def icons_of(
    name: str, package: Path, node_modules: Path, concepts: Concepts
) -> Iterator[tuple[str, str, Image.Image | None]]:
    """(concept key, icon name, drawing) of a set, in Unicode's order."""
    assets = package / "assets"
    if assets.is_dir():
        files: dict[str, list[Path]] = {}
        for path in sorted(assets.iterdir()):
            files.setdefault(code_key(path.stem), []).append(path)
        for key in concepts.by_key:
            for path in files.get(key, []):
                yield key, path.name, Image.open(path).convert("RGBA")
        return
    collection = read_json(package / "icons.json")
    icons, aliases = collection["icons"], collection.get("aliases", {})
    # The glossy Fluent set names its icons as the flat one does, but only that one lists its codes.
    listing = node_modules / "@iconify-json/fluent-emoji-flat" if name == "fluent" else package
    codes = read_json(listing / "chars.json") if (listing / "chars.json").exists() else {}
    wanted: dict[str, list[str]] = {}
    for code, icon in codes.items():
        icon = icon if icon in icons else aliases.get(icon, {}).get("parent")
        if icon in icons and code_key(code) in concepts.by_key:
            wanted.setdefault(code_key(code), []).append(icon)
    placed = {icon for group in wanted.values() for icon in group}
    for icon in sorted(icons):
        if icon in placed or TONE.search(icon):
            continue
        meant = concepts.named(icon)
        if meant and (meant not in wanted or re.search(r"-\d$", icon)):
            wanted.setdefault(meant, []).append(icon)
    for key in concepts.by_key:
        for icon in dict.fromkeys(wanted.get(key, [])):
            yield key, icon, draw(icons[icon], collection)


def thumbnail(pixels: Rgba) -> npt.NDArray[np.int16]:
    """The drawing on white at 16×16, flat: int16 [768], to find the same picture twice."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    on_white = (pixels[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    small = Image.fromarray(on_white).resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small).astype(np.int16).ravel()


def webp(pixels: Rgba) -> bytes:
    """WebP with alpha, quality 90: a fifth of the PNG, and no visible loss at 128 px."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=WEBP_QUALITY, method=4)
    return buffer.getvalue()


def rows_of(
    name: str, about: dict[str, Any], node_modules: Path, concepts: Concepts
) -> list[dict[str, Any]]:
    """The rows of one set: a drawing appears once, under all names that share it."""
    rows: list[dict[str, Any]] = []
    seen: list[npt.NDArray[np.int16]] = []
    counts: Counter[str] = Counter()
    source = icons_of(name, node_modules / about["package"], node_modules, concepts)
    for key, icon, image in tqdm(source, desc=name, unit="icon"):
        concept = concepts.by_key[key]
        if (name, icon) in WRONG:
            continue
        if name == "fluent-hc" and COLOUR.search(concept.name):
            continue  # black and white icons: a colour in the name would be a lie
        pixels = fit(image) if image else None
        if pixels is None:
            counts["blank" if image else "not drawable"] += 1
            continue
        small = thumbnail(pixels)
        if seen:
            distance = np.abs(np.stack(seen) - small).mean(axis=1)
            nearest = int(distance.argmin())
            if distance[nearest] < SAME_PICTURE:
                counts["merged"] += 1
                names = cast(list[str], rows[nearest]["names"])
                if concept.name not in names:
                    names.append(concept.name)
                continue
        seen.append(small)
        counts["kept"] += 1
        rows.append(
            {
                "set": name, "licence": about["art"], "icon": icon, "emoji": concept.emoji,
                "hex": key, "name": concept.name, "names": [concept.name],
                "aliases": concept.aliases, "keywords": concept.keywords, "group": concept.group,
                "subgroup": concept.subgroup, "gender": concept.gender, "style": about["style"],
                "webp": webp(pixels),
            }
        )  # fmt: skip
    print(f"{name}: {dict(counts)}")
    return rows


def main() -> None:
    """Build the parquet; where npm has not run, say so in a sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--npm", type=Path, default=HERE / "node_modules", help="node_modules folder"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="where the parquet goes")
    options = parser.parse_args()
    if not (options.npm / "emojibase-data").is_dir():
        raise SystemExit(
            f"{options.npm} has no packages: install Node.js, then run "
            "`npm install --ignore-scripts` in training/ (or `make pocket-data`, which does both)."
        )
    concepts = load(options.npm)
    rows = [
        row for name, about in sets().items() for row in rows_of(name, about, options.npm, concepts)
    ]
    table = pa.Table.from_pylist([{"idx": index} | row for index, row in enumerate(rows)])
    options.data.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, options.data / "sprites.parquet")
    things = len({row["hex"] for row in rows})
    print(f"{len(rows)} drawings of {things} things in {options.data / 'sprites.parquet'}")


if __name__ == "__main__":
    main()
