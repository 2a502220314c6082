"""The package yandex.cloud.operation: operations, and what brings them to their end."""
