"""File systems that several instances share."""
