"""Benchmarks, and where their rows come from."""
