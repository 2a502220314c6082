"""What `make bench-service` measures: the whole service against its promises, printed as the table of docs/load.md."""
