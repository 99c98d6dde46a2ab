"""What pocket is judged by: the suite, the hold-out, the measures, the figures and the credits."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from random_checkpoint import write_pocket_like

from dalle_app.engines.dalle_mini.checkpoint import BUNDLED, Sampling, read_checkpoint
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.model import load_model
from training import build_sprites, card, classifiers, measures, sheets
from training.answers import Answers
from training.compositions import Composer
from training.concepts import code_key, load
from training.drawing import Drawer
from training.evaluate import EVALUATION_FILE, Verdict, judge_family, pictures_of
from training.holdout import is_held_out, things, word_for
from training.patches import from_state
from training.sprites import Sprite
from training.suite import COLOURS, FAMILIES, Item, build, coloured, with_article
from training.suite import load as load_suite

ROOT = Path(__file__).parent.parent
NAMES = [name for table in things().values() for names in table.values() for name in names]


def sprite(row: int, name: str, drawing_set: str = "noto") -> Sprite:
    return Sprite(row, drawing_set, name, (name,), (), (), "animals-nature", "animal-mammal", "")


def picture(
    ground: object = "white", *figures: tuple[tuple[int, int, int, int], object]
) -> np.ndarray:
    """Ellipses (box, colour) on a ground, 128×128."""
    image = Image.new("RGB", (128, 128), ground)
    pen = ImageDraw.Draw(image)
    for box, colour in figures:
        pen.ellipse(box, fill=colour)
    return np.asarray(image)


# ---- suite and hold-out


def test_the_committed_suite_is_what_its_seed_draws():
    assert load_suite() == build()


def test_the_suite_asks_for_300_everyday_things_and_every_family():
    items = load_suite()
    assert len({i.thing for i in items if i.family == "everyday"}) == 300
    assert {i.family for i in items} == set(FAMILIES)
    assert len({i.prompt for i in items}) == len(items)


def test_a_thing_and_its_face_are_held_out_together():
    assert word_for("Cat Face") == word_for("cat") == "cat"
    for colour in COLOURS:
        assert is_held_out("cat face", colour) == is_held_out("cat", colour)


def test_about_one_combination_in_eleven_is_held_out():
    held = [is_held_out(name, colour) for name in NAMES for colour in COLOURS]
    assert 0.07 < np.mean(held) < 0.11


def test_unseen_prompts_are_held_out_and_colour_prompts_are_not():
    for item in load_suite():
        if item.family in ("colour", "unseen"):
            assert is_held_out(item.thing, item.attribute) == (item.family == "unseen")


def test_none_of_100_000_captions_joins_what_is_held_out():
    sprites = [sprite(row, name) for row, name in enumerate(NAMES)]
    composer, rng = Composer(sprites), np.random.default_rng(0)
    unseen = {coloured(i.attribute, i.thing) for i in load_suite() if i.family == "unseen"}
    captions = 0
    while captions < 100_000:
        composition = composer.compose(rng)
        assert not any(is_held_out(thing, attribute) for thing, attribute in composition.pairs)
        assert unseen.isdisjoint(composition.captions), composition.captions
        captions += len(composition.captions)


def test_articles_fit_the_word():
    words = ["owl", "ufo", "unicorn", "hourglass", "grapes", "sun", "x-ray"]
    assert [with_article(word) for word in words] == [
        "an owl", "a ufo", "a unicorn", "an hourglass", "grapes", "the sun", "an x-ray",
    ]  # fmt: skip


# ---- measures


@pytest.mark.parametrize(("name", "rgb"), [(n, c) for n, c in measures.GROUNDS.items()])
def test_a_plain_ground_is_named(name: str, rgb: tuple[int, int, int]):
    assert measures.ground_name(picture(rgb, ((30, 30, 100, 100), (250, 0, 250)))) == name


def test_a_landscape_is_no_plain_ground():
    scene = np.array(picture("white", ((40, 40, 90, 90), "red")))
    scene[:64], scene[64:] = (80, 160, 240), (240, 210, 140)
    assert measures.ground_name(scene) is None


@pytest.mark.parametrize("colour", COLOURS)
def test_a_figure_has_the_colour_it_is_painted_in_and_no_other(colour: str):
    rgb = measures.GROUNDS[colour] if colour != "black" else (40, 40, 45)
    painted = picture("white", ((20, 20, 108, 108), rgb), ((50, 50, 60, 60), "white"))
    shares = measures.colour_shares(painted)
    assert [name for name in COLOURS if measures.has_colour(shares, name)] == [colour]


def test_an_outline_does_not_make_a_thing_black():
    outlined = picture("white", ((20, 20, 108, 108), "black"), ((26, 26, 102, 102), (225, 45, 45)))
    shares = measures.colour_shares(outlined)
    assert measures.has_colour(shares, "red")
    assert not measures.has_colour(shares, "black")


def test_an_empty_picture_has_no_colour_and_no_figures():
    assert measures.colour_shares(picture()) == {}
    assert measures.count_figures(picture()) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_figures_are_counted_and_crumbs_are_not(count: int):
    dots = [((x, y, x + 30, y + 30), (30, 90, 200)) for y in (15, 75) for x in (5, 48, 91)]
    crumb = ((60, 56, 66, 62), (30, 90, 200))
    assert measures.count_figures(picture("white", *dots[:count], crumb)) == count


def test_a_doubled_picture_measures_as_the_picture_itself():
    small = picture((175, 215, 250), ((20, 20, 60, 60), "red"), ((70, 70, 110, 110), "red"))
    large = np.asarray(Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC))
    assert measures.ground_name(large) == "light blue"
    assert measures.count_figures(large) == measures.count_figures(small) == 2


# ---- the judge


@pytest.fixture(scope="module")
def zoo() -> tuple[list[Sprite], np.ndarray]:
    """Four things that differ in shape alone, as sprites: RGBA uint8 [4, 128, 128, 4]."""
    pixels = np.zeros((4, 128, 128, 4), np.uint8)
    pixels[0, 10:118, 10:118] = (90, 90, 90, 255)
    pixels[1, 55:73, 5:123] = (90, 90, 90, 255)
    pixels[2, 5:123, 55:73] = pixels[2, 55:73, 5:123] = (90, 90, 90, 255)
    pixels[3, 10:118, 10:118] = (90, 90, 90, 255)
    pixels[3, 30:98, 30:98] = 0
    names = ["lion", "zebra", "giraffe", "bear"]
    return [sprite(row, name) for row, name in enumerate(names)], pixels


@pytest.fixture(scope="module")
def zoo_judge(zoo: tuple[list[Sprite], np.ndarray]) -> classifiers.Judge:
    thing = classifiers.thing_classifier(*zoo, variations=30, words=16, seed=0)
    return classifiers.Judge(thing, style=thing, validated={})


def test_real_drawings_score_high_and_shuffled_prompts_at_chance(zoo, zoo_judge):
    sprites, pixels = zoo
    items = [Item("everyday", with_article(s.name), s.name) for s in sprites]
    drawer, answers, rng = Drawer(pixels), Answers(sprites), np.random.default_rng(0)
    pictures = np.stack([drawer.draw(answers.to(item, rng)) for item in items])
    matches = zoo_judge.things_match(pictures, [item.thing for item in items], top=1)
    verdict = Verdict(matches)
    assert verdict.score >= 0.75
    assert verdict.chance <= 1 / 12


def test_chance_is_the_mean_over_everyone_elses_prompts():
    verdict = Verdict(np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1]], bool))
    assert verdict.score == pytest.approx(2 / 3)
    assert verdict.chance == pytest.approx(2 / 6)


def test_an_unseen_combination_needs_both_the_thing_and_its_colour(zoo, zoo_judge):
    sprites, pixels = zoo
    items = [
        Item("unseen", "a red zebra", "zebra", "red"),
        Item("unseen", "a blue zebra", "zebra", "blue"),
    ]
    red = Drawer(pixels).draw(Answers(sprites).to(items[0], np.random.default_rng(0)))
    verdict = judge_family("unseen", items, np.stack([red, red]), zoo_judge)
    assert verdict.thing.all()
    assert verdict.matches.tolist() == [[True, False], [True, False]]


def test_training_the_judge_twice_gives_the_same_judge(zoo, zoo_judge):
    again = classifiers.thing_classifier(*zoo, variations=30, words=16, seed=0)
    assert torch.equal(again.linear, zoo_judge.thing.linear)


def test_a_saved_judge_scores_as_it_did(zoo_judge):
    pictures = np.stack([picture("white", ((20, 20, 100, 100), "red"))])
    again = from_state(zoo_judge.thing.to_state())
    assert np.array_equal(
        classifiers.scores_of(again, pictures, 64),
        classifiers.scores_of(zoo_judge.thing, pictures, 64),
    )


def test_styles_are_told_apart_on_drawings_the_judge_never_saw(zoo):
    sprites, pixels = zoo
    drawer, rng = Drawer(pixels), np.random.default_rng(5)
    style = classifiers.style_classifier(sprites[:2], drawer, each=8, words=24, seed=0)
    pictures, numbers = classifiers.styled(sprites[2:], drawer, 4, rng)
    scores = classifiers.scores_of(style, pictures, classifiers.STYLE_PIXELS)
    assert classifiers.share_in_top(scores, numbers, 1) > 0.6


# ---- evaluation


def test_a_prompts_picture_is_the_same_in_any_batch(tmp_path: Path):
    checkpoint = read_checkpoint(write_pocket_like(tmp_path / "tiny"), tmp_path)
    model = load_model(checkpoint, Device("cpu", "test"), "float32")
    sampling = Sampling(temperature=1.0, top_k=32, guidance=2.0)
    together = list(pictures_of(model, ["a red cat", "a blue harp"], sampling, 0))
    alone = next(pictures_of(model, ["a blue harp"], sampling, 0))
    assert alone.shape == (256, 256, 3)
    assert np.array_equal(together[1], alone)


def test_the_committed_evaluation_is_complete():
    record = json.loads(EVALUATION_FILE.read_text(encoding="utf-8"))
    assert list(record["families"]) == list(FAMILIES)
    for family, row in record["families"].items():
        assert row["n"] == sum(item.family == family for item in load_suite())
        assert all(0 <= row[key] <= 1 for key in ("score", "ceiling", "chance"))
    settings = record["settings"]
    assert settings["seed"] == 0
    assert settings["pictures_per_prompt"] == 1
    assert {"sampling", "weights", "device", "versions", "judge", "date"} <= settings.keys()


def test_the_committed_figures_are_of_the_shipped_weights_and_sampling():
    settings = json.loads(EVALUATION_FILE.read_text(encoding="utf-8"))["settings"]
    shipped = json.loads((BUNDLED / "pocket" / "checkpoint.json").read_text(encoding="utf-8"))
    assert settings["weights"] == {file["name"]: file["sha256"] for file in shipped["files"]}
    assert settings["sampling"] == shipped["sampling"]


def test_the_card_shows_the_committed_figures(tmp_path: Path):
    committed = ROOT / "docs/pocket/README.md"
    copy = tmp_path / "README.md"
    copy.write_text(committed.read_text(encoding="utf-8"), encoding="utf-8")
    card.write_card(json.loads(EVALUATION_FILE.read_text(encoding="utf-8")), copy)
    assert copy.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


def test_a_card_without_its_marks_is_refused(tmp_path: Path):
    (tmp_path / "README.md").write_text("# nothing here")
    with pytest.raises(ValueError, match="figures"):
        card.write_card({"families": {}, "settings": {}}, tmp_path / "README.md")


def test_a_sheet_shows_every_picture(tmp_path: Path):
    tile = picture("white", ((20, 20, 100, 100), "red"))
    marked = [
        ("a red cat on a light blue background", tile, right) for right in (True, False, True)
    ]
    sheets.write(marked, tmp_path / "sheet.webp", columns=2)
    with Image.open(tmp_path / "sheet.webp") as sheet:
        assert sheet.size == (2 * 120 + 8, 2 * 150 + 8)


# ---- drawings and credits


def test_every_set_in_the_data_is_credited_with_its_licence_and_source():
    credits = (ROOT / "ATTRIBUTION.md").read_text(encoding="utf-8")
    packages = json.loads((ROOT / "training/package.json").read_text())["dependencies"]
    for name, about in build_sprites.sets().items():
        row = next(line for line in credits.splitlines() if line.startswith(f"| `{name}` "))
        assert about["source"] in row
        assert about["art"].replace("CC-BY-4.0", "CC-BY 4.0") in row
        assert about["package"] in packages
        assert "SA" not in about["art"]


def test_every_licence_text_the_credits_link_is_there():
    credits = (ROOT / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for name in ("Apache-2.0", "MIT", "Unicode"):
        assert f"docs/licences/{name}.txt" in credits
        assert (ROOT / f"docs/licences/{name}.txt").stat().st_size > 1000


@pytest.fixture
def node_modules(tmp_path: Path) -> Path:
    """Three emoji and one flag in a set of our own, laid out as npm lays out the real ones."""
    emoji = [
        {"hexcode": "1F431", "emoji": "🐱", "label": "cat face", "tags": ["pet"], "group": 0},
        {"hexcode": "1F534", "emoji": "🔴", "label": "red circle", "tags": [], "group": 0},
        {"hexcode": "2B55", "emoji": "⭕", "label": "hollow circle", "tags": [], "group": 0},
        {"hexcode": "1F1E9-1F1EA", "emoji": "🇩🇪", "label": "Germany", "tags": [], "group": 1},
    ]
    circle = '<circle cx="8" cy="8" r="7" fill="#d22"/>'
    icons = {
        "cat-face": {"body": '<rect x="2" y="4" width="12" height="8" fill="#fa0"/>'},
        "red-circle": {"body": circle},
        "hollow-circle": {"body": circle},
        "germany": {"body": '<rect width="16" height="9" fill="#000"/>'},
    }
    files: dict[str, object] = {
        "emojibase-data/en/data.json": [{**e, "subgroup": 0} for e in emoji],
        "emojibase-data/meta/groups.json": {
            "groups": {"0": "symbols", "1": "flags"},
            "subgroups": {"0": "geometric"},
        },
        "emojibase-data/en/shortcodes/emojibase.json": {"1F431": ["cat_face", "kitty"]},
        "emojilib/dist/emoji-en-US.json": {"🐱": ["cat", "meow"]},
        "unicode-emoji-json/data-by-emoji.json": {"🐱": {"name": "cat face"}},
        "@ours/set/icons.json": {"icons": icons, "width": 16, "height": 16},
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_drawings_are_rebuilt_from_packages_without_flags_and_twins(node_modules: Path):
    about = {"package": "@ours/set", "art": "MIT", "style": ["flat"]}
    rows = build_sprites.rows_of("ours", about, node_modules, load(node_modules))
    assert [row["names"] for row in rows] == [["cat face"], ["red circle", "hollow circle"]]
    assert rows[0]["aliases"] == ["kitty", "cat"]
    assert rows[0]["keywords"] == ["pet", "cat", "meow"]


def test_a_drawing_fills_its_square_up_to_the_margin():
    image = Image.new("RGBA", (300, 300))
    image.paste((200, 30, 30, 255), (10, 20, 110, 70))
    rows, columns = np.where(build_sprites.fit(image)[..., 3] > 0)
    assert (columns.min(), columns.max()) == (6, 121)
    assert abs((rows.min() + rows.max()) / 2 - 63.5) <= 0.5


def test_a_blank_drawing_is_none():
    assert build_sprites.fit(Image.new("RGBA", (64, 64))) is None


def test_code_sequences_have_one_spelling():
    assert code_key("2764_FE0F") == code_key("2764") == "2764"
    assert code_key("0023-FE0F-20E3") == "23-20e3"


def test_without_the_packages_the_rebuild_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["build_sprites", "--npm", str(tmp_path)])
    with pytest.raises(SystemExit, match="npm install"):
        build_sprites.main()
