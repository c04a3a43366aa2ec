"""The endpoints, one module a noun: they read a request, call one function and write a response."""
