"""Rows that are not used and nothing is wrong with: they belong to another partition, or came before."""

from collections.abc import Callable, Sequence

import numpy as np

from processors.batches import Batch, BoolArray, IntArray
from processors.outcome import Forwarded
from processors.records_in import RawRecord
from processors.rows import texts
from processors.stretch import Stretch


def forward_rows(
    gone: IntArray,
    target: IntArray,
    records: Sequence[RawRecord],
    record: IntArray,
    device: Callable[[int], str],
    stretch: Stretch,
) -> int:
    """Forward those of n rows to their target partitions (n,); return how many they are.

    record (n,): the record of each row; the rows of one record share a target. device: the device id of a row.
    """
    device_ids = [device(row) for row in gone.tolist()]
    offset = np.array([records[place].offset for place in record[gone].tolist()], dtype=np.int64)
    number = stretch.numbers(offset)
    columns = {
        "source_offset": offset,
        "tick_ms": stretch.tick_ms[number],
        "device_id": texts(device_ids),
        "to_partition": target[gone],
    }
    stretch.store("forwarded", columns, number)
    _, first = np.unique(record[gone], return_index=True)
    for at in first.tolist():
        one = Forwarded(int(target[gone[at]]), device_ids[at].encode(), records[record[gone[at]]])
        stretch.at(one.record.offset).forwarded.append(one)
    return len(gone)


def store_duplicates(batch: Batch, which: BoolArray, device_field: str, number: IntArray, stretch: Stretch) -> int:
    """Store which (n,) of n rows, of those intervals, came before; return how many they are."""
    again, number = batch.take(which), number[which]
    columns = again.columns()
    rows = {
        "source_offset": columns["offset"],
        "source_index": columns.get("index", np.zeros(len(again), np.int32)),
        "at_ms": columns["at_ms"],
        "tick_ms": stretch.tick_ms[number],
        "device_id": columns[device_field],
    }
    stretch.store("duplicates", rows, number)
    return len(again)
