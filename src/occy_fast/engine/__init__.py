"""One layer read, proved and written, and several at once."""
