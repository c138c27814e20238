"""Watches: what no single record says: that nothing came, that a level has not fallen yet, that an hour is over."""
