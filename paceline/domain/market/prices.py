"""Which prices count: the engine's rule, for all that reads prices outside the engine."""

from paceline.messages.inbound import PriceUpdate


def is_usable(update: PriceUpdate, last_update_id: int) -> bool:
    """Whether the engine accepts this price of a configured market (`paceline/engine/markets.py`).

    `last_update_id` is that of the last price of the symbol that was accepted, -1 if there was none.
    """
    return update.update_id > last_update_id and 0 < update.bid < update.ask
