"""Places of archives: a local folder, or a bucket of S3-compatible storage."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from service.errors import StartupError, first_line

_CONNECT_TIMEOUT_S = 10
_REQUEST_TIMEOUT_S = 60
_BUFFER_BYTES = 1 << 20
_MODE = 0o640
"""Most of a file's mode: readings are for its owner and group."""


class Copy(NamedTuple):
    """A file of a place, on this machine while it is in use.

    Attributes:
        path: its local path.
        size: bytes.
        sha256: hexadecimal.
    """

    path: Path
    size: int
    sha256: str


class Place(Protocol):
    """A folder whose files appear atomically; paths in it use `/`."""

    def address(self, path: str) -> str:
        """Return the address of a file, for people and for ops.archived_chunk."""

    def create(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Create a file at the returned path; it replaces `path` at the end of the block, unless that fails."""

    def read(self, path: str) -> contextlib.AbstractContextManager[Copy]:
        """Read a file from the first byte to the last.

        Raises:
            FileNotFoundError: it does not exist.
        """

    def names(self, folder: str) -> list[str]:
        """List the files directly in a folder, sorted; empty if it does not exist."""

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""


def open_place(text: str, endpoint: str | None) -> Place:
    """Open a folder, or s3://bucket/prefix of the server at `endpoint` (a URL; None for Amazon's own).

    Credentials and region come from the AWS_ variables, or from the other sources of Amazon's libraries.

    Raises:
        StartupError: it cannot be used; the message says why.
    """
    if not text.startswith("s3://"):
        return _Folder(Path(text))
    bucket, _, prefix = text.removeprefix("s3://").strip("/").partition("/")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options = {"connect_timeout": _CONNECT_TIMEOUT_S, "request_timeout": _REQUEST_TIMEOUT_S}
    try:
        if endpoint:
            parts = urlsplit(endpoint)
            # most such servers have no regions, but every request names one
            found = fs.S3FileSystem(
                endpoint_override=parts.netloc, scheme=parts.scheme, region=region or "us-east-1", **options
            )
        else:
            found = fs.S3FileSystem(region=region or fs.resolve_s3_region(bucket), **options)
        if found.get_file_info(bucket).type == fs.FileType.NotFound:
            raise StartupError(f"{text} cannot be used: there is no bucket {bucket}")
    except (OSError, pa.ArrowException) as error:
        raise StartupError(f"{text} cannot be used: {first_line(error)}") from error
    return _Bucket(found, f"{bucket}/{prefix}" if prefix else bucket)


class _Folder:
    """A place in the file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def address(self, path: str) -> str:
        return str(self._root / path)

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[Path]:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.unlink(missing_ok=True)
        part.touch(_MODE)
        try:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        # and the names of new folders
        for folder in [target.parent, *target.parent.parents]:
            _sync_folder(folder)
            if folder == self._root:
                break

    @contextlib.contextmanager
    def read(self, path: str) -> Iterator[Copy]:
        yield measure(self._root / path)

    def names(self, folder: str) -> list[str]:
        found = self._root / folder
        return sorted(entry.name for entry in found.iterdir() if entry.is_file()) if found.is_dir() else []

    def delete(self, path: str) -> None:
        target = self._root / path
        if target.exists():
            target.unlink()
            _sync_folder(target.parent)


class _Bucket:
    """A place in S3. Files are written on this machine first, as a partial upload must stay invisible."""

    def __init__(self, files: fs.S3FileSystem, root: str) -> None:
        self._files = files
        self._root = root

    def address(self, path: str) -> str:
        return f"s3://{self._root}/{path}"

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="energy-archive-") as folder:
            part = Path(folder) / "part"
            yield part
            target = f"{self._root}/{path}"
            try:
                with part.open("rb") as written, self._files.open_output_stream(target) as upload:
                    shutil.copyfileobj(written, upload, _BUFFER_BYTES)
            except BaseException:
                # leaving the block has closed the upload, and S3 takes its part for the whole
                with contextlib.suppress(OSError):
                    self._files.delete_file(target)
                raise

    @contextlib.contextmanager
    def read(self, path: str) -> Iterator[Copy]:
        with tempfile.TemporaryDirectory(prefix="energy-archive-") as folder:
            copy = Path(folder) / "copy"
            source = f"{self._root}/{path}"
            with self._files.open_input_stream(source, compression=None) as download, copy.open("wb") as file:
                shutil.copyfileobj(download, file, _BUFFER_BYTES)
            yield measure(copy)

    def names(self, folder: str) -> list[str]:
        found = self._files.get_file_info(fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True))
        return sorted(entry.base_name for entry in found if entry.type == fs.FileType.File)

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._files.delete_file(f"{self._root}/{path}")


def measure(path: Path) -> Copy:
    """Measure a local file, read from the first byte to the last."""
    with path.open("rb") as file:
        return Copy(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
