"""One module a service of the API: a thin layer of RPCs over the store. What takes time is left to `control`."""
