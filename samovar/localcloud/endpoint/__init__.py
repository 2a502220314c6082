"""The package yandex.cloud.endpoint: the addresses at which the services answer."""
