"""One folder per foreign system; they do not know each other. session.py is what they share: HTTP with honest outcomes."""
