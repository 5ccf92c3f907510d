"""The one road: gather, decide, accept, carry. Crash safety, limits, dry runs and reports are properties of this road."""
