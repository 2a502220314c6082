"""Machines: systemd-nspawn containers that boot systemd and cloud-init, with the size that they were given."""
