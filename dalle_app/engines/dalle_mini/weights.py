"""From files of weights to modules: checked by name and shape, straight into the wanted precision.

Files are mapped into memory and copied tensor by tensor, so there is never a whole float32 copy
beside a smaller one. Pickles are read without running what is in them. It knows no sizes of its
own: a module built for the checkpoint says what must be there.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, WeightFile
from dalle_app.errors import CheckpointError

log = logging.getLogger(__name__)

PARTS = ("encoder", "decoder", "detokenizer")


def read_parts(checkpoint: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part, by their names in it, still mapped to the files.

    Raises:
        CheckpointError: a file is missing, damaged, not weights, or carries code.
    """
    if missing := checkpoint.missing():
        raise CheckpointError(
            f"{checkpoint.name} cannot be loaded: {missing[0]} is missing"
            + (f", and {len(missing) - 1} more." if len(missing) > 1 else ".")
            + " Put the files there, or choose another model."
        )
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for file in checkpoint.files:
        for name, tensor in _read(checkpoint.folder / file.name).items():
            part, _, rest = (file.part, "", name) if file.part else name.partition(".")
            if part in parts:
                parts[part][rest] = tensor
            else:
                log.warning("%s: ignoring %s, which no part of a model wants", file.name, name)
    return parts


def fill(
    module: nn.Module, tensors: Mapping[str, Tensor], part: str, device: str, dtype: torch.dtype
) -> None:
    """Give a module built on the meta device its weights, on `device` and as `dtype`.

    Raises:
        CheckpointError: a tensor is missing or has another shape; the text names it.
    """
    wanted = module.state_dict()
    if missing := [name for name in wanted if name not in tensors]:
        raise CheckpointError(
            f"The {part}'s weights are incomplete: {missing[0]} is missing"
            + (f", and {len(missing) - 1} more." if len(missing) > 1 else ".")
            + " Fetch the files again."
        )
    for name, there in wanted.items():
        if tensors[name].shape != there.shape:
            raise CheckpointError(
                f"The {part}'s weights belong to another model: {name} is "
                f"{list(tensors[name].shape)} and must be {list(there.shape)}. Check which model's "
                "files these are."
            )
        if not tensors[name].is_floating_point():
            raise CheckpointError(
                f"The {part}'s weights are of the wrong kind: {name} is {tensors[name].dtype}. "
                "Fetch the files again."
            )
    if extra := sorted(tensors.keys() - wanted.keys()):
        log.warning("%s: ignoring %d tensors it has no place for: %s", part, len(extra), extra[:5])
    copied = {name: tensors[name].to(device, dtype, copy=True) for name in wanted}
    module.load_state_dict(copied, assign=True)
    module.requires_grad_(False).eval()


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
            "file. Fetch it again."
        )
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if file.sha256 is not None and digest != file.sha256:
        raise CheckpointError(f"{path} is damaged: its hash is another. Fetch it again.")
    return digest


def _read(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as stream:
        start = stream.read(256).lstrip()
    if start.startswith(b"<"):
        raise CheckpointError(
            f"{path} is a web page, not weights: the download went wrong. Delete it and fetch it "
            "again."
        )
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or not whole. Fetch it again.") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is damaged or not whole. Fetch it again.")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights and was not opened, because it could run code. "
            "Delete it and fetch the published file."
        ) from error
    except (RuntimeError, OSError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(f"{path} is damaged or not whole. Fetch it again.") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path} holds no weights by name. Fetch the published file.")
    return tensors
