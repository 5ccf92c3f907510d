"""Words in, words out: small commands, and render.py which owns every sentence and table."""
