"""A stateful simulator of the Stripe API, version 2026-10-28.endive: the account, its switches, and HTTP before it."""

from .account import Account
from .deliveries import Delivery, sign
from .errors import Refusal
from .service import VERSION, StripeService
from .switches import StripeSwitches

__all__ = ["VERSION", "Account", "Delivery", "Refusal", "StripeService", "StripeSwitches", "sign"]
