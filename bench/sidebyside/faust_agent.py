"""A plain Faust agent as in its documentation: one event at a time, state in a dict, every fifth answered.

`bench.sidebyside.on_kafka` starts it as a worker; broker, topics and count are in the environment.
"""

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import faust

from paceline.messages.log_form import Undecodable, decode_messages, encode_effects
from paceline.messages.outbound import Effect

BROKER = os.environ["SIDE_BY_SIDE_BROKER"]
FOLDER = Path(os.environ["SIDE_BY_SIDE_FOLDER"])
COUNT = int(os.environ["SIDE_BY_SIDE_COUNT"])

app = faust.App(
    "side-by-side",
    broker=f"kafka://{BROKER}",
    store="memory://",
    datadir=str(FOLDER / "faust"),
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    autodiscover=False,
)
source = app.topic(os.environ["SIDE_BY_SIDE_IN"], value_type=bytes, value_serializer="raw")
answers = app.topic(os.environ["SIDE_BY_SIDE_OUT"], value_type=bytes, value_serializer="raw")


@app.agent(source)  # type: ignore[untyped-decorator]
async def answer(events: AsyncIterator[bytes]) -> None:
    state: dict[str, object] = {}
    seen, wall, cpu = 0, 0.0, 0.0
    async for value in events:
        if not seen:
            wall, cpu = time.perf_counter(), time.process_time()
        message = decode_messages(value)[0]
        assert not isinstance(message, Undecodable)
        state[type(message).__name__] = message
        if seen % 5 == 0:
            await answers.send(value=encode_effects([Effect(seen, 0, message, [])]))
        seen += 1
        if seen == COUNT:
            took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            (FOLDER / "took.new").write_text(json.dumps(took), encoding="ascii")
            (FOLDER / "took.new").rename(FOLDER / "took.json")
