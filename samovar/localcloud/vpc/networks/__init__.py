"""Networks and their subnets."""
