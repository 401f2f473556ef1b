"""Consumers of images, and what each of them can read."""
