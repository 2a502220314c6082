"""Static access keys of service accounts, in the form of AWS."""
