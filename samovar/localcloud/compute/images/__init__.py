"""Images: what boot disks are made from."""
