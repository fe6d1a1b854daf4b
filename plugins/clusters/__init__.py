"""Clusters: spread a run over several engines."""
