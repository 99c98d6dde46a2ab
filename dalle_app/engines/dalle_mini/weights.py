"""From files of weights to modules: checked by name and shape, straight into the wanted precision.

Files are mapped into memory and copied tensor by tensor, so there is never a whole float32 copy
beside a smaller one. Pickles are read without running what is in them. It knows no sizes of its
own: a module built for the checkpoint says what must be there.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dalle_app.engines.dalle_mini.checkpoint import AGAIN, Checkpoint, WeightFile
from dalle_app.errors import CheckpointError

log = logging.getLogger(__name__)

PARTS = ("encoder", "decoder", "detokenizer")

# Layer norms that the original builds with `use_scale=False`, since a dense layer follows. Its
# weights have no scale for them, so the published files, converted from those, can have none.
_UNSCALED = re.compile(
    r"(layers\.\d+\.(pre_self_attn_layer_norm|pre_encoder_attn_layer_norm|glu\.ln[01])|final_ln)"
    r"\.weight"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A network's tensors by their names in it, still mapped to the files that hold them."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Its files, for a sentence about what is wrong in them."""
        return " or ".join(map(str, self.files))


def read_parts(checkpoint: Checkpoint) -> dict[str, Part]:
    """The parts of a model, `PARTS`, as its files have them.

    Raises:
        CheckpointError: a file is missing, damaged, not weights, or carries code.
    """
    if missing := checkpoint.missing():
        raise CheckpointError(
            f"{checkpoint.name} cannot be loaded: {missing[0]} is missing"
            + (f", and {len(missing) - 1} more." if len(missing) > 1 else ".")
            + " Put the files there, or choose another model."
        )
    parts = {name: Part() for name in PARTS}
    for file in checkpoint.files:
        path = checkpoint.folder / file.name
        for name, tensor in _read(path).items():
            owner, _, rest = (file.part, "", name) if file.part else name.partition(".")
            if owner not in parts:
                log.warning("%s: ignoring %s, which no part of a model wants", file.name, name)
                continue
            parts[owner].tensors[rest] = tensor
            if path not in parts[owner].files:
                parts[owner].files.append(path)
    return parts


def fill(module: nn.Module, found: Part, part: str, device: str, dtype: torch.dtype) -> None:
    """Give a module built on the meta device its weights, on `device` and as `dtype`.

    The published float16 files hold slices of stacked layers, transposed; what the module gets is
    contiguous and its own, converted in one go.

    Args:
        part: the module's name, for errors.

    Raises:
        CheckpointError: a tensor is missing or has another shape; the text names it and its file.
    """
    wanted, tensors = module.state_dict(), found.tensors
    for name, there in wanted.items():
        if name not in tensors:
            continue
        if tensors[name].shape != there.shape:
            raise CheckpointError(
                f"The {part}'s weights belong to another model: in {found.where}, {name} is "
                f"{list(tensors[name].shape)} and must be {list(there.shape)}. Put this model's "
                "own file there, or delete it and fetch it again."
            )
        if not tensors[name].is_floating_point():
            raise CheckpointError(
                f"The {part}'s weights are of the wrong kind: in {found.where}, {name} is "
                f"{tensors[name].dtype}. {AGAIN}"
            )
    ones = _scales_left_out(wanted, tensors)
    if missing := [name for name in wanted if name not in tensors and name not in ones]:
        raise CheckpointError(
            f"The {part}'s weights are incomplete: {missing[0]} is missing"
            + (f" in {found.where}" if found.files else "")
            + (f", and {len(missing) - 1} more." if len(missing) > 1 else ".")
            + f" {AGAIN}"
        )
    if extra := sorted(tensors.keys() - wanted.keys()):
        log.warning("%s: ignoring %d tensors it has no place for: %s", part, len(extra), extra[:5])
    own = {
        name: torch.ones(there.shape, dtype=dtype, device=device)
        if name in ones
        else _own(tensors[name], device, dtype)
        for name, there in wanted.items()
    }
    module.load_state_dict(own, assign=True)
    module.requires_grad_(False).eval()


def _own(tensor: Tensor, device: str, dtype: torch.dtype) -> Tensor:
    return tensor.to(device, dtype, copy=True, memory_format=torch.contiguous_format)


def _scales_left_out(wanted: Collection[str], there: Collection[str]) -> frozenset[str]:
    """The layer norms' scales that are 1 because the file has none of them; all or nothing."""
    scales = frozenset(filter(_UNSCALED.fullmatch, wanted))
    return scales if scales.isdisjoint(there) else frozenset()


def fingerprint(checkpoint: Checkpoint) -> str:
    """16 hex digits that stand for the weights in recipes.

    Raises:
        CheckpointError: a file does not have the size or hash that the checkpoint gives for it.
    """
    together = hashlib.sha256()
    for file in checkpoint.files:
        together.update(bytes.fromhex(_checked_hash(checkpoint.folder / file.name, file)))
    return together.hexdigest()[:16]


def _checked_hash(path: Path, file: WeightFile) -> str:
    found = path.stat().st_size
    if file.bytes is not None and found != file.bytes:
        raise CheckpointError(
            f"{path} has {found:,} bytes instead of {file.bytes:,}: it is not whole, or another "
            f"file. {AGAIN}"
        )
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if file.sha256 is not None and digest != file.sha256:
        raise CheckpointError(f"{path} is damaged: its hash is another. {AGAIN}")
    return digest


def _read(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as stream:
        start = stream.read(256).lstrip()
    if start.startswith(b"<"):
        raise CheckpointError(
            f"{path} is a web page, not weights: the download went wrong. {AGAIN}"
        )
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or not whole. {AGAIN}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is damaged or not whole. {AGAIN}")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights and was not opened, because it could run code. "
            "Delete it and fetch the published file."
        ) from error
    except (RuntimeError, OSError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(f"{path} is damaged or not whole. {AGAIN}") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path} holds no weights by name. {AGAIN}")
    return tensors
