"""Trains the picture tokens: an encoder, a codebook and the detokenizer that ships.

    python -m training.vqgan

It knows neither captions nor the transformer: pictures in, the same pictures out through 64 tokens.
After VQ-VAE-2 (codebook by moving averages), ViT-VQGAN (low-dimensional codes of length one) and
VQGAN (a critic for the last part), made small: no norms but in the grid blocks, bfloat16.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from training import DATA, RUNS
from training.optimisation import follow_weights, rate_at
from training.picture_tokenizer import CODES, Critic, PictureTokenizer, placed
from training.run_folder import DEVICE, STOPPED, RunFolder, stop_gently

SIZES: dict[str, Any] = {
    "codes": CODES,
    "grid": 8,
    "code_width": 16,
    "widths": [192, 160, 96, 32],
    "blocks": [2, 2, 2, 1],
    "heads": 6,
}
CRITIC_FROM = 0.75  # of the steps: a critic of early blurs teaches nothing
WARM_UP = 200  # steps
MEMORY = 0.998  # of the moving average
SAVE_MINUTES = 4.0


def difference(made: Tensor, real: Tensor) -> Tensor:
    """L1 over pixels, over edges, and over both at half and quarter size: [n, 3, h, w] -> []."""
    total = made.new_zeros(())
    for weight in (1.0, 0.5, 0.5):
        gap = made - real
        total = total + weight * gap.abs().mean()
        total = total + weight * (gap[..., 1:] - gap[..., :-1]).abs().mean()
        total = total + weight * (gap[..., 1:, :] - gap[..., :-1, :]).abs().mean()
        made, real = functional.avg_pool2d(made, 2), functional.avg_pool2d(real, 2)
    return total


def batches(folder: Path, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Endless float [size, 3, h, w] in 0..1, channels last, half of them mirrored.

    The folder holds pictures-*.npy, uint8 [n, h, w, 3]; new files are seen at the next start.
    """
    files = [np.load(file, mmap_mode="r") for file in sorted(folder.glob("pictures-*.npy"))]
    if not files:
        raise SystemExit(f"No pictures-*.npy in {folder}. Run python -m training.drawing first.")
    starts = np.cumsum([0, *map(len, files)])
    while True:
        chosen = rng.integers(starts[-1], size=size)
        owners = np.searchsorted(starts, chosen, side="right") - 1
        mirrored = rng.random(size) < 0.5
        pictures = np.stack([files[o][c - starts[o]] for o, c in zip(owners, chosen, strict=True)])
        pictures[mirrored] = pictures[mirrored, :, ::-1]
        yield torch.from_numpy(pictures).to(DEVICE).permute(0, 3, 1, 2).float() / 255


class Training:
    """The tokenizer, its critic, their optimizers and a moving average of what will ship."""

    PARTS = ("model", "average", "critic", "painter", "judge")  # with a state to be saved

    def __init__(self, sizes: dict[str, Any], rate: float) -> None:
        self.rate = rate
        self.model = placed(PictureTokenizer(sizes))
        self.average = placed(PictureTokenizer(sizes))
        self.average.load_state_dict(self.model.state_dict())
        self.critic = placed(Critic())
        # the optimizers of model and critic
        learns = [p for p in self.model.parameters() if p.requires_grad]
        self.painter = torch.optim.AdamW(learns, rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.judge = torch.optim.AdamW(self.critic.parameters(), rate / 2, betas=(0.5, 0.99))
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Everything that a later process needs to go on."""
        states = {part: getattr(self, part).state_dict() for part in self.PARTS}
        return states | {"sizes": self.model.sizes, "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for part in self.PARTS:
            getattr(self, part).load_state_dict(state[part])
        self.judge.param_groups[0]["lr"] = self.rate / 2
        self.step = state["step"]

    def learn(self, pictures: Tensor, progress: float) -> dict[str, float]:
        """One step on pictures [n, 3, h, w] in 0..1. -> the losses, and the rate.

        progress runs from 0 to 1 over the training; it sets the rate and calls the critic in.
        """
        rate = rate_at(self.rate, self.step, progress, WARM_UP)
        self.painter.param_groups[0]["lr"] = rate
        criticised = progress >= CRITIC_FROM
        with torch.autocast(DEVICE, torch.bfloat16):
            made, encoded, tokens, commitment = self.model(pictures)
            made = made.float()
            pixels = difference(made, pictures)
            loss = pixels + 0.1 * commitment
            losses = {"pixels": pixels, "commitment": commitment}
            if criticised:
                loss = loss + self._criticise(made, pictures, losses)
        self.painter.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.painter.step()
        self.model.codebook.follow(encoded.detach(), tokens)
        if criticised:
            self._teach_critic(made.detach(), pictures, losses)
        follow_weights(self.average, self.model, self.step, MEMORY)
        self.average.codebook.load_state_dict(self.model.codebook.state_dict())
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()} | {"rate": rate}

    def _criticise(self, made: Tensor, real: Tensor, losses: dict[str, Tensor]) -> Tensor:
        self.critic.requires_grad_(False)
        verdict, features = self.critic(made)
        with torch.no_grad():
            _, wanted = self.critic(real)
        self.critic.requires_grad_(True)
        gaps = [
            (f - w).float().abs().mean() / w.float().abs().mean().clamp(min=1e-3)
            for f, w in zip(features, wanted, strict=True)
        ]
        losses["features"] = torch.stack(gaps).mean()
        losses["fooled"] = -verdict.float().mean()
        return 0.15 * losses["features"] + 0.02 * losses["fooled"]

    def _teach_critic(self, made: Tensor, real: Tensor, losses: dict[str, Tensor]) -> None:
        with torch.autocast(DEVICE, torch.bfloat16):
            on_made, on_real = self.critic(made)[0].float(), self.critic(real)[0].float()
            hinge = functional.relu(1 + on_made).mean() + functional.relu(1 - on_real).mean()
        self.judge.zero_grad()
        hinge.backward()
        self.judge.step()
        losses["critic"] = hinge

    @torch.no_grad()
    def sheet(self, pictures: Tensor) -> Image.Image:
        """[n, 3, h, w] in 0..1, above what the averaged model makes of them, sixteen a row."""
        self.average.settle()
        with torch.autocast(DEVICE, torch.bfloat16):
            made = self.average.detokenizer(self.average.tokens(pictures))
        rows = []
        for start in range(0, len(pictures), 16):
            for part in (pictures, made):
                rows.append(torch.cat(list(part[start : start + 16]), dim=2))
        grid = (torch.cat(rows, dim=1).permute(1, 2, 0) * 255).round().byte()
        return Image.fromarray(grid.cpu().numpy())


def train(
    data: Path, run: RunFolder, sizes: dict[str, Any], steps: int, batch: int, rate: float
) -> None:
    """Train, or go on training, until `steps` are done."""
    state = run.load()
    training = Training(state["sizes"] if state else sizes, rate)
    if state:
        training.restore(state)
    stream = batches(data, batch, np.random.default_rng(training.step))
    shown = next(batches(data, 64, np.random.default_rng(1)))
    bar = tqdm(range(training.step, steps), initial=training.step, total=steps, mininterval=5)
    try:
        for step in bar:
            losses = training.learn(next(stream), step / steps)
            if step % 50 == 0:
                codes = int((training.model.codebook.uses > 0.1).sum())
                run.log(step=step, codes=codes, **losses)
                bar.set_postfix(pixels=losses["pixels"], codes=codes)
            if run.save_is_due(SAVE_MINUTES):
                run.save(training.state())
                training.sheet(shown).save(run.path / "sheet.png")
    except KeyboardInterrupt:
        raise SystemExit(STOPPED.format(training.step, steps)) from None
    finally:
        run.save(training.state())
    training.sheet(shown).save(run.path / "sheet.png")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--run", type=Path, default=RUNS / "vqgan")
    parser.add_argument("--steps", type=int, default=3200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=6e-4)
    options = parser.parse_args()
    torch.manual_seed(0)
    stop_gently()
    run = RunFolder(options.run)
    train(options.data, run, SIZES, options.steps, options.batch, options.rate)


if __name__ == "__main__":
    main()
