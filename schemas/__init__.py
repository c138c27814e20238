"""What is on the wire: schemas, typed records, ids, codec, errors."""
