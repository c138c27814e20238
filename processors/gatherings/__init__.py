"""What the claims of several devices say together, before rules see them (docs/gatherings.md)."""
