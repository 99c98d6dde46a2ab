"""Time of a step: our decode loop beside the min_dalle package's, on the same random weights.

Knows nothing of pictures; the painter is not timed. Rounds alternate between the two, so that
whatever else the machine does disturbs both.

    python -m benchmarks.decode                            # mini, one picture
    python -m benchmarks.decode --model pocket --count 9
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.decoder import Row, decode
from dalle_app.engines.dalle_mini.device import cpu_limit
from dalle_app.engines.dalle_mini.package import DalleBartDecoder, DalleBartEncoder, transformer

TEXT = (0, *range(10, 20), 2)  # twelve tokens, a usual prompt
GUIDANCE = 4.0
TOP_K = 256


def main() -> None:
    """Print the machine, then milliseconds a step of both loops and the ratio, round by round."""
    options = _options()
    torch.set_num_threads(options.threads)
    checkpoint = checkpoints(Path("models"))[options.model]
    print(f"{_cpu()}, {cpu_limit()} cores, {torch.get_num_threads()} threads; load {_load()}")
    print(f"torch {torch.__version__}, min-dalle {version('min-dalle')}, {options.precision}")
    print(f"{options.model}: {checkpoint.transformer}, pictures: {options.count}", flush=True)
    encoder, decoder = random_transformer(checkpoint, getattr(torch, options.precision))
    ratios, ours, theirs = [], [], []
    for number in range(options.rounds):
        theirs.append(package_step(encoder, decoder, options.count, options.package_steps))
        ours.append(our_step(encoder, decoder, checkpoint, options.count, options.steps))
        ratios.append(theirs[-1] / ours[-1])
        print(
            f"round {number + 1}: package {theirs[-1]:.1f} ms a step, ours {ours[-1]:.1f}: "
            f"{ratios[-1]:.2f} times as fast",
            flush=True,
        )
    print(
        f"median: package {statistics.median(theirs):.1f} ms a step, "
        f"ours {statistics.median(ours):.1f}: {statistics.median(ratios):.2f} times as fast; "
        f"load {_load()}"
    )


def random_transformer(
    checkpoint: Checkpoint, dtype: torch.dtype
) -> tuple[DalleBartEncoder, DalleBartDecoder]:
    """The package's modules at a checkpoint's sizes, with small random weights."""
    torch.manual_seed(0)
    with torch.device("meta"):
        encoder, decoder = transformer(checkpoint.text, checkpoint.transformer, checkpoint.image)
    for module in (encoder, decoder):
        module.to(dtype).to_empty(device="cpu").requires_grad_(False).eval()
        for parameter in module.parameters():
            parameter.uniform_(-0.04, 0.04)
    return encoder, decoder


def our_step(
    encoder: DalleBartEncoder,
    decoder: DalleBartDecoder,
    checkpoint: Checkpoint,
    count: int,
    steps: int,
) -> float:
    """Mean milliseconds of one of our steps, the encoder and the text's keys left out.

    Later steps read more of the cache: with fewer `steps` than the picture has, it is too good.
    """
    image = checkpoint.image
    first = Row(TEXT, (0, 2), seed=1, index=0, temperature=1.0, top_k=TOP_K, guidance=GUIDANCE)
    rows = [replace(first, index=index) for index in range(count)]
    stepping = decode(
        encoder,
        decoder,
        rows,
        codes=image.codes,
        steps=image.tokens,
        start_token=image.start_token,
    )
    next(stepping)
    return _milliseconds(lambda: next(stepping), min(steps, image.tokens) - 1)


@torch.inference_mode()
def package_step(
    encoder: DalleBartEncoder, decoder: DalleBartDecoder, count: int, steps: int
) -> float:
    """Mean milliseconds of one of the package's, which all take the same time."""
    length = encoder.embed_positions.num_embeddings
    text = torch.full((2, length), 1)
    text[0, :2] = torch.tensor([0, 2])
    text[1, : len(TEXT)] = torch.tensor(TEXT)
    places = [0] * count + [1] * count
    state = encoder(text)[places]
    like = decoder.lm_head.weight
    cache = like.new_zeros(decoder.layer_count, 4 * count, 256, decoder.embed_count)
    values = {
        "settings": torch.tensor([1.0, min(TOP_K, like.shape[0]), GUIDANCE]).to(like),
        "attention_mask": text[places].not_equal(1)[:, None, None, :],
        "encoder_state": state,
        "attention_state": cache,
        "prev_tokens": torch.zeros((count, 1), dtype=torch.long),
        "token_index": torch.zeros(1, dtype=torch.long),
    }
    decoder.sample_tokens(**values)
    return _milliseconds(lambda: decoder.sample_tokens(**values), steps)


def _milliseconds(step: Callable[[], object], steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - began) * 1000 / steps


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=1, help="pictures drawn together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=256, help="of ours in a round")
    parser.add_argument("--package-steps", type=int, default=8, help="of the package's in a round")
    parser.add_argument("--threads", type=int, default=cpu_limit())
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    return parser.parse_args()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


if __name__ == "__main__":
    main()
