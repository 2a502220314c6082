"""The package yandex.cloud.resourcemanager.v1: the one cloud and its folder."""
