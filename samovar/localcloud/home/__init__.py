"""The home is the folder of one local cloud: its store's backups, disks, keys, and the number that the host gave it."""
