"""Trains the picture tokens: an encoder, a codebook and the detokenizer that ships.

    python -m training.vqgan --steps 20000

It knows neither captions nor the transformer: pictures in, the same pictures out through 64 tokens.
After VQ-VAE-2 (codebook by moving averages), ViT-VQGAN (low-dimensional codes of length one) and
VQGAN (a critic for the last part), made small: no norms but in the grid blocks, bfloat16.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from tqdm import tqdm

from dalle_app.engines.dalle_mini.detokenizer import GridBlock, PocketDetokenizer, ResidualBlock
from training.run_folder import DEVICE, RunFolder, stop_gently

SIZES: dict[str, Any] = {
    "codes": 2048,
    "grid": 8,
    "code_width": 16,
    "widths": [192, 160, 96, 32],
    "blocks": [2, 2, 2, 1],
    "heads": 6,
}
CRITIC_FROM = 0.75  # of the steps: a critic of early blurs teaches nothing
SAVE_MINUTES = 4.0


class PictureEncoder(nn.Module):
    """[n, 3, 16·grid, 16·grid] in 0..1 -> code vectors of length one [n, grid², code_width]."""

    def __init__(self, code_width: int, grid: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, 96, 3, padding=1), ResidualBlock(96),
            nn.PixelUnshuffle(2), nn.Conv2d(384, 160, 1), ResidualBlock(160), ResidualBlock(160),
            nn.PixelUnshuffle(2), nn.Conv2d(640, 256, 1),
        )  # fmt: skip
        self.places = nn.Parameter(torch.zeros(grid * grid, 256))
        self.mixer = nn.Sequential(GridBlock(256, 8), GridBlock(256, 8), nn.LayerNorm(256))
        self.leave = nn.Linear(256, code_width)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.fine(pictures * 2 - 1).flatten(2).transpose(1, 2)
        return functional.normalize(self.leave(self.mixer(x + self.places)).float(), dim=-1)


class Codebook(nn.Module):
    """Code vectors of length one that follow the encoder's by moving averages; idle ones move in.

    No gradient: `look_up` gives tokens, `follow` teaches.
    """

    vectors: Tensor
    uses: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        vectors = functional.normalize(torch.randn(codes, width), dim=-1)
        self.register_buffer("vectors", vectors)
        self.register_buffer("uses", torch.ones(codes))
        self.register_buffer("sums", vectors.clone())

    def look_up(self, encoded: Tensor) -> Tensor:
        """[n, places, width] -> int64 [n, places]: the nearest code of each."""
        return (encoded @ self.vectors.T).argmax(-1)

    @torch.no_grad()
    def follow(self, encoded: Tensor, tokens: Tensor) -> None:
        """Move every code towards what it was used for; give idle codes a place in the crowd."""
        flat, used = encoded.flatten(0, 1), tokens.flatten()
        counts = torch.zeros_like(self.uses).index_add_(0, used, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, used, flat)
        self.uses.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        idle = (self.uses < 0.03).nonzero()[:, 0]
        if len(idle):
            crowd = flat[torch.randint(len(flat), (len(idle),), device=flat.device)]
            self.sums[idle], self.uses[idle] = crowd, 1.0
        self.vectors.copy_(functional.normalize(self.sums, dim=-1))


class Critic(nn.Module):
    """Says of every 16 px patch how real it looks; its features compare pictures as eyes do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in ((3, 48), (48, 96), (96, 192))
        )
        self.verdict = spectral_norm(nn.Conv2d(192, 1, 3, padding=1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[n, 3, h, w] in 0..1 -> verdicts [n, 1, h/8, w/8], features of each layer."""
        x, features = pictures * 2 - 1, []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.verdict(x), features


class PictureTokenizer(nn.Module):
    """Encoder, codebook and detokenizer as one: what a checkpoint of this stage holds."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = PictureEncoder(sizes["code_width"], sizes["grid"])
        self.codebook = Codebook(sizes["codes"], sizes["code_width"])
        self.detokenizer = PocketDetokenizer(**sizes)
        self.detokenizer.codebook.weight.requires_grad_(False)

    def tokens(self, pictures: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 -> int64 [n, grid²]."""
        return self.codebook.look_up(self.encoder(pictures))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> reconstruction, encoded, tokens, commitment loss; gradients pass straight through."""
        encoded = self.encoder(pictures)
        tokens = self.codebook.look_up(encoded.detach())
        vectors = self.codebook.vectors[tokens]
        commitment = (encoded - vectors).square().sum(-1).mean()
        through = encoded + (vectors - encoded).detach()
        return self.detokenizer.picture(self._scaled(through)), encoded, tokens, commitment

    def settle(self) -> None:
        """Copy the codebook into the detokenizer, which ships with it."""
        self.detokenizer.codebook.weight.data.copy_(self._scaled(self.codebook.vectors))

    def _scaled(self, vectors: Tensor) -> Tensor:
        scale: float = self.sizes["code_width"] ** 0.5  # entries of about one
        return vectors * scale


def difference(made: Tensor, real: Tensor) -> Tensor:
    """L1 over pixels, over edges, and over both at half and quarter size."""
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
    ends = np.cumsum([len(file) for file in files])
    while True:
        chosen = rng.integers(ends[-1], size=size)
        owner = np.searchsorted(ends, chosen, side="right")
        rows = [files[f][i - ends[f] + len(files[f])] for f, i in zip(owner, chosen, strict=True)]
        mirrored = rng.random(size) < 0.5
        stack = np.stack([r[:, ::-1] if m else r for r, m in zip(rows, mirrored, strict=True)])
        yield torch.from_numpy(stack).to(DEVICE).permute(0, 3, 1, 2).float() / 255


class Training:
    """The tokenizer, its critic, their optimizers and a moving average of what will ship."""

    def __init__(self, sizes: dict[str, Any], rate: float) -> None:
        self.rate = rate
        self.model = PictureTokenizer(sizes).to(DEVICE, memory_format=torch.channels_last)
        self.average = PictureTokenizer(sizes).to(DEVICE, memory_format=torch.channels_last)
        self.average.load_state_dict(self.model.state_dict())
        self.critic = Critic().to(DEVICE, memory_format=torch.channels_last)
        learns = [p for p in self.model.parameters() if p.requires_grad]
        self.painter = torch.optim.AdamW(learns, rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.judge = torch.optim.AdamW(self.critic.parameters(), rate / 2, betas=(0.5, 0.99))
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Everything that a later process needs to go on."""
        parts = ("model", "average", "critic", "painter", "judge")
        states = {part: getattr(self, part).state_dict() for part in parts}
        return states | {"sizes": self.model.sizes, "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for part in ("model", "average", "critic", "painter", "judge"):
            getattr(self, part).load_state_dict(state[part])
        self.judge.param_groups[0]["lr"] = self.rate / 2
        self.step = state["step"]

    def learn(self, pictures: Tensor, progress: float) -> dict[str, float]:
        """One step; progress runs from 0 to 1 and sets rate and critic. -> the losses."""
        rate = self.rate * min(1.0, self.step / 200) * (0.02 + 0.98 * cosine(progress))
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
        self._follow_average()
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
    def _follow_average(self) -> None:
        ours, theirs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - min(0.998, self.step / (self.step + 10)))
        self.average.codebook.load_state_dict(self.model.codebook.state_dict())

    @torch.no_grad()
    def sheet(self, pictures: Tensor) -> Image.Image:
        """Originals above, what the averaged model makes of them below, sixteen a row."""
        self.average.settle()
        with torch.autocast(DEVICE, torch.bfloat16):
            made = self.average.detokenizer(self.average.tokens(pictures))
        rows = []
        for start in range(0, len(pictures), 16):
            for part in (pictures, made):
                rows.append(torch.cat(list(part[start : start + 16]), dim=2))
        grid = (torch.cat(rows, dim=1).permute(1, 2, 0) * 255).round().byte()
        return Image.fromarray(grid.cpu().numpy())


def cosine(progress: float) -> float:
    """1 at the start, 0 at the end."""
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, progress))


def load_tokenizer(run: Path) -> PictureTokenizer:
    """The averaged tokenizer of a run, settled and ready to encode or to ship."""
    state = RunFolder(run).load()
    if state is None:
        raise SystemExit(f"No checkpoint in {run}. Run python -m training.vqgan first.")
    model = PictureTokenizer(state["sizes"]).to(DEVICE, memory_format=torch.channels_last)
    model.load_state_dict(state["average"])
    model.settle()
    return model.eval()


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
    finally:  # also when stopped
        run.save(training.state())
    training.sheet(shown).save(run.path / "sheet.png")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("training/data"))
    parser.add_argument("--run", type=Path, default=Path("training/runs/vqgan"))
    parser.add_argument("--steps", type=int, default=7200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=6e-4)
    options = parser.parse_args()
    torch.manual_seed(0)
    stop_gently()
    run = RunFolder(options.run)
    train(options.data, run, SIZES, options.steps, options.batch, options.rate)


if __name__ == "__main__":
    main()
