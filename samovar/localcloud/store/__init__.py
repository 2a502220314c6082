"""The state of the cloud: the API's own messages, stored as they are in one SQLite file."""
