"""SAP Business One through its Service Layer: session, dialects, reads, and the recipe for incoming payments."""
