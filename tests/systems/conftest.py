"""Lets pytest explain what fails inside the helpers of these tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("story")
