"""The deployment engine: validate -> desired -> observe -> plan -> apply -> wait -> status."""
