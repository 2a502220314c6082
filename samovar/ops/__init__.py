"""The operations layer checks an environment and opens a way into its machines."""
