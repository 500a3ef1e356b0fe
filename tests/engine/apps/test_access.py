"""Who is let in, and what a server refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.apps.access import Door, is_token, read_token, token_warning
from flare_trt.engine.base.errors import ServiceError


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "ct.example.org"])  # noqa: S104
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(ServiceError, match="expected --token-file"):
        Door(host)
    assert Door(host, token="sixteen-letters!").host == host  # noqa: S106


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words of text here", "sechzehn Umläute".encode(), b"line-one-is-long\nline-two"]
)
def test_what_is_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ServiceError, match="token file"):
        read_token(tmp_path / "token")


def test_a_token_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    assert read_token(tmp_path / "token") == "0123456789abcdef"
    with pytest.raises(ServiceError, match=r"none: cannot be read as ASCII text: No such file or directory$"):
        read_token(tmp_path / "none")


def test_comparison() -> None:
    assert is_token("0123456789abcdef", "0123456789abcdef")
    assert not any(is_token(given, "0123456789abcdef") for given in ("", "0123456789abcdeF", "0123456789abcdef0", "é\ud800"))


def test_a_token_file_that_others_can_read_gets_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef")
    for mode, warned in ((0o600, False), (0o400, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        assert (token_warning(path) is not None) == warned
    assert f"others can read it (mode 604); chmod 600 {path}" in str(token_warning(path))


@pytest.mark.parametrize("prefix", ["ct", "/ct/", "/", "/a b", "http://x"])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ServiceError, match="expected a path such as /ct"):
        Door(prefix=prefix)
    assert Door(prefix="/radiology/ct").prefix == "/radiology/ct"
