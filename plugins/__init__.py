"""Built-in samplers, normalizers, metrics, protocols and known models: each module is a plugin like a stranger's."""
