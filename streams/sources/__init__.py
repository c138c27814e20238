"""Connectors: sources that go on for ever, as sources.yaml lists them, into the live topics."""
