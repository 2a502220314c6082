"""Measures the whole service against its promises, for `make bench-service` and the table of docs/load.md."""
