"""The package yandex.cloud.vpc.v1: networks and what belongs to them."""
