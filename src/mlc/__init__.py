"""Keeps the receivables of SAP Business One and the money at Stripe and GoCardless in agreement."""

__version__ = "0.1.0"
