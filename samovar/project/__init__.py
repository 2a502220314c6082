"""Environments: what an operator writes in `envs/<name>/config.yaml`, checked, as frozen values."""
