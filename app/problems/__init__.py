"""Every error that the service answers with, as RFC 9457 problem documents."""
