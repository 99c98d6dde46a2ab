"""Keeps the tables of pocket's model card equal to evaluation.json.

Knows nothing of how figures are measured; replaces what stands between two marks of the card.
"""

import re
from pathlib import Path
from typing import Any

MEANINGS = {
    "everyday": "300 everyday things: the asked one among the judge's top five of 559",
    "rarer": "120 rarer things: the same",
    "colour": "a thing in a colour: the figure has mostly that colour, in pixels",
    "background": "a thing on a coloured ground: the ground has that colour, in pixels",
    "style": "a thing in one of 16 styles: the judge names that style first, of 17",
    "count": "two to six of a thing: as many separate figures, in pixels",
    "unseen": "a thing in a colour that no caption joined: thing in the top five and colour right",
}

SAMPLING = {"temperature": "temperature", "top_k": "top-k", "guidance": "guidance"}


def write_card(record: dict[str, Any], path: Path) -> None:
    """Put the tables of an evaluation into a card that has the marks; else raise ValueError."""
    text = path.read_text(encoding="utf-8")
    text = _between(text, "figures", figures_table(record["families"]))
    text = _between(text, "settings", settings_list(record["settings"]))
    if "sweep" in record:
        text = _between(text, "sweep", sweep_table(record["sweep"]["rows"]))
    path.write_text(text, encoding="utf-8")


def figures_table(families: dict[str, dict[str, float]]) -> str:
    """A row a family, percentages."""
    lines = [
        "| family | n | score | of the ceiling | ceiling | chance | thing alone (ceiling) "
        "| what counts |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for family, row in families.items():
        share = _percent(row["score"] / row["ceiling"]) if row["ceiling"] else "–"
        thing = ""
        if "thing" in row:
            thing = f"{_percent(row['thing'])} ({_percent(row['thing_ceiling'])})"
        lines.append(
            f"| {family} | {row['n']} | **{_percent(row['score'])}** | {share} "
            f"| {_percent(row['ceiling'])} | {_percent(row['chance'])} | {thing} "
            f"| {MEANINGS[family]} |"
        )
    first = [
        f"{family} {_percent(row['top1'])} (ceiling {_percent(row['top1_ceiling'])})"
        for family, row in families.items()
        if "top1" in row
    ]
    if first:
        lines += ["", f"The judge's very first guess is the asked thing: {', '.join(first)}."]
    return "\n".join(lines)


def settings_list(settings: dict[str, Any]) -> str:
    """What the figures hold for, as a list."""
    sampling, judge, versions = settings["sampling"], settings["judge"], settings["versions"]
    return "\n".join(
        [
            f"- weights `{settings['fingerprint']}`, {settings['precision']}, "
            f"{settings['device'].split(':')[0]}, torch {versions['torch']}, {settings['date']}",
            f"- temperature {sampling['temperature']}, top-k {sampling['top_k']}, "
            f"guidance {sampling['guidance']}, seed {settings['seed']}, one picture a prompt",
            f"- the judge on {judge['drawings']:,} drawings of two sets it never saw: things top "
            f"one {_percent(judge['thing_top1'])}, top five {_percent(judge['thing_top5'])} "
            f"(everyday {_percent(judge['everyday_top1'])} and "
            f"{_percent(judge['everyday_top5'])}); styles {_percent(judge['style'])}",
        ]
    )


def sweep_table(rows: list[dict[str, float]]) -> str:
    """A row a sampling, best first."""
    scores = [key for key in rows[0] if key not in SAMPLING]
    lines = [f"| {' | '.join([*SAMPLING.values(), *scores])} |"]
    lines.append("|" + "--:|" * (len(SAMPLING) + len(scores)))
    for row in rows:
        cells = [str(row[key]) for key in SAMPLING] + [_percent(row[key]) for key in scores]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _between(text: str, mark: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"The card has no place for {mark}: it needs <!-- {mark} -->.")
    return pattern.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)
