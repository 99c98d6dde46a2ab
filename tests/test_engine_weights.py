"""Weights are read whole and right, or refused by name in one sentence."""

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_checkpoint import write_package_like, write_pocket_like
from safetensors.torch import load_file, save_file

from dalle_app.engines.dalle_mini.checkpoint import checkpoints, read_checkpoint
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.engines.dalle_mini.weights import read_parts
from dalle_app.errors import CheckpointError

CPU = Device("cpu", "for a test")
Tensors = dict[str, torch.Tensor]


def load(description: Path, models: Path | None = None, precision: str = "float32") -> Model:
    return load_model(read_checkpoint(description, models or description.parent), CPU, precision)


def rewrite(description: Path, change: Callable[[Tensors], None]) -> None:
    """Change a pocket-like checkpoint's tensors, and no longer vouch for the file."""
    values = json.loads(description.read_text())
    path = description.parent / values["files"][0]["name"]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    values["files"] = [{"name": path.name}]
    description.write_text(json.dumps(values))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_come_in_the_wanted_precision_and_the_painter_in_float32(
    tmp_path: Path, precision: str
) -> None:
    model = load(write_pocket_like(tmp_path / "tiny"), precision=precision)
    wanted = {getattr(torch, precision)}
    assert {p.dtype for p in model.encoder.parameters()} == wanted
    assert {p.dtype for p in model.decoder.parameters()} == wanted
    assert {p.dtype for p in model.painter.detokenizer.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.decoder.parameters())


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    description = write_pocket_like(tmp_path / "tiny")
    rewrite(description, lambda tensors: tensors.pop("decoder.layers.1.glu.fc1.weight"))
    with pytest.raises(CheckpointError, match=r"decoder's .* layers\.1\.glu\.fc1\.weight is missi"):
        load(description)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    description = write_pocket_like(tmp_path / "tiny")
    rewrite(description, lambda t: t.update({"encoder.final_ln.weight": torch.zeros(33)}))
    with pytest.raises(CheckpointError, match=r"final_ln\.weight is \[33\] and must be \[32\]"):
        load(description)


def test_a_tensor_that_is_no_number_is_refused(tmp_path: Path) -> None:
    description = write_pocket_like(tmp_path / "tiny")
    bad = torch.zeros(32, dtype=torch.bool)
    rewrite(description, lambda t: t.update({"encoder.final_ln.weight": bad}))
    with pytest.raises(CheckpointError, match=r"wrong kind: .*final_ln\.weight is torch\.bool"):
        load(description)


def test_a_tensor_that_nobody_wants_is_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    description = write_pocket_like(tmp_path / "tiny")
    more = {"decoder.spare": torch.zeros(2), "teacher.spare": torch.zeros(2)}
    rewrite(description, lambda tensors: tensors.update(more))
    with caplog.at_level(logging.WARNING):
        load(description)
    assert "spare" in caplog.text
    assert "teacher.spare" in caplog.text


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[: len(data) // 2], "damaged or not whole"),
        (lambda data: b"", "damaged or not whole"),
        (lambda data: b"\n<!DOCTYPE html><title>404</title>", "is a web page"),
        (lambda data: os.urandom(1000), "damaged or not whole"),
        (lambda data: data[:-4] + b"\0\0\0\1", "its hash is another"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its hash is another"),
    ],
    ids=["truncated", "empty", "a web page", "noise", "last bytes changed", "one bit flipped"],
)
def test_a_damaged_safetensors_file_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], sentence: str
) -> None:
    description = write_pocket_like(tmp_path / "tiny")
    [path] = (tmp_path / "tiny").glob("*.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=sentence):
        load(description)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package_like(tmp_path_factory.mktemp("narrow"), vocab=16415).parent.parent


class Code:
    """A pickle that would make a file when opened carelessly."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, ("owned",))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path, good: path.write_bytes(good[: len(good) // 2]), "damaged or not whole"),
        (lambda path, good: path.write_bytes(b"<html>404</html>"), "is a web page"),
        (lambda path, good: path.write_bytes(pickle.dumps(Code())), "damaged or not whole"),
        (lambda path, good: torch.save({"weight": Code()}, path), "could run code"),
        (lambda path, good: torch.save([torch.zeros(3)], path), "holds no weights by name"),
        (lambda path, good: torch.save({"a": torch.zeros(3)}, path), "is missing"),
        (lambda path, good: path.unlink(), "encoder.pt is missing"),
    ],
    ids=["truncated", "a web page", "bare code", "code", "a list", "another model", "nothing"],
)
def test_a_wrong_pickle_is_refused_and_never_run(
    narrow: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, bytes], object],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = narrow / "models" / "dalle_bart_narrow" / "encoder.pt"
    good = path.read_bytes()
    try:
        write(path, good)
        with pytest.raises(CheckpointError, match=sentence):
            load(narrow / "description" / "checkpoint.json", narrow / "models")
    finally:
        path.write_bytes(good)
    assert not (tmp_path / "owned").exists()


def test_the_published_layout_gives_every_part_its_tensors(narrow: Path) -> None:
    description = narrow / "description" / "checkpoint.json"
    parts = read_parts(read_checkpoint(description, narrow / "models"))
    assert {part: len(found.tensors) > 20 for part, found in parts.items()} == {
        "encoder": True,
        "decoder": True,
        "detokenizer": True,
    }
    assert (
        parts["decoder"].tensors["lm_head.weight"].shape[0] == 16416
    )  # mega's, with rows never drawn


def test_mini_and_mega_are_described_as_they_were_published(tmp_path: Path) -> None:
    family = checkpoints(tmp_path)
    mini, mega = family["mini"], family["mega"]
    for checkpoint in (mini, mega):
        assert checkpoint.image.start_token == 16384
        assert checkpoint.image.tokens == 256
        assert checkpoint.text.length == 64
        assert checkpoint.folder == tmp_path
        assert len(checkpoint.missing()) == 5
        assert checkpoint.state.endswith("not fetched")
    names = [file.name for file in mini.files]
    assert names == [
        "dalle_bart_mini/encoder.pt",
        "dalle_bart_mini/decoder.pt",
        "vqgan/detoker.pt",
    ]
    assert [file.source for file in mini.files] == [
        "encoder_mini.pt",
        "decoder_mini.pt",
        "detoker.pt",
    ]
    assert mega.image.vocab == 16415
