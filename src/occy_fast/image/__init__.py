"""What a source shows, as plain data."""
