"""Compares a cloud with the local one: a fixed programme, what it records, and the differences."""
