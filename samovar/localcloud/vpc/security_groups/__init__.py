"""Security groups: the rules for what reaches a machine and what leaves it."""
