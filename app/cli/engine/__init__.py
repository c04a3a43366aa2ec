"""`attribution engine`."""
