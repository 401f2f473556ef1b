"""Decisions: what happens to each layer, before anything happens."""
