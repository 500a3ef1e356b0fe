"""The files under a folder or inside a zip, opened by number: their names may be a patient's and are never shown.

A zip is read in place and nothing of it is unpacked to the disk; its claimed sizes are bounded before a byte is inflated.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.engine.base.regular_file import require_regular

#: More than the images of any study.
MAX_FILES = 100_000
#: Uncompressed bytes that a zip may claim, in all; as for the voxels of a NIfTI file.
MAX_ZIP_BYTES = 16 << 30
#: And in one file of it: it is inflated into memory as a whole. Four times the largest multi-frame CT.
MAX_MEMBER_BYTES = 2 << 30
_ENCRYPTED = 0x1
#: Reads up to this size are not checked against the file's own.
_SMALL_READ_BYTES = 1 << 16


class BoundedFile(io.BufferedReader):
    """A file on the disk; a read of more than it holds takes no room for more than it holds.

    A damaged length asks for up to 4 GiB, and Python makes room for what is asked for before it reads.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, or all that is left."""
        if size is not None and size > _SMALL_READ_BYTES:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


class FolderFiles:
    """The files of a folder and of the folders in it, in name order; hidden ones are left out.

    So are links to folders elsewhere, which `linked` counts, and pipes, sockets and devices: to open one may wait for ever. Raises
    InputError for a folder that cannot be read and for a link to nothing, which may stand for slices: left out at an end of the
    stack, they would not be missed.
    """

    def __init__(self, root: Path) -> None:
        self._paths: list[Path] = []
        self.linked = 0
        whole = root.resolve()
        for folder, inner, names in os.walk(root, onerror=partial(_refuse_folder, root)):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            links = [path for path in (Path(folder, name) for name in inner) if path.is_symlink()]
            self.linked += sum(whole != path.resolve() and whole not in path.resolve().parents for path in links)
            found = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
            if not all(path.exists() for path in found):
                raise InputError(f"{root}: the folder holds a link to a file that is not there; fetch that file or remove the link")
            self._paths += [path for path in found if path.is_file()]
            if len(self._paths) > MAX_FILES:
                raise InputError(
                    f"{root}: the folder holds more than {MAX_FILES} files, expected one study; name a folder inside it"
                )

    def __len__(self) -> int:
        return len(self._paths)

    def place(self, number: int) -> tuple[str, str]:
        """The folder and the ending of a file, to compare files by and never to be shown."""
        path = self._paths[number]
        return str(path.parent), path.suffix.lower()

    @contextmanager
    def open(self, number: int) -> Iterator[BinaryIO]:
        """The file of this number, to be read. Raises OSError."""
        with BoundedFile(io.FileIO(self._paths[number])) as file:
            yield file


class ZipFiles:
    """The files of a zip, in name order, without hidden ones.

    Raises InputError for a zip that is damaged, encrypted, hostile or too large.
    """

    linked = 0

    def __init__(self, path: Path) -> None:
        require_regular(path)
        try:
            self._zip = ZipFile(path)
        except (BadZipFile, OSError, ValueError, NotImplementedError) as error:  # the last: of a later version of zip
            raise InputError(f"{path}: not a zip that can be read ({type(error).__name__}); copy it again") from error
        self._members = [member for member in self._zip.infolist() if not member.filename.endswith("/")]
        self._last: tuple[int, bytes] | None = None
        problem = _problem(self._members)
        if problem is not None:
            raise InputError(f"{path}: {problem}")
        shown = (member for member in self._members if not _is_hidden(member.filename))
        self._members = sorted(shown, key=lambda member: member.filename)

    def __len__(self) -> int:
        return len(self._members)

    def place(self, number: int) -> tuple[str, str]:
        """As of FolderFiles."""
        path = PurePosixPath(self._members[number].filename)
        return str(path.parent), path.suffix.lower()

    @contextmanager
    def open(self, number: int) -> Iterator[BinaryIO]:
        """The inflated file of this number; the last one is kept, for the frames of one file. Raises OSError."""
        last = self._last
        if last is None or last[0] != number:
            try:
                last = (number, self._zip.read(self._members[number]))
            except (BadZipFile, zlib.error, RuntimeError, EOFError) as error:  # RuntimeError: a compression that zipfile lacks too
                raise OSError(f"the zip is damaged ({type(error).__name__})") from error
            self._last = last
        yield io.BytesIO(last[1])


#: Either kind.
FileSet = FolderFiles | ZipFiles


def open_files(path: Path) -> FileSet:
    """The files of a folder or a zip. Raises InputError."""
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)


def _refuse_folder(root: Path, error: OSError) -> None:
    raise InputError(f"{root}: the folder, or one inside it, cannot be read: {reason_of(error)}; give access to it") from error


def _is_hidden(name: str) -> bool:
    """Whether a part of a name begins with a point, or is the folder where macOS keeps such files."""
    return any((part.startswith(".") and part != ".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _problem(members: list[ZipInfo]) -> str | None:
    if len(members) > MAX_FILES:
        return f"the zip holds {len(members)} files, more than the limit of {MAX_FILES}; name one study"
    claimed = sum(member.file_size for member in members)
    if claimed > MAX_ZIP_BYTES:
        return f"the zip claims {claimed} bytes uncompressed, more than the limit of {MAX_ZIP_BYTES >> 30} GiB; name one series"
    largest = max((member.file_size for member in members), default=0)
    if largest > MAX_MEMBER_BYTES:
        limit = f"{MAX_MEMBER_BYTES >> 30} GiB"
        return (
            f"a file in the zip claims {largest} bytes uncompressed, more than the limit of {limit}; unpack it and name the folder"
        )
    if any(_leaves(member.filename) for member in members):
        return "the zip holds a file whose name leads out of it (.. or an absolute path), expected names inside it; do not trust it"
    if any(member.flag_bits & _ENCRYPTED for member in members):
        return "the zip is encrypted, expected an open one; unpack it and name the folder"
    return None


def _leaves(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." in parts or (bool(parts) and (parts[0] == "/" or parts[0].endswith(":")))
