"""niivue, the WebGL viewer that the page draws with: a pinned version, fetched with npm and checked against its checksums.

It is never part of the source tree. `make viewer`, or `python -m flare_trt.engine.results.viewer.niivue`, puts it into the
package's folder static/vendor, from where it goes into wheels. Needs npm on the machine that fetches, not on one that views.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.engine.base.files import atomic_file

VERSION = "0.69.0"
#: As the npm registry states it for the version's archive (the field dist.integrity).
INTEGRITY = "sha512-YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
_MEMBER = "package/dist/niivue.umd.js"

STATIC = Path(__file__).resolve().parent / "static"
FILE = STATIC / "vendor" / "niivue.js"
_LICENCE = STATIC / "niivue-licence.md"

_HOW = (
    "run 'make viewer' in a checkout, or 'python -m flare_trt.engine.results.viewer.niivue' anywhere (both need npm), and try again"
)


def require_niivue() -> bytes:
    """The script. Raises InputError, saying what to run, where it is missing or is not what was pinned."""
    if not FILE.is_file():
        raise InputError(f"view: niivue {VERSION}, which draws the page, does not come with this install; {_HOW}")
    script = FILE.read_bytes()
    if hashlib.sha256(script).hexdigest() != SHA256:
        raise InputError(f"view: {FILE.name} is not niivue {VERSION} as it was published; {_HOW}")
    return script


def fetch_niivue() -> None:
    """Put the script and its licence into static/vendor. Raises InputError where npm fails or the archive is another."""
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        script = _extract(_download(Path(folder)))
    FILE.parent.mkdir(exist_ok=True)
    for target, content in ((FILE, script), (FILE.with_name("LICENCE.md"), _LICENCE.read_bytes())):
        with atomic_file(target) as file:
            file.write(content)


def _download(folder: Path) -> bytes:
    """The version's archive, checked."""
    command = ["npm", "pack", f"@niivue/niivue@{VERSION}", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"niivue: npm cannot be run: {reason_of(error)}; install Node.js with npm") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise InputError(f"niivue: 'npm pack' failed with code {done.returncode}: {done.stderr.strip()[-300:]}")
    return checked(archives[0].read_bytes())


def checked(archive: bytes) -> bytes:
    """The archive, if it has the pinned checksum. Raises InputError."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != INTEGRITY:
        raise InputError(f"niivue: got an archive with {found}, expected {INTEGRITY}; nothing was kept, find out who changed it")
    return archive


def _extract(archive: bytes) -> bytes:
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:gz") as tar:
            member = tar.extractfile(_MEMBER)
            if member is None:
                raise InputError(f"niivue: the archive has no file {_MEMBER}")
            return member.read()


if __name__ == "__main__":
    try:
        fetch_niivue()
    except InputError as error:
        sys.exit(f"flare-trt: {error}")
