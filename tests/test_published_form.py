"""mini's and mega's files are read in the form that they were published in, and no other's."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published_form import NO_SCALE, converted
from random_checkpoint import random_transformer, write_package_like
from torch.utils._python_dispatch import TorchDispatchMode

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints, read_checkpoint
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.engines.dalle_mini.package import VQGanDetokenizer, transformer
from dalle_app.engines.dalle_mini.weights import fill, read_parts
from dalle_app.errors import CheckpointError

CPU = Device("cpu", "for a test")
FOLDER = "dalle_bart_narrow"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("published")
    return read_checkpoint(write_package_like(folder, vocab=16415), folder / "models")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What mega is to mini: wider, and with more layers."""
    folder = tmp_path_factory.mktemp("larger")
    return read_checkpoint(write_package_like(folder, width=48, layers=3), folder / "models")


@pytest.fixture
def copy(narrow: Checkpoint, tmp_path: Path) -> Checkpoint:
    """`narrow` with a transformer of its own, to be spoilt."""
    shutil.copytree(narrow.folder / FOLDER, tmp_path / FOLDER)
    (tmp_path / "vqgan").symlink_to(narrow.folder / "vqgan")
    return read_checkpoint(narrow.folder.parent / "description" / "checkpoint.json", tmp_path)


def load(checkpoint: Checkpoint, precision: str = "float32") -> Model:
    return load_model(checkpoint, CPU, precision)


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = torch.load(path, weights_only=True)
    change(tensors)
    torch.save(tensors, path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_weight_is_bit_by_bit_what_the_package_loads(
    narrow: Checkpoint, precision: str
) -> None:
    dtype = getattr(torch, precision)
    model = load(narrow, precision)
    theirs = transformer(narrow.text, narrow.transformer, narrow.image)
    ours = (model.encoder, model.decoder)
    for file, their, our in zip(narrow.files[:2], theirs, ours, strict=True):
        their.to(dtype).eval()
        # As MinDalle.init_encoder and init_decoder do.
        their.load_state_dict(torch.load(narrow.folder / file.name), strict=False)
        expected, found = their.state_dict(), our.state_dict()
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            assert tensor.dtype == dtype
            assert tensor.equal(expected[name]), name
    detokenizer = VQGanDetokenizer()
    detokenizer.load_state_dict(torch.load(narrow.folder / narrow.files[2].name))
    for name, tensor in model.painter.detokenizer.state_dict().items():
        assert tensor.equal(detokenizer.state_dict()[name]), name


def test_the_files_hold_transposed_slices_and_no_scale_before_a_dense_layer(
    narrow: Checkpoint,
) -> None:
    found = read_parts(narrow)["decoder"].tensors
    first, second = (found[f"layers.{layer}.self_attn.k_proj.weight"] for layer in (0, 1))
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
    assert not first.is_contiguous()
    assert first.dtype == torch.float16
    assert not any(name.endswith(f"{owner}.weight") for name in found for owner in NO_SCALE)


def test_loaded_weights_are_contiguous_and_hold_no_stack_alive(narrow: Checkpoint) -> None:
    model = load(narrow)
    for name, weight in (*model.encoder.named_parameters(), *model.decoder.named_parameters()):
        assert weight.is_contiguous(), name
        assert weight.untyped_storage().nbytes() == weight.nbytes, name


def test_a_file_with_every_scale_is_read_too(copy: Checkpoint) -> None:
    encoder, decoder = random_transformer(copy.text, copy.transformer, copy.image, seed=3)
    torch.save(encoder.half().state_dict(), copy.folder / FOLDER / "encoder.pt")
    torch.save(decoder.state_dict(), copy.folder / FOLDER / "decoder.pt")
    model = load(copy)
    assert model.decoder.final_ln.weight.equal(decoder.final_ln.weight)
    assert model.encoder.layers[1].glu.ln0.weight.equal(encoder.layers[1].glu.ln0.weight.float())


@pytest.mark.parametrize(
    "lost",
    ["layers.1.glu.ln1.bias", "layernorm_embedding.weight", "layers.0.self_attn.q_proj.weight"],
)
def test_nothing_else_may_be_left_out(copy: Checkpoint, lost: str) -> None:
    path = copy.folder / FOLDER / "encoder.pt"
    rewrite(path, lambda tensors: tensors.pop(lost))
    with pytest.raises(CheckpointError) as caught:
        load(copy)
    assert f"{lost} is missing in {path}" in str(caught.value)
    assert "Delete it and fetch it again." in str(caught.value)


def test_some_scales_without_the_others_are_a_damaged_file(copy: Checkpoint) -> None:
    path = copy.folder / FOLDER / "encoder.pt"
    rewrite(path, lambda tensors: tensors.update({"final_ln.weight": torch.ones(32)}))
    with pytest.raises(CheckpointError, match=r"layers\.0\.pre_self_attn_layer_norm\.weight is mi"):
        load(copy)


@pytest.mark.parametrize("file", ["encoder.pt", "decoder.pt"])
@pytest.mark.parametrize("direction", ["the larger one's", "the smaller one's"])
def test_weights_of_the_other_model_are_called_so_with_their_file(
    narrow: Checkpoint, larger: Checkpoint, tmp_path: Path, file: str, direction: str
) -> None:
    good, other = (narrow, larger) if direction == "the larger one's" else (larger, narrow)
    shutil.copytree(good.folder / FOLDER, tmp_path / FOLDER)
    (tmp_path / "vqgan").symlink_to(good.folder / "vqgan")
    shutil.copy(other.folder / FOLDER / file, tmp_path / FOLDER / file)
    description = good.folder.parent / "description" / "checkpoint.json"
    with pytest.raises(CheckpointError, match="belong to another model") as caught:
        load(read_checkpoint(description, tmp_path))
    assert str(tmp_path / FOLDER / file) in str(caught.value)


class Conversions(TorchDispatchMode):
    """Notes the precision of every tensor in memory that is made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and not result.is_meta:
            self.made.add(result.dtype)
        return result


def test_loading_in_bfloat16_makes_no_float32_tensor_on_its_way(narrow: Checkpoint) -> None:
    found = read_parts(narrow)
    with torch.device("meta"):
        networks = transformer(narrow.text, narrow.transformer, narrow.image)
    for part, network in zip(("encoder", "decoder"), networks, strict=True):
        with Conversions() as conversions:
            fill(network, found[part], part, "cpu", torch.bfloat16)
        assert torch.bfloat16 in conversions.made
        assert torch.float32 not in conversions.made


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells its mappings")
def test_files_are_mapped_not_read_into_memory(narrow: Checkpoint) -> None:
    parts = read_parts(narrow)
    mapped = Path("/proc/self/maps").read_text()
    assert len(parts) == 3
    for file in narrow.files:
        assert str(narrow.folder / file.name) in mapped


@pytest.mark.parametrize("name", ["mini", "mega"])
def test_the_download_that_is_shown_is_what_the_published_form_takes(
    name: str, tmp_path: Path
) -> None:
    checkpoint = checkpoints(tmp_path)[name]
    with torch.device("meta"):
        parts = transformer(checkpoint.text, checkpoint.transformer, checkpoint.image)
        detokenizer = VQGanDetokenizer()
        tensors = [*converted(parts[0]).values(), *converted(parts[1]).values()]
    tensors += detokenizer.state_dict().values()
    assert checkpoint.download == sum(tensor.nbytes for tensor in tensors)
    assert checkpoint.state == {"mini": "1.1 GB, not fetched", "mega": "5.4 GB, not fetched"}[name]
    everything = [*parts[0].state_dict().values(), *parts[1].state_dict().values()]
    everything += detokenizer.state_dict().values()
    assert checkpoint.size == sum(4 * tensor.numel() for tensor in everything)


@pytest.mark.parametrize("name", ["mini", "mega"])
def test_sizes_and_files_are_the_packages_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from min_dalle.min_dalle import MinDalle  # already loaded, its side effects undone

    monkeypatch.setattr(MinDalle, "init_tokenizer", lambda _: None)  # wants the hub
    package = MinDalle(
        str(tmp_path), is_mega=name == "mega", is_reusable=False, is_verbose=False, device="cpu"
    )
    ours = checkpoints(tmp_path)[name]
    assert ours.transformer.encoder_layers == package.layer_count
    assert ours.transformer.decoder_layers == package.layer_count
    assert ours.transformer.width == package.embed_count
    assert ours.transformer.heads == package.attention_head_count
    assert ours.transformer.glu_width == package.glu_embed_count
    assert (ours.text.vocab, ours.text.length) == (
        package.text_vocab_count,
        package.text_token_count,
    )
    assert (ours.image.vocab or ours.image.codes) == package.image_vocab_count
    assert list(map(str, ours.sources())) == [
        package.vocab_path,
        package.merges_path,
        package.encoder_params_path,
        package.decoder_params_path,
        package.detoker_params_path,
    ]
