"""Names of variables (``.col``) and of constraints and objectives (``.row``), one per line, beside a ``.nl`` file."""

from __future__ import annotations

import logging
import os

__all__ = ["read_names"]

logger = logging.getLogger(__name__)


def read_names(path: str, counts: tuple[int, ...]) -> list[list[str] | None]:
    """Names of ``counts[0]`` items, then of ``counts[1]`` items, ...; None where the file has no or too few lines.

    A file that does not fit the model is not worth refusing the model for: it is left out, and the logger says so.
    """
    nothing: list[list[str] | None] = [None] * len(counts)
    if not os.path.isfile(path):
        return nothing
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        logger.warning("%s is left out: %s", path, error)
        return nothing
    lines = [line.strip() for line in text.split("\n")]
    n_items = counts[0] if counts else 0
    if len(lines) < n_items or len(set(lines[:n_items])) < n_items:
        logger.warning("%s is left out: it has not one name for each of %d items, all different", path, n_items)
        return nothing
    result, begin = nothing, 0
    for i, count in enumerate(counts):
        part = lines[begin : begin + count]
        if len(part) == count and all(part):
            result[i] = part
        begin += count
    return result
