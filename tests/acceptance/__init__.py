"""Yandex's own acceptance tests of its Terraform provider, run against a local cloud of simulated machines."""
