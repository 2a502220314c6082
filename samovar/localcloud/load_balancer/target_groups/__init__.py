"""Target groups: the addresses that balancers send to."""
