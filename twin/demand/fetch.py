"""Downloads the public dataset, which its licence does not allow to be shipped."""

from __future__ import annotations

import logging
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from twin.core.errors import InputError, Problem, RunError, one_line
from twin.core.files import UNFINISHED, scratch

NAME = "network_operator_KPIs_time_series_dataset"
URL = f"https://zenodo.org/records/8147768/files/{NAME}.zip"
DIGEST = "md5:8a3bbc403a99a7c175d3a0703a5ca8fe"
MOST_BYTES = 2 * 2**30
MOST_FILES = 100_000
"""What an archive may unpack to."""

_DIGEST = re.compile(r"((md5|sha1|sha256|sha512):)?[0-9a-fA-F]+")
_FAILURES = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error,
             lzma.LZMAError)  # fmt: skip


def fetch(folder: Path, url: str = URL, digest: str = DIGEST) -> Path:
    """Download and unpack the archive at `url` into `folder`; return the unpacked folder.

    The unpacked folder has the archive's name; one that is there already is returned as it is.
    It appears whole or not at all. Raises InputError for an address or a digest that is none, and
    RunError where the download fails, has another digest or cannot be unpacked; the message says
    what to download by hand, and where to put it.
    """
    target = folder / _name(url)
    if not _DIGEST.fullmatch(digest):
        remedy = "write it like 'md5:8a3b...' or 'sha256:...'"
        raise InputError(Problem(f"'{digest}' is no digest", "--digest", suggestion=remedy))
    if target.is_dir():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch(folder / f".fetch{UNFINISHED}") as unfinished:
            if target.is_dir():
                return target
            archive = _download(url, digest, unfinished)
            unpacked = unfinished / "unpacked"
            with zipfile.ZipFile(archive) as opened:
                _check_size(opened)
                opened.extractall(unpacked)
            unpacked.replace(target)
    except _FAILURES as error:
        raise RunError(
            f"cannot fetch {url}: {_reason(error)}; download it by hand (its digest is {digest}) "
            f"and unpack it to {target}"
        ) from None
    return target


def _name(url: str) -> str:
    """Return the name of the archive at an address, without its ending."""
    try:
        parts = urlsplit(url)
        there = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        there = None
    if not there:
        remedy = "write one that begins with https:// or http://; unpack a local archive by hand"
        raise InputError(Problem(f"'{url}' is no address", "--url", suggestion=remedy))
    name = Path(parts.path).stem
    if name in ("", ".", ".."):
        remedy = "write it with the name of the archive, such as .../data.zip"
        raise InputError(Problem(f"'{url}' names no file", "--url", suggestion=remedy))
    return name


def _check_size(archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile for an archive that would unpack to more than any dataset holds."""
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES or len(entries) > MOST_FILES:
        raise zipfile.BadZipFile(f"it would unpack to {size} bytes in {len(entries)} files")
    if not entries:
        raise zipfile.BadZipFile("it is an archive of nothing")


def _download(url: str, digest: str, folder: Path) -> Path:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return Path(pooch.retrieve(url, digest, "archive.zip", folder, progressbar=False))
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """Return why a download failed, in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        response.close()
        return f"the server answered {response.status_code} {response.reason}"
    if isinstance(error, zipfile.BadZipFile):
        if str(error).startswith("it "):
            return str(error)
        damaged = "not a zip file" not in str(error)
        return "it is damaged or cut short" if damaged else "it is not a zip archive"
    if isinstance(error, NotImplementedError):
        return "it is packed by a method that is not known here"
    if isinstance(error, RuntimeError):
        return "it is encrypted"
    if isinstance(error, zlib.error | lzma.LZMAError | EOFError):
        return "it is damaged or cut short"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "its digest is another one"
    if type(error).__module__.startswith("requests"):
        return "the server cannot be reached"
    return one_line(str(error))
