"""`attribution reembed`."""
