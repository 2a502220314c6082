"""The drills layer breaks an environment on purpose, under load, and measures its recovery."""
