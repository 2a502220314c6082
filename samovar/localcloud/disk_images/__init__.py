"""What images and disks are made of: RAW files, made by mmdebstrap, from a disk, or as a copy."""
