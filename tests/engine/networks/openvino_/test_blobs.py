"""Compiled networks that are kept: equal bit by bit, private, bounded, and left alone where they do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.engine.networks.separable_net import net_that_adds
from tests.engine.networks.test_backends import PATCH, conv_net, tile

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.kept_files import cache_folder
from flare_trt.engine.networks.native_.backend import fits
from flare_trt.engine.networks.openvino_ import blobs, compiling
from flare_trt.engine.networks.session import SessionOptions, open_session

openvino = pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder("openvino")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each network that was compiled, not taken from the folder."""
    words: list[str] = []
    plain = compiling.keep_blob

    def counted(key: dict[str, object], network: object) -> None:
        words.append(str(key["precision"]))
        plain(key, network)

    monkeypatch.setattr(compiling, "keep_blob", counted)
    return words


def answer(net: Path) -> np.ndarray:
    session = open_session("openvino", net, SessionOptions(threads=2))
    assert (session.input_shape, session.channels) == ((1, 1, *PATCH), 3)
    return session.run(tile()).copy()


def blob(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_network_is_compiled_once_and_answers_bit_by_bit_alike(net: Path, folder: Path, compiled: list[str]) -> None:
    first = answer(net)
    np.testing.assert_array_equal(answer(net), first)
    assert compiled == ["fp32"]
    assert folder.stat().st_mode & 0o777 == 0o700
    net.write_bytes(net.read_bytes() + b"\x72\x00")  # another file (an empty doc_string): another network, for all we know
    answer(net)
    assert compiled == ["fp32", "fp32"]


def test_a_network_and_a_part_of_it_are_kept_apart(tmp_path: Path, folder: Path, compiled: list[str]) -> None:
    net, image = net_that_adds(tmp_path / "net.onnx", PATCH, ((1, 1, 1), (2, 2, 2))), tile()
    if not fits(net):
        pytest.skip("our own kernels cannot run here")
    whole = open_session("openvino", net, SessionOptions()).run(image).copy()
    for _ in range(2):
        for backend in ("native", "openvino"):
            found = open_session(backend, net, SessionOptions()).run(image)
            np.testing.assert_allclose(found, whole, atol=2e-4 * whole.std())
    assert len(compiled) == len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("at", [0, 40, 2000, -1])
def test_a_damaged_file_is_built_again(
    net: Path, folder: Path, compiled: list[str], at: int, caplog: pytest.LogCaptureFixture
) -> None:
    first = answer(net)
    whole = blob(folder).read_bytes()
    damaged = bytearray(whole)
    damaged[at] ^= 255
    for times, content in enumerate((bytes(damaged), whole[: len(whole) // 2], b""), start=2):
        blob(folder).write_bytes(content)
        for _ in range(2):
            np.testing.assert_array_equal(answer(net), first)
        assert compiled == ["fp32"] * times
    assert "is built again" in caplog.text


def test_another_processor_or_another_version_of_ours_gets_a_file_of_its_own(
    net: Path, folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags in ("avx2", "avx512", "avx2"):
        monkeypatch.setattr(blobs, "_flags", lambda flags=flags: flags)
        answer(net)
    assert compiled == ["fp32"] * 2
    assert len(list(folder.iterdir())) == 2
    first, second = folder.iterdir()
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])  # a file under another key's name is not taken
    first.write_bytes(contents[1])
    answer(net)
    assert compiled == ["fp32"] * 3


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_may_write_to_is_not_used(net: Path, folder: Path, compiled: list[str], mode: int) -> None:
    answer(net)
    before = blob(folder).read_bytes()
    folder.chmod(mode)
    blob(folder).write_bytes(b"evil")
    answer(net)
    assert compiled == ["fp32", "fp32"]
    assert blob(folder).read_bytes() == b"evil"
    assert before != b"evil"


def test_a_place_that_cannot_be_written_is_done_without(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # what a read-only home comes to, for root too
    np.testing.assert_array_equal(answer(net), answer(net))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    answer(net)


def test_the_folder_is_bounded_and_loses_what_was_not_used_for_longest(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = [conv_net(tmp_path / f"{extra}.onnx", [1, 1, 8, 12, 16 + 4 * extra]) for extra in range(3)]
    for age, net in enumerate(nets[:2]):
        open_session("openvino", net, SessionOptions())
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000 + age, 1000 + age))
    open_session("openvino", nets[0], SessionOptions())  # used again: the second is the oldest now
    used = {path.name for path in folder.iterdir() if path.stat().st_mtime > 2000}
    monkeypatch.setattr(blobs, "FOLDER_BYTES", sum(path.stat().st_size for path in folder.iterdir()) + 100)
    open_session("openvino", nets[2], SessionOptions())
    kept = {path.name for path in folder.iterdir()}
    assert len(kept) == 2
    assert used < kept


def test_what_is_too_large_or_no_network_is_not_kept(
    net: Path, folder: Path, tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError, match="expected \\(1, c, z, y, x\\)"):
        open_session("openvino", conv_net(tmp_path / "two.onnx", [1, 1, *PATCH], outputs=2), SessionOptions())
    monkeypatch.setattr(compiling, "LARGEST_NETWORK_BYTES", 10)
    answer(net)
    assert not folder.exists()
    assert compiled == []
