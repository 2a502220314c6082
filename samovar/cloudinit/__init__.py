"""The user-data and the rest of the metadata with which an instance is born."""
