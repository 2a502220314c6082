"""Sockets listen for the services of the cloud, with bounds on connections and on the time of a first request."""
