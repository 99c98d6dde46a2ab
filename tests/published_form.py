"""The form of the published weights, as min-dalle's converter must have left them.

The weights themselves could not be reached: this follows `load_params.py` of kuprel/min-dalle at
7bf76de, which wrote `encoder.pt`, `decoder.pt` and `detoker.pt` from the original's Flax weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

# What the original builds with `use_scale=False`: kuprel/min-dalle-flax, models/*_flax.py.
NO_SCALE = ("pre_self_attn_layer_norm", "pre_encoder_attn_layer_norm", "ln0", "ln1", "final_ln")


def save_converted(module: nn.Module, path: Path) -> None:
    """Save an encoder or a decoder as the converter did.

    float16; a layer norm that a dense layer follows has no scale; the layers of one kind are
    slices of one tensor; and a dense layer's weight is Flax's kernel [in, out], transposed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(converted(module), path)


def converted(module: nn.Module) -> dict[str, Tensor]:
    """See `save_converted`."""
    tensors: dict[str, Tensor] = {}
    stacks: dict[str, list[Tensor]] = {}
    for name, tensor in module.state_dict().items():
        *_, owner, kind = name.split(".")
        if owner in NO_SCALE and kind == "weight":
            continue
        if name.startswith("layers."):
            stacks.setdefault(name.split(".", 2)[2], []).append(tensor)
        else:
            tensors[name] = _kernel(tensor.half(), name)
    for rest, layers in stacks.items():
        stack = _kernel(torch.stack([layer.half() for layer in layers]), rest)
        tensors |= {f"layers.{number}.{rest}": layer for number, layer in enumerate(stack)}
    return tensors


def _kernel(tensor: Tensor, name: str) -> Tensor:
    """The same values, laid out as Flax does where they are a dense layer's."""
    is_dense = name.endswith("weight") and "embed" not in name and "norm" not in name
    return tensor.mT.contiguous().mT if is_dense else tensor
