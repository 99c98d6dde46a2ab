"""Published weights arrive whole and under their names, or not at all, whatever the hub does."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, file_download
from loopback_hub import COMMIT, HTML, LoopbackHub, loopback_hub
from published_shapes import write_hollow

from dalle_app.engines.dalle_mini import fetching
from dalle_app.engines.dalle_mini import hub as hub_module
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.hub import Progress, fetch
from dalle_app.errors import FetchError
from dalle_app.serve import fetch_wanted
from dalle_app.settings import Settings

SIZES = {
    "vocab_mini.json": 900,
    "merges_mini.txt": 700,
    "encoder_mini.pt": 40_000,
    "decoder_mini.pt": 60_000,
    "detoker.pt": 30_000,
}
CHUNK = hub_module._CHUNK
FILES = {name: (name.encode() * size)[:size] for name, size in SIZES.items()}


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The published mini in an empty models folder; everything comes in small bites."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", constants.DOWNLOAD_CHUNK_SIZE)
    monkeypatch.setattr(hub_module, "_CHUNK", 1000)
    monkeypatch.setattr(hub_module, "_PULSE", 0.02)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return checkpoints(tmp_path / "models")["mini"]


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub("kuprel/min-dalle", FILES) as hub:
        yield hub


def fetched(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Contents by published name of the files that have their final name."""
    sources = checkpoint.sources()
    return {name: path.read_bytes() for path, name in sources.items() if path.is_file()}


def failure(checkpoint: Checkpoint, hub: LoopbackHub) -> str:
    with pytest.raises(FetchError) as caught:
        list(fetch(checkpoint, hub.endpoint))
    return str(caught.value)


def test_all_files_arrive_in_the_layout_of_the_package(
    mini: Checkpoint, hub: LoopbackHub, tmp_path: Path
) -> None:
    reports = list(fetch(mini, hub.endpoint))
    assert fetched(mini) == FILES
    assert (reports[-1].done, reports[-1].total) == (sum(SIZES.values()),) * 2
    assert (tmp_path / "models" / "dalle_bart_mini" / "encoder.pt").is_file()
    assert not list(tmp_path.rglob("*.part"))


def test_with_the_files_there_nobody_is_called(mini: Checkpoint, hub: LoopbackHub) -> None:
    list(fetch(mini, hub.endpoint))
    hub.calls.clear()
    assert list(fetch(mini, hub.endpoint)) == []
    assert not hub.calls


def test_files_of_the_package_are_kept_and_only_the_rest_is_fetched(
    mini: Checkpoint, hub: LoopbackHub
) -> None:
    own = mini.folder / "vqgan" / "detoker.pt"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    reports = list(fetch(mini, hub.endpoint))
    assert own.read_bytes() == b"mine"
    assert reports[-1].total == sum(SIZES.values()) - SIZES["detoker.pt"]


def test_a_line_that_breaks_off_is_taken_up_where_it_broke(
    mini: Checkpoint, hub: LoopbackHub
) -> None:
    hub.breaks["decoder_mini.pt"] = 1
    list(fetch(mini, hub.endpoint))
    assert fetched(mini) == FILES
    assert hub.ranges == ["bytes=30000-"]


def test_a_closed_fetch_leaves_no_final_name_and_the_next_one_goes_on(
    mini: Checkpoint, hub: LoopbackHub
) -> None:
    hub.gate = threading.Event()
    fetching = fetch(mini, hub.endpoint)
    while next(fetching).done < SIZES["vocab_mini.json"] + SIZES["merges_mini.txt"] + 20_000:
        pass
    fetching.close()
    assert "encoder_mini.pt" not in fetched(mini)
    hub.gate.set()
    list(fetch(mini, hub.endpoint))
    assert fetched(mini) == FILES
    assert hub.ranges[0].startswith("bytes=2")  # of 40,000, from where the first one stopped


def test_two_fetches_at_once_take_turns_and_both_succeed(
    mini: Checkpoint, hub: LoopbackHub
) -> None:
    both = [threading.Thread(target=lambda: list(fetch(mini, hub.endpoint))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert fetched(mini) == FILES


OTHER_PROCESS = """
import sys
from pathlib import Path
from dalle_app.engines.dalle_mini.checkpoint import checkpoints
from dalle_app.engines.dalle_mini.hub import fetch
list(fetch(checkpoints(Path(sys.argv[1]))["mini"], sys.argv[2]))
"""


def test_a_fetch_waits_for_another_process_that_fetches_the_same(
    mini: Checkpoint, hub: LoopbackHub
) -> None:
    hub.gate = threading.Event()
    command = [sys.executable, "-c", OTHER_PROCESS, str(mini.folder), hub.endpoint]
    with subprocess.Popen(command) as other:
        assert hub.reached.wait(60)  # it is in the middle of the encoder, and holds its lock
        fetching = fetch(mini, hub.endpoint)
        for _ in range(20):
            next(fetching)
        assert hub.bodies == {"vocab_mini.json": 1, "merges_mini.txt": 1, "encoder_mini.pt": 1}
        hub.gate.set()
        list(fetching)
    assert other.returncode == 0
    assert fetched(mini) == FILES
    assert hub.bodies == dict.fromkeys(FILES, 1)


def test_a_line_that_is_gone_for_good_is_told_and_the_next_fetch_goes_on(
    mini: Checkpoint, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda _: None))
    hub.breaks["encoder_mini.pt"] = 1000
    message = failure(mini, hub)
    assert "broke off at encoder_mini.pt" in message
    assert "What has come is kept" in message
    assert set(fetched(mini)) == {"vocab_mini.json", "merges_mini.txt"}
    [part] = mini.folder.rglob("encoder*.part")
    kept = part.stat().st_size
    assert kept >= 39_000  # of 40,000: all but a chunk
    hub.breaks.clear()
    hub.ranges.clear()
    list(fetch(mini, hub.endpoint))
    assert hub.ranges == [f"bytes={kept}-"]
    assert fetched(mini) == FILES


def test_speed_and_time_left_are_of_what_comes_now_and_unknown_where_nothing_does(
    mini: Checkpoint, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(0.0, 0.5)  # two reports a second, as they should be
    monkeypatch.setattr(hub_module, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    hub.gate = threading.Event()
    fetching = fetch(mini, hub.endpoint)
    before = SIZES["vocab_mini.json"] + SIZES["merges_mini.txt"]
    while (report := next(fetching)).done < before + 20_000:
        pass
    for _ in range(20):
        report = next(fetching)
    assert report.done == before + 20_000
    assert report.speed == 0  # the hub has sent nothing for ten seconds
    assert report.seconds_left is None
    fetching.close()
    hub.gate.set()

    hub.gate = threading.Event()
    hub.reached.clear()
    fetching = fetch(mini, hub.endpoint)
    report = next(fetching)
    assert hub.reached.wait(60)
    while report.done < 20_000 + 10_000:  # the rest's first half has come
        report = next(fetching)
    report = next(fetching)
    assert 0 < report.speed <= 10_000 / 0.5  # what an earlier fetch brought is no speed
    assert report.seconds_left == (report.total - report.done) / report.speed
    hub.gate.set()
    assert list(fetching)[-1].done <= report.total


def test_what_comes_is_kept_and_counted_by_the_quarter_megabyte(
    mini: Checkpoint, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_CHUNK", CHUNK)  # no smaller bites
    hub.files["encoder_mini.pt"] = bytes(1_200_000)
    hub.gate = threading.Event()
    fetching = fetch(mini, hub.endpoint)
    before = SIZES["vocab_mini.json"] + SIZES["merges_mini.txt"]
    while next(fetching).done < before + 600_000 - CHUNK:
        pass
    fetching.close()
    hub.gate.set()
    list(fetch(mini, hub.endpoint))
    assert int(hub.ranges[0].removeprefix("bytes=").rstrip("-")) > 600_000 - CHUNK


def test_how_much_will_come_and_how_much_disk_is_free_is_known_before_the_first_byte(
    mini: Checkpoint, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 10**9))
    report = next(fetch(mini, hub.endpoint))
    assert (report.total, report.free) == (sum(SIZES.values()), 2 * 10**9)
    assert Progress(0, 1_939_000_000, free=2 * 10**9).outlook == (
        "1,939 MB to come, 2.0 GB of disk free"
    )


@pytest.mark.parametrize("endpoint", ["nonsense", "hf-mirror.example", "ftp://hub.example"])
def test_an_endpoint_that_is_no_address_is_told_by_its_variable(
    mini: Checkpoint, endpoint: str
) -> None:
    with pytest.raises(FetchError, match=f"HF_ENDPOINT is '{endpoint}', which is no address"):
        list(fetch(mini, endpoint))


def test_a_file_in_the_hubs_own_cache_is_not_fetched_again(
    mini: Checkpoint, hub: LoopbackHub, tmp_path: Path
) -> None:
    snapshot = tmp_path / "cache" / "models--kuprel--min-dalle" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "detoker.pt").write_bytes(FILES["detoker.pt"])
    hub.body["detoker.pt"] = b"not to be asked for"
    list(fetch(mini, hub.endpoint))
    assert fetched(mini) == FILES


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HTML, "is a web page"),
        (FILES["decoder_mini.pt"][:-1], "is damaged"),
        (FILES["decoder_mini.pt"] + b"x", "is damaged"),
        (FILES["decoder_mini.pt"][:-1] + b"x", "is damaged"),
    ],
    ids=["html", "too-short", "too-long", "other-bytes"],
)
def test_another_body_than_promised_is_named_and_deleted(
    mini: Checkpoint, hub: LoopbackHub, body: bytes, words: str
) -> None:
    hub.body["decoder_mini.pt"] = body
    message = failure(mini, hub)
    assert "decoder_mini.pt" in message
    assert words in message
    assert not (mini.folder / "dalle_bart_mini" / "decoder.pt").exists()
    assert not list(mini.folder.rglob("decoder*.part"))


@pytest.mark.parametrize(
    ("status", "words"), [(404, "has no"), (401, "login"), (418, "status 418")]
)
def test_a_refusal_is_one_sentence_with_the_host_and_the_file(
    mini: Checkpoint, hub: LoopbackHub, status: int, words: str
) -> None:
    hub.status["encoder_mini.pt"] = status
    message = failure(mini, hub)
    assert words in message
    assert f"127.0.0.1:{hub.server_port}" in message
    assert fetched(mini) == {}


def test_a_login_page_in_place_of_the_hub_is_recognised(mini: Checkpoint, hub: LoopbackHub) -> None:
    hub.portal = True
    assert "not as a hub" in failure(mini, hub)


def test_no_way_to_the_hub_is_one_sentence(mini: Checkpoint) -> None:
    with pytest.raises(FetchError, match=r"no way to 127\.0\.0\.1:9"):
        list(fetch(mini, "http://127.0.0.1:9"))


def test_too_small_a_disk_is_refused_with_the_numbers_before_anything_is_fetched(
    mini: Checkpoint, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        free = 1000

    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda _: Disk)
    message = failure(mini, hub)
    assert "0.0 GB are free" in message
    assert hub.calls["GET"] == 0


def test_offline_mode_is_respected(mini: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE"):
        list(fetch(mini, "http://127.0.0.1:9"))


def test_progress_says_size_speed_and_time_left() -> None:
    assert str(Progress(812_000_000, 1_939_000_000)) == "812 of 1,939 MB"
    running = Progress(812_000_000, 1_939_000_000, 10_000_000.0)
    assert str(running) == "812 of 1,939 MB, 10.0 MB/s, 1 min 53 s left"


@pytest.mark.parametrize(
    ("status", "line"), [(None, "mini is ready"), (404, "mini was not fetched")]
)
def test_dalle_fetch_brings_a_model_while_the_app_starts_and_its_failure_is_a_line_in_the_log(
    mini: Checkpoint,
    hub: LoopbackHub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    status: int | None,
    line: str,
) -> None:
    hub.files = write_hollow("mini", tmp_path / "hollow")
    if status:
        hub.status["detoker.pt"] = status
    monkeypatch.setattr(fetching, "fetch", partial(fetch, endpoint=hub.endpoint))
    with (
        closing(LocalEngine(Settings(device="cpu"), {"mini": mini})) as engine,
        caplog.at_level(logging.INFO),
    ):
        fetch_wanted(engine, "mini")
        assert engine.models()[0].fetchable == bool(status)
        if not status:
            hub.calls.clear()
            fetch_wanted(engine, "mini")
            assert not hub.calls, "what is there is looked at without asking anybody"
    assert line in caplog.text
