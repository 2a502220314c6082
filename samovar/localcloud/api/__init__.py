"""The wire: who calls, whether the call is whole, and the forms in which it comes and goes (gRPC, REST, storage)."""
