"""The package yandex.cloud.lockbox.v1: secrets and what they hold."""
