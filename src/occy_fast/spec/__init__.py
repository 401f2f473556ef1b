"""The words of the image specification as immutable values."""
