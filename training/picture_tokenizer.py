"""The networks that turn pictures into tokens and back: encoder, codebook, critic, and all as one.

It does not know how they learn (`training.vqgan` does); what ships of them is the detokenizer.
"""

from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from dalle_app.engines.dalle_mini.detokenizer import GridBlock, PocketDetokenizer, ResidualBlock
from training.run_folder import DEVICE, RunFolder

CODES = 2048  # image tokens there are
Network = TypeVar("Network", bound=nn.Module)


def placed(network: Network) -> Network:
    """The network on DEVICE, its convolutions channels last: CPUs are faster at those."""
    network.to(DEVICE)
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network


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
        """Float [n, places, width] -> int64 [n, places]: the nearest code of each."""
        return (encoded @ self.vectors.T).argmax(-1)

    @torch.no_grad()
    def follow(self, encoded: Tensor, tokens: Tensor) -> None:
        """Move every code towards what it was used for; give idle codes a place in the crowd.

        encoded: float [n, places, width]; tokens: int64 [n, places], what `look_up` said of them.
        """
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
        """[n, 3, h, w] in 0..1 -> the same through the codes; gradients pass straight through.

        Also encoded [n, grid², code_width], tokens int64 [n, grid²] and the commitment loss [].
        """
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


def load_tokenizer(run: Path) -> PictureTokenizer:
    """The averaged tokenizer of a run, settled and ready to encode or to ship."""
    state = RunFolder(run).load()
    if state is None:
        raise SystemExit(f"No checkpoint in {run}. Run python -m training.vqgan first.")
    model = placed(PictureTokenizer(state["sizes"]))
    model.load_state_dict(state["average"])
    model.settle()
    return model.eval()
