"""The only place where bytes move."""
