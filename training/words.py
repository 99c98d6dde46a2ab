"""English for captions: articles, plurals, and the other words people use for a thing.

It does not know pictures; a thing is a word here.
"""

import re
from collections.abc import Iterable

from training.holdout import is_held_out
from training.sprites import Sprite

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
COLOUR_WORD = re.compile(
    r"\b(red|orange|yellow|green|blue|purple|pink|brown|black|white|gr[ae]y|turquoise)\b"
)
SYNONYMS: dict[str, tuple[str, ...]] = {  # class word -> what else people type for it
    "plane": ("airplane", "aeroplane"), "bicycle": ("bike",), "motorcycle": ("motorbike",),
    "burger": ("hamburger", "cheeseburger"), "donut": ("doughnut",), "cup of coffee": ("coffee",),
    "cup of tea": ("tea",), "glass of wine": ("wine",), "glass of milk": ("milk",),
    "television": ("tv",), "phone": ("smartphone", "mobile phone"), "sneaker": ("shoe",),
    "couch": ("sofa",), "rhino": ("rhinoceros",), "hippo": ("hippopotamus",),
    "chick": ("baby chicken",), "rabbit": ("bunny",), "dog": ("puppy",), "cat": ("kitten",),
    "sheep": ("lamb",), "ladybug": ("ladybird",), "bee": ("honeybee",),
    "sailboat": ("sailing boat",),
    "steam train": ("locomotive",), "ufo": ("flying saucer",), "gift": ("present",),
    "diamond": ("gem", "jewel"), "bag of money": ("money",),
    "smiley face": ("smiley", "happy face"),
    "angry face": ("angry emoji",), "crying face": ("sad face",), "santa": ("santa claus",),
    "fire truck": ("fire engine",), "truck": ("lorry",), "race car": ("racing car",),
    "glasses": ("eyeglasses",), "pumpkin": ("jack-o-lantern", "halloween pumpkin"),
    "chili pepper": ("hot pepper",), "french fries": ("fries",), "corn": ("ear of corn",),
    "beer": ("glass of beer",), "earth": ("globe", "planet earth"), "fire": ("flame",),
    "water drop": ("drop of water",), "lightning bolt": ("lightning",), "handbag": ("purse",),
    "boot": ("shoe",), "computer": ("desktop computer",), "lock": ("padlock",),
    "dinosaur": ("t-rex",), "sword": ("dagger",), "dress": ("gown",), "wave": ("ocean wave",),
    "game controller": ("video game controller",), "flower": ("blossom",), "rocket": ("spaceship",),
    "orange": ("tangerine",), "ship": ("cruise ship",), "house": ("home",), "car": ("automobile",),
    "football": ("american football",), "soccer ball": ("football ball",), "target": ("bullseye",),
    "t-shirt": ("shirt",), "sunflower": ("yellow flower",), "tulip": ("flower",),
    "rose": ("flower",),
    "cherry blossom": ("pink flower",), "cake": ("birthday cake",), "clown": ("clown face",),
}  # fmt: skip
BARE = re.compile(  # words without "a": several at once (but not a bus, a cactus, an octopus, a
    # walrus or a dress), a stuff, or the only one of its kind
    r".*(?<!bu)(?<!tu)(?<!opu)(?<!ru)(?<!s)s|"
    r"popcorn|bacon|bread|sushi|spaghetti|cheese|broccoli|corn|fire|dice|honey|candy|beer|earth|"
    r"santa|garlic|butter|salt|dango|sake|curry rice|wood|yarn|thread|dna|soap|luggage|coral|"
    r"bubble tea|shaved ice|custard|fondue|falafel|poop|coffee|tea|wine|milk|money|lightning|"
    r"planet earth|ginger root|canned food|flatbread|jewelry"
)
THE = {"sun", "moon"}


def plain_name(name: str) -> str:
    """A drawing's CLDR name as people would type it: "woman’s boot" -> "woman's boot"."""
    return re.sub(r"\s+", " ", name.lower().replace("’", "'").replace(":", " ")).strip()


def titled(word: str, drawings: Iterable[Sprite]) -> list[str]:
    """The words that these drawings of a thing may be called by, the class word first.

    A name with a colour in it is left out where the thing and the colour are held out.
    """
    names = [word, *SYNONYMS.get(word, ())]
    for drawing in drawings:
        names.append(plain_name(drawing.name).removesuffix(" face"))
        if drawing.group not in ("people-body", "smileys-emotion"):
            names += drawing.aliases[:2]
    return [name for name in dict.fromkeys(names) if not _says_held_out(word, name)]


def _says_held_out(word: str, name: str) -> bool:
    colours = {c.replace("grey", "gray") for c in COLOUR_WORD.findall(name)}
    return name != word and any(
        is_held_out(thing, colour) for thing in (word, name) for colour in colours
    )


def counted(word: str, colour: str = "", count: int = 1) -> str:
    """ "cat" -> "a cat"; "owl", "red" -> "a red owl"; "cat", "", 3 -> "three cats"."""
    painted = f"{colour} {word}".strip()
    if count > 1:
        return f"{NUMBERS[count]} {plural(painted)}"
    if word in THE and not colour:
        return f"the {word}"
    if BARE.fullmatch(word):
        return painted
    return ("an " if re.match(r"[aeio]|u(?!fo|ni|se)|hour|x-", painted) else "a ") + painted


def plural(noun: str) -> str:
    """The plural: "cup of coffee" -> "cups of coffee", "mouse" -> "mice", "grapes" as it is."""
    head, of, rest = noun.partition(" of ")
    if re.search(r"(fish|sheep|deer|squid|shrimp|dice|corn|bread|broccoli)$", head):
        return noun
    if BARE.fullmatch(head) and head.endswith("s"):
        return noun
    if head.endswith("mouse") and "computer" not in head:
        head = head[:-5] + "mice"
    elif re.search(r"(man|woman)$", head):
        head = head[:-2] + "en"
    elif re.search(r"(kni|lea|wol)fe?$", head):
        head = re.sub(r"fe?$", "ves", head)
    elif re.search(r"[^aeiou]y$", head):
        head = head[:-1] + "ies"
    elif re.search(r"(s|x|ch|sh|tomato|potato)$", head):
        head += "es"
    else:
        head += "s"
    return f"{head}{of}{rest}"
