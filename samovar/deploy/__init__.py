"""From an environment to running groups: desired -> observed -> plan -> apply -> gates -> status."""
