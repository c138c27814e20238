"""Sources: other people's messages become the project's own records; one module a format. See contract.py."""
