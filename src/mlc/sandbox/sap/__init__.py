"""A simulated SAP Business One Service Layer with real double entry behind it."""

from mlc.sandbox.sap.books import Books
from mlc.sandbox.sap.service import SapService
from mlc.sandbox.sap.switches import SapSwitches

__all__ = ["Books", "SapService", "SapSwitches"]
