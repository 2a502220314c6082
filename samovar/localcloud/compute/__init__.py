"""The package yandex.cloud.compute.v1: machines, their disks and images, and groups of machines."""
