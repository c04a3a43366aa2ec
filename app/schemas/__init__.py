"""The JSON documents of the HTTP API, one module a noun."""
