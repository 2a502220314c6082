"""What stands between an operator and a rollout that goes through: each finding with its remedy."""
