"""`make evaluate-pocket`: the suite drawn by the app's own engine, and scored: evaluation.json.

One picture a prompt, seed 0, no choosing. Knows how families are scored; knows nothing of training.
"""

import argparse
import datetime
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tqdm import tqdm

from dalle_app.engines.dalle_mini.checkpoint import BUNDLED, Sampling, read_checkpoint
from dalle_app.engines.dalle_mini.decoder import Row
from dalle_app.engines.dalle_mini.device import choose_device
from dalle_app.engines.dalle_mini.model import Model, load_model
from training import DATA, sheets
from training.answers import Answers
from training.card import write_card
from training.classifiers import RUN, Judge, load_judge
from training.drawing import Drawer
from training.measures import colour_shares, count_figures, ground_name, has_colour
from training.sprites import load_pixels, load_sprites
from training.suite import FAMILIES, Item, load

EVALUATION_FILE = Path(__file__).with_name("evaluation.json")
CARD = Path(__file__).parents[1] / "docs/pocket/README.md"
SEED, SWEEP_SEED = 0, 1  # the sweep must not choose by the pictures that are scored
BATCH = 75  # pictures drawn at once; a picture is the same in any batch
SHOWN = 256
# Families that are not saturated, and every which item of them; 400 prompts.
SWEEP_EVERY = {"everyday": 3, "rarer": 2, "style": 1, "count": 1, "unseen": 1}
TEMPERATURES, TOP_KS, GUIDANCES = (0.5, 0.7, 0.9), (16, 128), (1.5, 2.0, 2.5)

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.bool_]
TOP = 5


@dataclass(frozen=True)
class Verdict:
    """Whether picture i shows what item j asks for, for all pairs of a family: bool [n, n].

    `matches` decides the score. `thing` is the thing alone (top five), without colour or ground,
    and None where several stand in a picture or the style hides what they are.
    """

    matches: Matrix
    thing: Matrix | None = None

    @property
    def score(self) -> float:
        """The share of pictures that show what their own prompt asks for."""
        return float(self.matches.diagonal().mean())

    @property
    def chance(self) -> float:
        """The mean score over all ways of giving each picture the prompt of another."""
        n = len(self.matches)
        return float((self.matches.sum() - self.matches.trace()) / (n * (n - 1)))


def judge_family(family: str, items: list[Item], pictures: Pixels, judge: Judge) -> Verdict:
    """Every picture of a family (uint8 [n, h, w, 3]) held against every item of it."""
    if family == "style":
        return Verdict(judge.styles_match(pictures, [item.attribute for item in items]))
    if family == "count":
        counts = [count_figures(picture) for picture in pictures]
        return Verdict(_pairs(items, counts, lambda item, count: item.count == count))
    thing = judge.things_match(pictures, [item.thing for item in items], TOP)
    if family in ("everyday", "rarer"):
        return Verdict(thing)
    if family == "background":
        found = [ground_name(picture) for picture in pictures]
        return Verdict(_pairs(items, found, lambda item, name: item.attribute == name), thing)
    shares = [colour_shares(picture) for picture in pictures]
    coloured = _pairs(items, shares, lambda item, share: has_colour(share, item.attribute))
    return Verdict(coloured & thing if family == "unseen" else coloured, thing)


def _pairs(items: list[Item], found: list[Any], fits: Callable[[Item, Any], bool]) -> Matrix:
    return np.array([[fits(item, one) for item in items] for one in found])


def pictures_of(
    model: Model, prompts: list[str], sampling: Sampling, seed: int
) -> Iterator[Pixels]:
    """The app's own pictures, uint8 [256, 256, 3], one a prompt, in order."""
    unguided = model.reader.read("").tokens
    rows = [
        Row(
            text=model.reader.read_prompt(prompt).tokens,
            unguided=unguided,
            seed=seed,
            index=0,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            guidance=sampling.guidance,
        )
        for prompt in prompts
    ]
    for start in range(0, len(rows), BATCH):
        for tokens in model.decode(rows[start : start + BATCH]):
            drawn = tokens
        yield from (np.asarray(picture) for picture in model.painter.paint(drawn))


def real_pictures(
    items: list[Item], answers: Answers, drawer: Drawer, seed: int
) -> Iterator[Pixels]:
    """Real drawings composed as the items ask, enlarged as the app enlarges its pictures."""
    rng = np.random.default_rng(seed)
    for item in items:
        picture = Image.fromarray(drawer.draw(answers.to(item, rng)))
        yield np.asarray(picture.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC))


def collected(pictures: Iterator[Pixels], total: int, what: str) -> Pixels:
    """All pictures as one array [n, 256, 256, 3], with a progress bar."""
    return np.stack(list(tqdm(pictures, total=total, desc=what, unit="picture")))


def of_family(items: list[Item], family: str) -> tuple[list[Item], list[int]]:
    """The items of a family and their places in the list."""
    places = [place for place, item in enumerate(items) if item.family == family]
    return [items[place] for place in places], places


def evaluate(
    items: list[Item], drawn: Pixels, real: Pixels, judge: Judge
) -> tuple[dict[str, dict[str, float]], dict[str, list[bool]]]:
    """Figures of every family (fractions), and which pictures were right, for the sheets."""
    figures, right = {}, {}
    for family in FAMILIES:
        own, places = of_family(items, family)
        verdict = judge_family(family, own, drawn[places], judge)
        ceiling = judge_family(family, own, real[places], judge)
        figures[family] = {
            "n": len(own),
            "score": round(verdict.score, 4),
            "ceiling": round(ceiling.score, 4),
            "chance": round(verdict.chance, 4),
        }
        if verdict.thing is not None and ceiling.thing is not None:
            figures[family]["thing"] = round(Verdict(verdict.thing).score, 4)
            figures[family]["thing_ceiling"] = round(Verdict(ceiling.thing).score, 4)
        if family in ("everyday", "rarer"):
            words = [item.thing for item in own]
            for key, pictures in (("top1", drawn[places]), ("top1_ceiling", real[places])):
                first = Verdict(judge.things_match(pictures, words, top=1))
                figures[family][key] = round(first.score, 4)
        right[family] = verdict.matches.diagonal().tolist()
    return figures, right


def sweep(model: Model, items: list[Item], judge: Judge) -> list[dict[str, float]]:
    """Score a part of the suite under every sampling of a small grid, best first."""
    part = [
        item
        for family, every in SWEEP_EVERY.items()
        for item in of_family(items, family)[0][::every]
    ]
    grid = [
        Sampling(temperature, top_k, guidance)
        for temperature in TEMPERATURES
        for top_k in TOP_KS
        for guidance in GUIDANCES
    ]
    rows = []
    for sampling in tqdm(grid, desc="sweep", unit="setting"):
        pictures = np.stack(
            list(pictures_of(model, [i.prompt for i in part], sampling, SWEEP_SEED))
        )
        scores = {}
        for family in SWEEP_EVERY:
            own, places = of_family(part, family)
            scores[family] = round(judge_family(family, own, pictures[places], judge).score, 4)
        mean = round(sum(scores.values()) / len(scores), 4)
        rows.append({**asdict(sampling), **scores, "mean": mean})
    return sorted(rows, key=lambda row: -row["mean"])


def settings_of(model: Model, sampling: Sampling, judge: Judge) -> dict[str, Any]:
    """What the figures hold for: which weights, how drawn, on what, judged by whom."""
    return {
        "weights": {file.name: file.sha256 for file in model.checkpoint.files},
        "fingerprint": model.fingerprint,
        "sampling": asdict(sampling),
        "seed": SEED,
        "pictures_per_prompt": 1,
        "device": str(model.device),
        "precision": model.precision,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "judge": judge.validated,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def main() -> None:
    """Read the command line, draw, score, write the figures, the sheets and the card's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--judge", type=Path, default=RUN)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED / "pocket" / "checkpoint.json")
    parser.add_argument("--sweep", action="store_true", help="only try other samplings")
    parser.add_argument(
        "--keep", type=Path, help="a folder that gets every picture, for a closer look"
    )
    options = parser.parse_args()

    checkpoint = read_checkpoint(options.checkpoint, options.checkpoint.parent)
    model = load_model(checkpoint, choose_device("auto"), "float32")
    items, judge = load(), load_judge(options.judge)
    known = json.loads(EVALUATION_FILE.read_text()) if EVALUATION_FILE.exists() else {}
    if options.sweep:
        rows = sweep(model, items, judge)
        known["sweep"] = {"seed": SWEEP_SEED, "fingerprint": model.fingerprint, "rows": rows}
        EVALUATION_FILE.write_text(json.dumps(known, indent=1) + "\n")
        best = rows[0]
        print(json.dumps(best))
        return

    source = options.data / "sprites.parquet"
    drawer, answers = Drawer(load_pixels(source)), Answers(load_sprites(source))
    real = collected(real_pictures(items, answers, drawer, SEED), len(items), "real drawings")
    prompts = [item.prompt for item in items]
    drawn = collected(
        pictures_of(model, prompts, checkpoint.sampling, SEED), len(items), "pocket's pictures"
    )
    figures, right = evaluate(items, drawn, real, judge)
    record = {
        "families": figures,
        "settings": settings_of(model, checkpoint.sampling, judge),
        **({"sweep": known["sweep"]} if "sweep" in known else {}),
    }
    EVALUATION_FILE.write_text(json.dumps(record, indent=1) + "\n")
    for family in FAMILIES:
        own, places = of_family(items, family)
        marked = list(zip([i.prompt for i in own], drawn[places], right[family], strict=True))
        sheets.write(marked, CARD.parent / f"{family}.webp")
    write_card(record, CARD)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        for place, picture in enumerate(drawn):
            Image.fromarray(picture).save(options.keep / f"{place:03d}.png")
    for family, row in figures.items():
        print(f"{family:>10} " + "  ".join(f"{key} {value:.2f}" for key, value in row.items()))


if __name__ == "__main__":
    main()
