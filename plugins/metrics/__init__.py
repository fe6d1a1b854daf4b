"""Grades -> scores."""
