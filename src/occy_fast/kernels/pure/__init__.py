"""Define every kernel in plain Python."""
