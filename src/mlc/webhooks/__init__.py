"""Receives webhooks: verify, write down, answer. What they mean is decided by the passes, which read the objects themselves."""
