"""A page that shows an environment as it is and what happens in it, served on loopback."""
