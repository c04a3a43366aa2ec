"""Which encoder serves, with its gallery, and how the next one takes over."""
