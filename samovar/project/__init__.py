"""The project: found by its `samovar.yaml`, its files read into frozen models in which each key is one field."""
