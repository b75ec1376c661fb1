"""A platform whose dependencies are all unavailable, for tests that need none of them."""

import time
from typing import Any, NoReturn

from paceline.bootstrap.api import Platform
from paceline.core.errors import TransientError
from paceline.usecases.identity.security_log import SecurityLog
from paceline.usecases.trading.accounts import AccountReader
from paceline.usecases.trading.instructions import TradingGateway
from tests.support.fakes.notifications.mail_queue import FakeMailQueue


class UnavailablePort:
    """Stands for any port; every call raises `TransientError`."""

    def __getattr__(self, name: str) -> Any:
        return unavailable


def unavailable(*_: object, **__: object) -> NoReturn:
    raise TransientError("unavailable")


def offline_platform() -> Platform:
    ports: Any = UnavailablePort()
    return Platform(
        gateway=TradingGateway(
            log=ports,
            replies=ports,
            answers=ports,
            prices=ports,
            now_us=lambda: 1,
            pause=time.sleep,
            shards=1,
            reply_timeout_ms=10,
            default_slippage_bps=50,
            initial_balance=1,
        ),
        account_reader=AccountReader(hot=ports, stored=ports, prices=ports, markets=ports),
        control=ports,
        members=ports,
        closed_orders=ports,
        leaderboards=ports,
        mails=FakeMailQueue(),
        security=SecurityLog(lambda _: True, lambda: 1),
        pings={"postgres": unavailable, "kafka": unavailable, "redis": unavailable},
        heartbeats=unavailable,
        close=lambda: None,
    )
