"""The load layer sends requests as users do, and holds the answers against the terms of the service."""
