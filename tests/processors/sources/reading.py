"""What the tests of the formats share."""

import json
from typing import Any

from processors.sources.contract import Found, InputRecord, Item, LeftOut, Reader, Refused


def items_of(reader: Reader, message: object) -> list[Item]:
    """Return what a message holds; one that is not bytes is written as JSON."""
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return list(reader.read(raw, "topic", 3))


def record_of(reader: Reader, message: object) -> Any:
    """Return the one record of a message."""
    (item,) = items_of(reader, message)
    assert isinstance(item, Found), item
    assert (item.path, item.line) == ("topic", 3)
    record: InputRecord = item.record
    return record


def errors_of(reader: Reader, message: object) -> str:
    """Return why a message is refused."""
    (item,) = items_of(reader, message)
    assert isinstance(item, Refused), item
    assert item.text
    return "; ".join(item.errors)


def reason_of(reader: Reader, message: object) -> str:
    """Return why a message is left out."""
    (item,) = items_of(reader, message)
    assert isinstance(item, LeftOut), item
    return item.reason
