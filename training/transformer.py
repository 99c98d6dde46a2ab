"""Trains pocket's transformer: from a caption's text tokens to a picture's image tokens.

    python -m training.transformer
    torchrun --nproc-per-node 2 -m training.transformer   # the same batch, shared by two processes

It does not know pixels, nor how the network is built (`training.teacher_forcing` does).
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from tqdm import tqdm

from training import DATA, RUNS
from training.optimisation import follow_weights, rate_at
from training.picture_tokenizer import CODES
from training.run_folder import DEVICE, STOPPED, RunFolder, stop_gently
from training.teacher_forcing import Transformer
from training.tokenizer import VOCABULARY
from training.tokens import TEXT_LENGTH, TokenData

SIZES: dict[str, int] = {
    "text_vocab": VOCABULARY,
    "text_length": TEXT_LENGTH,
    "codes": CODES,
    "encoder_layers": 2,
    "decoder_layers": 6,
    "width": 256,
    "heads": 8,
    "glu_width": 384,
}
NOISE = 0.12  # of the input tokens are random, so that sampling recovers from its own mistakes
UNTITLED = 0.10  # of the captions are empty, for guidance
WARM_UP = 300  # steps
MEMORY = 0.999  # of the moving average
SAVE_MINUTES = 4.0


class Training:
    """The transformer, its optimizer and the moving average of its weights that ships."""

    PARTS = ("model", "average", "optimizer")  # with a state to be saved

    def __init__(self, sizes: dict[str, int], rate: float) -> None:
        self.rate = rate
        self.model = Transformer(sizes)
        self.model.start_afresh()
        self.model.to(DEVICE)
        self.average = Transformer(sizes).to(DEVICE)
        self.average.load_state_dict(self.model.state_dict())
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [
            {"params": matrices, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.97), fused=True)
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Everything that a later process needs to go on."""
        states = {part: getattr(self, part).state_dict() for part in self.PARTS}
        return states | {"sizes": self.model.sizes, "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for part in self.PARTS:
            getattr(self, part).load_state_dict(state[part])
        self.step = state["step"]

    def learn(self, texts: Tensor, images: Tensor, progress: float) -> dict[str, Tensor]:
        """One step on texts int64 [n, length] and images int64 [n, places].

        progress runs from 0 to 1 over the training and sets the rate. -> loss and gradient's norm,
        still as tensors, since reading them would wait for the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.rate, self.step, progress, WARM_UP)
        start = torch.full_like(images[:, :1], self.model.start_token)
        inputs = torch.cat([start, images[:, :-1]], dim=1)
        strays = torch.rand_like(inputs[:, 1:], dtype=torch.float32) < NOISE
        random = torch.randint_like(inputs[:, 1:], self.model.sizes["codes"])
        inputs[:, 1:] = torch.where(strays, random, inputs[:, 1:])
        with torch.autocast(DEVICE, torch.bfloat16):
            logits = self.model(texts, inputs)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), images.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        if distributed.is_initialized():
            self._share_gradients()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        follow_weights(self.average, self.model, self.step, MEMORY)
        self.step += 1
        return {"loss": loss.detach(), "norm": norm}

    def _share_gradients(self) -> None:
        """Give every process the mean of all gradients; in one piece, since each call costs."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= distributed.get_world_size()
        pieces = together.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))


def train(
    data: TokenData, run: RunFolder, sizes: dict[str, int], steps: int, batch: int, rate: float
) -> None:
    """Train, or go on training, until `steps` are done; all processes together take `batch` a step.

    Raises SystemExit where the processes cannot share a batch evenly.
    """
    rank, processes = 0, 1
    if distributed.is_initialized():
        rank, processes = distributed.get_rank(), distributed.get_world_size()
    if batch % processes:
        raise SystemExit(f"{processes} processes cannot share a batch of {batch} evenly.")
    state = run.load()
    training = Training(state["sizes"] if state else sizes, rate)
    if state:
        training.restore(state)
    torch.manual_seed(2 * training.step + rank)  # other noise in every process and after a stop
    random = np.random.default_rng([training.step, rank])
    stream = data.batches(batch // processes, UNTITLED, random)
    bar = tqdm(
        range(training.step, steps),
        initial=training.step,
        total=steps,
        mininterval=5,
        disable=rank > 0,
    )
    try:
        for step in bar:
            texts, images = (torch.from_numpy(part).to(DEVICE) for part in next(stream))
            losses = training.learn(texts, images, step / steps)
            if step % 50 == 0 and rank == 0:
                run.log(step=step, **{name: float(value) for name, value in losses.items()})
                bar.set_postfix(loss=float(losses["loss"]))
            if rank == 0 and run.save_is_due(SAVE_MINUTES):
                run.save(training.state())
    except KeyboardInterrupt:
        raise SystemExit(STOPPED.format(training.step, steps)) from None
    finally:
        if rank == 0:
            run.save(training.state())


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--run", type=Path, default=RUNS / "transformer")
    parser.add_argument("--steps", type=int, default=9600)
    parser.add_argument("--batch", type=int, default=96, help="pictures a step")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    options = parser.parse_args()
    torch.manual_seed(0)  # the same first weights in every process
    stop_gently()
    if "RANK" in os.environ:  # started by torchrun
        distributed.init_process_group("gloo")
    data = TokenData.load(options.data)
    train(data, RunFolder(options.run), SIZES, options.steps, options.batch, options.rate)


if __name__ == "__main__":
    main()
