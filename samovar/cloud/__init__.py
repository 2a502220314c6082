"""The only door to the API: session, operations, errors, labels. Above it nobody asks which cloud this is."""
