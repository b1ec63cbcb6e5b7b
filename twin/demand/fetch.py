"""Downloads the public dataset, which its licence does not allow to be shipped."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

from twin.core.errors import RunError
from twin.core.files import UNFINISHED, scratch

NAME = "network_operator_KPIs_time_series_dataset"
URL = f"https://zenodo.org/records/8147768/files/{NAME}.zip"
DIGEST = "md5:8a3bbc403a99a7c175d3a0703a5ca8fe"


def fetch(folder: Path, url: str = URL, digest: str = DIGEST) -> Path:
    """Download and unpack the archive at `url` into `folder`; return the unpacked folder.

    The unpacked folder has the archive's name; one that is there already is returned as it is.
    It appears whole or not at all. Raises RunError where the download fails or has another digest;
    the message says what to download by hand, and where to put it.
    """
    target = folder / Path(url).stem
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
                opened.extractall(unpacked)
            unpacked.replace(target)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(
            f"cannot fetch {url}: {_reason(error)}; download it by hand (its digest is {digest}) "
            f"and unpack it to {target}"
        ) from None
    return target


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
        return "it is not a zip archive"
    if isinstance(error, ValueError):
        return "its digest is another one"
    if type(error).__module__.startswith("requests"):
        return "the server cannot be reached"
    return str(error)
