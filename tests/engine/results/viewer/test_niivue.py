"""niivue comes as it was published or not at all, and where it is missing the message says how to get it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.results.viewer import niivue


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vendor folder of the test's own, and a PATH of its own for npm."""
    monkeypatch.setattr(niivue, "FILE", tmp_path / "vendor" / "niivue.js")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "vendor"


def fake_npm(bin_folder: Path, commands: str) -> None:
    npm = bin_folder / "npm"
    npm.write_text(f"#!{shutil.which('sh', path='/bin:/usr/bin')}\n{commands}\n")
    npm.chmod(0o755)


def test_missing_or_altered_scripts_are_refused_with_what_to_run(vendor: Path) -> None:
    with pytest.raises(InputError, match=r"niivue 0\.69\.0.* run 'make viewer' in a checkout, or 'python -m flare_trt\.engine"):
        niivue.require_niivue()
    vendor.mkdir()
    (vendor / "niivue.js").write_text("alert(1)")
    with pytest.raises(InputError, match=r"niivue\.js is not niivue 0\.69\.0 as it was published; run 'make viewer'"):
        niivue.require_niivue()


def test_an_archive_with_another_checksum_leaves_nothing(vendor: Path, tmp_path: Path) -> None:
    script = tmp_path / "package" / "dist" / "niivue.umd.js"
    script.parent.mkdir(parents=True)
    script.write_text("alert(1)")
    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as tar:
        tar.add(script, "package/dist/niivue.umd.js")
    fake_npm(tmp_path / "bin", f"PATH=/bin:/usr/bin; cp '{tmp_path}/evil.tgz' niivue-niivue-0.69.0.tgz")
    with pytest.raises(InputError, match=r"got an archive with sha512-.*, expected sha512-YMjQ.*nothing was kept"):
        niivue.fetch_niivue()
    assert not vendor.exists()


def test_npm_that_is_missing_or_fails_is_told(vendor: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"npm cannot be run: No such file.*install Node\.js with npm"):
        niivue.fetch_niivue()
    fake_npm(tmp_path / "bin", "echo 'no such version' >&2; exit 3")
    with pytest.raises(InputError, match="'npm pack' failed with code 3: no such version"):
        niivue.fetch_niivue()
    assert not vendor.exists()


def test_the_vendored_script_is_the_pinned_one() -> None:
    try:
        assert b"Niivue" in niivue.require_niivue()
    except InputError as error:
        pytest.skip(str(error))
    assert "Copyright (c) 2021, Niivue" in niivue.FILE.with_name("LICENCE.md").read_text()
