"""The kinds of resource, one file each: what a resource is (its spec), and how the API lists, reads and changes it."""
