"""The prompts pocket is judged by: seven families, drawn with a seed, committed before training.

Knows nothing of models, pictures or scores. `python -m training.suite` writes suite.json again.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.holdout import is_held_out, things

SUITE_FILE = Path(__file__).with_name("suite.json")
SEED = 2022
FAMILIES = ("everyday", "rarer", "colour", "background", "style", "count", "unseen")
RARER, COLOURED, UNSEEN = 120, 120, 80
PER_BACKGROUND, PER_STYLE, PER_COUNT = 6, 5, 16

COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "turquoise",
)  # fmt: skip
BACKGROUNDS = (*COLOURS, "gray", "light blue", "dark blue", "light green")
STYLES = {
    "pixel art": "pixel art of {}",
    "watercolor": "a watercolor painting of {}",
    "sketch": "a pencil sketch of {}",
    "silhouette": "a black silhouette of {}",
    "neon": "a neon sign of {}",
    "grayscale": "a black and white picture of {}",
    "sepia": "an old sepia photo of {}",
    "oil": "an oil painting of {}",
    "mosaic": "a mosaic of {}",
    "sticker": "a sticker of {}",
    "blueprint": "a blueprint of {}",
    "pop art": "pop art of {}",
    "glossy": "{} in glossy style",
    "3d render": "a 3d render of {}",
    "line art": "{}, line art",
    "comic": "{} in comic style",
}
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

# Words without "a": several at once, a stuff, or the only one of its kind.
BARE = re.compile(
    r"grapes|cherries|pancakes|french fries|popcorn|bacon|bread|sushi|spaghetti|cheese|broccoli|"
    r"corn|glasses|sunglasses|jeans|scissors|headphones|socks|fire|dice|honey|candy|beer|earth|"
    r"santa|blueberries|garlic|beans|peanuts|leafy greens|canned food|butter|salt|dango|sake|"
    r"curry rice|wood|hot springs|skis|nesting dolls|yarn|thread|goggles|gloves|shorts|"
    r"ballet shoes|prayer beads|maracas|chopsticks|dna|soap|bubbles|lungs|paw prints|luggage|"
    r"coral|bubble tea|shaved ice|custard|fondue|falafel|poop"
)
THE = {"sun", "moon"}

# Things a colour cannot be asked of: they are light, water, a face, a person or many things.
COLOURLESS = {
    "orange", "rainbow", "sun", "moon", "earth", "planet", "fire", "cloud", "rain cloud", "snowman",
    "lightning bolt", "water drop", "wave", "tornado", "snowflake", "volcano", "mountain",
    "smiley face", "angry face", "crying face", "santa", "princess", "baby", "angel", "eye", "ear",
    "mouth", "brain", "tooth", "bone", "hand", "skull", "ghost", "alien", "polar bear", "panda",
    "salad", "pizza", "burger", "sushi", "spaghetti", "popcorn", "bacon", "egg", "french fries",
    "glass of milk", "cup of coffee", "cup of tea", "glass of wine", "beer", "cocktail", "sandwich",
    "taco", "hot dog", "bouquet", "flower", "fish", "bird", "tree", "christmas tree", "palm tree",
    "fountain", "ferris wheel", "target", "medal", "dice", "glasses", "sunglasses", "zebra",
    "scissors", "headphones", "bow and arrow", "sword", "pumpkin", "cherry blossom", "ladder",
    "ladybug", "tropical fish", "diamond", "mirror", "window", "crystal ball", "traffic light",
    "police car", "taxi", "ambulance", "fire truck", "soccer ball", "magnifying glass",
    "jeans", "knife", "cookie", "donut", "pancakes", "waffle", "candle", "key",
}  # fmt: skip
# Pairs that say nothing: the thing has this colour of itself.
NATURAL = {
    "red": "apple strawberry tomato crab lobster cherries rose heart ant",
    "orange": "tiger fox carrot basketball lion giraffe octopus",
    "yellow": "banana lemon chick star bee corn cheese giraffe lion honey trophy",
    "green": "frog cactus crocodile turtle snake lizard dinosaur clover broccoli cucumber "
    "dragon pear",
    "blue": "whale dolphin butterfly shark",
    "purple": "eggplant grapes octopus",
    "pink": "pig flamingo peach shrimp",
    "brown": "horse bear monkey deer cow dog owl squirrel mushroom potato bread eagle sloth "
    "kangaroo hedgehog camel cookie chocolate violin guitar door coconut pretzel turtle",
    "black": "gorilla ant spider bat top",
    "turquoise": "",
}
# Compact things that stay apart when several stand in one picture.
COUNTABLE = (
    "apple", "banana", "balloon", "star", "heart", "cat", "dog", "car", "duck", "fish", "mushroom",
    "strawberry", "egg", "butterfly", "pumpkin", "cup of coffee", "book", "bell", "penguin", "owl",
    "lemon", "pear", "tomato", "donut", "gift", "rocket", "key", "bee", "turtle", "frog", "bus",
    "cookie", "tulip", "candle", "drum", "crown", "robot", "ghost", "snail", "basketball",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One prompt and what its picture must show.

    thing: class word of `things.toml`. attribute: the colour, background or style asked for, ""
    if none. count: how many, 1 unless the family is "count".
    """

    family: str
    prompt: str
    thing: str
    attribute: str = ""
    count: int = 1


def with_article(words: str) -> str:
    """ "cat" -> "a cat", "owl" -> "an owl", "grapes" -> "grapes", "sun" -> "the sun"."""
    if words in THE:
        return f"the {words}"
    if BARE.fullmatch(words):
        return words
    return ("an " if re.match(r"[aeio]|u(?!fo|ni)|hour|x-", words) else "a ") + words


def coloured(colour: str, thing: str) -> str:
    """ "red", "grapes" -> "red grapes"; "orange", "cat" -> "an orange cat"."""
    return f"{colour} {thing}" if BARE.fullmatch(thing) else with_article(f"{colour} {thing}")


def plural(noun: str) -> str:
    """The plural of a word of `COUNTABLE`: "cup of coffee" -> "cups of coffee"."""
    head, of, rest = noun.partition(" of ")
    if head.endswith("fish"):
        return noun
    if re.search(r"[^aeiou]y$", head):
        head = head[:-1] + "ie"
    elif re.search(r"(s|x|ch|sh|tomato)$", head):
        head += "e"
    return f"{head}s{of}{rest}"


def is_natural(thing: str, colour: str) -> bool:
    """Whether the thing has the colour of itself, so that asking for it asks for nothing."""
    return any(word in NATURAL[colour].split() for word in thing.split())


def build() -> list[Item]:
    """All items, the same on every machine: only numpy's seeded PCG64 chooses."""
    rng = np.random.default_rng(SEED)
    everyday, rarer = list(things()["everyday"]), list(things()["rarer"])
    paintable = [word for word in everyday if word not in COLOURLESS]

    def some(words: list[str], n: int) -> list[str]:
        return [words[i] for i in rng.permutation(len(words))[:n]]

    def pairs(keep: Callable[[str, str], bool], n: int) -> Iterator[tuple[str, str]]:
        grid = [(t, c) for t in paintable for c in COLOURS if not is_natural(t, c) and keep(t, c)]
        return (grid[i] for i in rng.permutation(len(grid))[:n])

    items = [Item("everyday", with_article(word), word) for word in everyday]
    items += [Item("rarer", with_article(word), word) for word in sorted(some(rarer, RARER))]
    for thing, colour in pairs(lambda t, c: not is_held_out(t, c), COLOURED):
        items.append(Item("colour", coloured(colour, thing), thing, colour))
    for ground in BACKGROUNDS:
        for thing in some(paintable, PER_BACKGROUND):
            prompt = f"{with_article(thing)} on {with_article(ground)} background"
            items.append(Item("background", prompt, thing, ground))
    for style, template in STYLES.items():
        seen = [word for word in paintable if not is_held_out(word, style)]
        for thing in some(seen, PER_STYLE):
            items.append(Item("style", template.format(with_article(thing)), thing, style))
    for count, number in COUNTS.items():
        for thing in some(list(COUNTABLE), PER_COUNT):
            items.append(Item("count", f"{number} {plural(thing)}", thing, count=count))
    for thing, colour in pairs(is_held_out, UNSEEN):
        items.append(Item("unseen", coloured(colour, thing), thing, colour))
    return items


def load(path: Path = SUITE_FILE) -> list[Item]:
    """The committed suite, in order."""
    return [Item(**record) for record in json.loads(path.read_text(encoding="utf-8"))]


def write(path: Path = SUITE_FILE) -> None:
    """Write the suite, one item a line, so that a change is seen in a diff."""
    lines = (json.dumps(asdict(item), ensure_ascii=False) for item in build())
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()
