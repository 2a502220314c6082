"""The package yandex.cloud.iam.v1: service accounts, keys, tokens and roles."""
