"""The figures that `make bench` measures: whole commands and real machines, printed as the table of the README."""
