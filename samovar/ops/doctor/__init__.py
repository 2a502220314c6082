"""The doctor finds what would make a rollout fail, and names the remedy of each finding."""
