"""GoCardless, API version 2015-07-06: read only. mlc writes nothing there."""

API_VERSION = "2015-07-06"
