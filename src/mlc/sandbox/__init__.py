"""A small company and the systems around it, simulated: strict like the originals, and sharing no code with the clients they test."""
