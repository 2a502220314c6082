"""The local cloud: it serves the Yandex Cloud API, by its own protobufs, with real machines and real balancers.

`python -m samovar.localcloud --home DIR` is its daemon. It shares no code with the tool but `core`.
"""
