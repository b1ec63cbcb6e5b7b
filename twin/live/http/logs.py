"""The log of a server: one JSON object on each line, for whoever collects logs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from twin.core.errors import one_line

_NOISY: Final = ("httpx", "httpcore", "asyncio")
"""These say more than is of use, addresses with what secrets they hold among it."""


class JsonLines(logging.Formatter):
    """Formats a record as JSON; a traceback is one of its values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        time = datetime.fromtimestamp(record.created, UTC)
        facts = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": one_line(record.getMessage()),
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)


def log_to_stderr() -> None:
    """Let everything be logged to the standard error output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
