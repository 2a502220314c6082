"""The load layer sends requests as users do and checks the answers against the objectives of a load profile."""
