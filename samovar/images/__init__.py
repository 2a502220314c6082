"""The bakery: from `image.yaml` to a digest, from the digest to a plan, from the plan to a RAW file that was checked.

`definition`, `digest`, `plan` are values and pure functions; `local` bakes on this machine,
`store` knows what is baked.
"""
