"""A stateful simulator of the GoCardless API, version 2015-07-06: the organisation, its switches, and HTTP before it."""

from .errors import Refusal
from .organisation import Organisation
from .service import VERSION, GoCardlessService
from .switches import GoCardlessSwitches
from .webhooks import Delivery, sign

__all__ = ["VERSION", "Delivery", "GoCardlessService", "GoCardlessSwitches", "Organisation", "Refusal", "sign"]
