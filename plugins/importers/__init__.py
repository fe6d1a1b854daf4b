"""Readers of other programs' sample files."""
