"""A host that is simulated: machines are states, networks are values, and time may pass as fast as it can."""
