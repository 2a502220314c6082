"""Instance groups keep a number of machines as a template describes them. `decide` is pure; others observe and act."""
