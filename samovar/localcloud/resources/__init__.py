"""The base of every service that has resources."""
