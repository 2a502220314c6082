"""Disks: the files that machines boot from and write to."""
