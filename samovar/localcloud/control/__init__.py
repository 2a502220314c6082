"""What brings the host in line with the store, again and again: machines, networks, balancers, groups, operations.

Each part looks at what the store says and at what the host shows, and does what is missing. None of them remembers
anything that the store does not hold, so that the daemon goes on where it was killed.
"""
