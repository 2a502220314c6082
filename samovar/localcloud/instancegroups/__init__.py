"""Instance groups: what keeps a group of machines as its owner wants it. `decide` is pure; others observe and act."""
