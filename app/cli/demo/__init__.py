"""`attribution demo`: the whole thing on real photographs."""
