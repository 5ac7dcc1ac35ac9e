from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from kagent_operator.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with await Store.open(tmp_path / "gateway.db") as opened:
        yield opened
