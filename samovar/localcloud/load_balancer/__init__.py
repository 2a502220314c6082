"""The package yandex.cloud.loadbalancer.v1."""
