"""Stripe: transport with idempotency keys, reads, and the recipes that make invoices and keep them true."""

API_VERSION = "2026-10-28.endive"
