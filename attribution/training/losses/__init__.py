"""The terms of the loss, each a pure function."""
