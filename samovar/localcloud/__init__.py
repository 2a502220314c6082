"""The local cloud: the Yandex Cloud API over its own protobufs, with real machines and real balancers under it.

`python -m localcloud --home DIR` is its daemon. It shares no code with the tool but `kit`.
"""
