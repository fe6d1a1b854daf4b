"""Engines that turn requests into chains."""
