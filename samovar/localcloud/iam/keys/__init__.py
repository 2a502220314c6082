"""Keys of service accounts: authorized keys, API keys, static access keys."""
