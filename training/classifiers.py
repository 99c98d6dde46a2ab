"""The judge: names the thing and the style of a picture.

Knows nothing of pocket: it is trained on real drawings only, and validated on two drawing sets it
never sees. `python -m training.classifiers` trains it into a run folder.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from training import DATA, RUNS
from training.answers import LINE_ART
from training.augmentation import varied
from training.compositions import SET_STYLES, Composition, Figure
from training.drawing import Drawer
from training.holdout import things
from training.patches import PatchClassifier, fit, from_state, learn_dictionary
from training.sprites import Sprite, load_pixels, load_sprites
from training.suite import STYLES

RUN = RUNS / "judge"
# Drawn by other hands than the rest, and covering nearly everything: what the judge never sees.
UNSEEN_SETS = ("twemoji", "emojitwo")
THING_PIXELS, STYLE_PIXELS = 64, 128
PLAIN = "plain"  # the answer for a picture in no style: asking for one and getting this is a miss
PLAIN_SETS = ("noto", "noto-v1", "twemoji", "fluent-flat", "emojitwo", "fxemoji")
RIDGE = 0.1

Pixels = npt.NDArray[np.uint8]


def thing_words() -> list[str]:
    """The classes of the thing classifier, in order."""
    return [word for table in things().values() for word in table]


def style_names() -> list[str]:
    """The classes of the style classifier, in order."""
    return [*STYLES, PLAIN]


def labelled(sprites: list[Sprite]) -> list[tuple[int, int]]:
    """(row, class) of every drawing that shows a thing of the class table."""
    number = {word: index for index, word in enumerate(thing_words())}
    by_name = {
        name: number[word]
        for table in things().values()
        for word, names in table.items()
        for name in names
    }
    return [(s.row, by_name[s.name]) for s in sprites if s.name in by_name]


def shrunk(pixels: Pixels, side: int) -> Tensor:
    """RGBA uint8 [n, 128, 128, 4] -> premultiplied float32 [n, 4, side, side] in 0..1."""
    parts = []
    for start in range(0, len(pixels), 256):  # in parts: all at once takes gigabytes
        layers = torch.from_numpy(pixels[start : start + 256]).permute(0, 3, 1, 2).float() / 255
        layers[:, :3] *= layers[:, 3:]
        parts.append(F.adaptive_avg_pool2d(layers, side))
    return torch.cat(parts)


def network_input(pictures: Pixels, side: int) -> Tensor:
    """uint8 [n, h, w, 3] -> float32 [n, 3, side, side] in −1..1, averaged down."""
    layers = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    return F.adaptive_avg_pool2d(layers, side) / 127.5 - 1


def styled(
    sprites: list[Sprite], drawer: Drawer, each: int, rng: np.random.Generator
) -> tuple[Pixels, list[int]]:
    """`each` drawings in every style, as uint8 [n, 128, 128, 3] and class numbers.

    A style that belongs to a drawing set comes from that set, the others are filters over any.
    """
    compositions, classes = [], []
    coloured = [s for s in sprites if s.set != LINE_ART]
    for number, style in enumerate(style_names()):
        sets = PLAIN_SETS if style == PLAIN else [k for k, v in SET_STYLES.items() if v == style]
        drawings = [s for s in sprites if s.set in sets] if sets else coloured
        if not drawings:
            continue  # none of the given sets is drawn in this style
        for choice in rng.integers(len(drawings), size=each):
            figure = Figure(drawings[choice].row, size=float(rng.uniform(0.7, 1.0)))
            seed = int(rng.integers(2**31))
            name = None if sets else style
            compositions.append(Composition("judged", (figure,), (), filter=name, seed=seed))
            classes.append(number)
    return np.stack([drawer.draw(composition) for composition in compositions]), classes


def thing_classifier(
    sprites: list[Sprite], pixels: Pixels, variations: int, words: int, seed: int
) -> PatchClassifier:
    """Over every word of `things.toml`; from `variations` guises of every drawing, at 64×64."""
    random = torch.Generator().manual_seed(seed)
    pairs = labelled(sprites)
    drawings = shrunk(pixels[[row for row, _ in pairs]], THING_PIXELS)
    classes = torch.tensor([number for _, number in pairs])
    few = drawings[torch.randperm(len(drawings), generator=random)[:1500]]
    dictionary = learn_dictionary(varied(few, random), words, 3, 4, random)
    guises = [varied(drawings, random) for _ in trange(variations, desc="things", unit="guise")]
    total = len(thing_words())
    return fit(dictionary, torch.cat(guises), classes.repeat(variations), total, RIDGE)


def style_classifier(
    sprites: list[Sprite], drawer: Drawer, each: int, words: int, seed: int
) -> PatchClassifier:
    """Over the suite's styles and "plain"; from `each` drawings in every style, at 128×128."""
    random = torch.Generator().manual_seed(seed)
    drawn, numbers = styled(sprites, drawer, each, np.random.default_rng(seed))
    pictures = network_input(drawn, STYLE_PIXELS)
    dictionary = learn_dictionary(pictures[::3], words, 4, 2, random)
    return fit(dictionary, pictures, torch.tensor(numbers), len(style_names()), RIDGE)


@torch.inference_mode()
def scores_of(classifier: PatchClassifier, pictures: Pixels, side: int) -> npt.NDArray[np.float32]:
    """float32 [n, classes] for uint8 [n, h, w, 3]."""
    parts = [pictures[start : start + 64] for start in range(0, len(pictures), 64)]
    scores = [classifier.scores(network_input(part, side)) for part in parts]
    return torch.cat(scores).numpy()


def share_in_top(scores: npt.NDArray[np.float32], classes: list[int], top: int) -> float:
    """How many of the pictures have their class among the `top` best, as a fraction."""
    best = np.argsort(-scores, axis=1)[:, :top]
    return float((best == np.asarray(classes)[:, None]).any(axis=1).mean())


@dataclass(frozen=True)
class Judge:
    """Both classifiers, trained; `validated` holds their accuracy on the sets they never saw."""

    thing: PatchClassifier
    style: PatchClassifier
    validated: dict[str, float]

    def things_match(self, pictures: Pixels, words: list[str], top: int) -> npt.NDArray[np.bool_]:
        """bool [n, m]: whether word j is among the `top` best names of picture i of n."""
        numbers = np.asarray([thing_words().index(word) for word in words])
        best = np.argsort(-scores_of(self.thing, pictures, THING_PIXELS), axis=1)[:, :top]
        found: npt.NDArray[np.bool_] = (best[:, None, :] == numbers[None, :, None]).any(axis=2)
        return found

    def styles_match(self, pictures: Pixels, styles: list[str]) -> npt.NDArray[np.bool_]:
        """bool [n, m]: whether style j is the best name for how picture i is drawn."""
        numbers = np.asarray([style_names().index(style) for style in styles])
        best = scores_of(self.style, pictures, STYLE_PIXELS).argmax(axis=1)
        found: npt.NDArray[np.bool_] = best[:, None] == numbers[None, :]
        return found


def load_judge(run: Path = RUN) -> Judge:
    """The trained judge of a run folder; says how to make one where there is none."""
    if not (run / "judge.pt").exists():
        raise SystemExit(f"No judge in {run}: run `python -m training.classifiers` first.")
    saved = torch.load(run / "judge.pt", weights_only=True)
    validated = json.loads((run / "validated.json").read_text(encoding="utf-8"))
    return Judge(from_state(saved["thing"]), from_state(saved["style"]), validated)


def train_judge(
    sprites: list[Sprite], pixels: Pixels, variations: int, each: int, words: int, seed: int = 0
) -> Judge:
    """Train both classifiers without `UNSEEN_SETS`, then validate them on those.

    variations: guises of a drawing for the thing classifier. each: drawings in every style for
    the style classifier. words: size of the patch dictionaries.
    """
    seen = [s for s in sprites if s.set not in UNSEEN_SETS]
    unseen = [s for s in sprites if s.set in UNSEEN_SETS]
    drawer = Drawer(pixels)

    thing = thing_classifier(seen, pixels, variations, words, seed)
    pairs = labelled(unseen)
    plain = np.stack([drawer.draw(Composition("judged", (Figure(row),), ())) for row, _ in pairs])
    scores, classes = scores_of(thing, plain, THING_PIXELS), [number for _, number in pairs]
    everyday = [i for i, number in enumerate(classes) if number < len(things()["everyday"])]
    everyday_classes = [classes[i] for i in everyday]

    style = style_classifier(seen, drawer, each, words // 2, seed)
    pictures, numbers = styled(unseen, drawer, 20, np.random.default_rng(seed + 1))
    validated = {
        "drawings": len(pairs),
        "thing_top1": share_in_top(scores, classes, 1),
        "thing_top5": share_in_top(scores, classes, 5),
        "everyday_top1": share_in_top(scores[everyday], everyday_classes, 1),
        "everyday_top5": share_in_top(scores[everyday], everyday_classes, 5),
        "style": share_in_top(scores_of(style, pictures, STYLE_PIXELS), numbers, 1),
    }
    return Judge(thing, style, validated)


def main() -> None:
    """Train the judge, once, into a git-ignored folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--variations", type=int, default=9)
    parser.add_argument("--each", type=int, default=120)
    parser.add_argument("--words", type=int, default=480)
    options = parser.parse_args()
    source = options.data / "sprites.parquet"
    judge = train_judge(
        load_sprites(source), load_pixels(source), options.variations, options.each, options.words
    )
    options.run.mkdir(parents=True, exist_ok=True)
    state = {"thing": judge.thing.to_state(), "style": judge.style.to_state()}
    torch.save(state, options.run / "judge.pt")
    told = json.dumps(judge.validated, indent=1)
    (options.run / "validated.json").write_text(told + "\n", encoding="utf-8")
    print(told)


if __name__ == "__main__":
    main()
