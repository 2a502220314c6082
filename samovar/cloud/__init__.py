"""The gateway to the API: session, operations, errors, labels. No layer above asks which cloud it is."""

from samovar.cloud.connection import trust_loopback

# gRPC reads what it sets when it is first used, by whatever module.
trust_loopback()
