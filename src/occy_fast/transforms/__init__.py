"""Wishes as values."""
