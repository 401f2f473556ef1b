"""What one call may take, and who watches it."""
