"""Stories: a rollout, faults meanwhile, and a death of the tool, on machines and a clock that are simulated."""
