"""Detectors: what the records of one device say, one phenomenon a module."""
