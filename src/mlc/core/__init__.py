"""What is true about money and documents: no clock, no I/O, no third-party import."""
