"""Drives the training loops of TRL and transformers: models in, rows in, states saved whole, a log, models out."""
