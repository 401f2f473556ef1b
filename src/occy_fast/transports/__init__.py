"""Places where images live."""
