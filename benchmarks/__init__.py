"""Measurements that run from a checkout: `cityops bench`."""
