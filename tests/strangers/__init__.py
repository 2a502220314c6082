"""Terraform that nobody here wrote, run against the local cloud."""
