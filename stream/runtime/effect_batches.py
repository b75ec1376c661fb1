"""Effects of `engine.out`, each once: readers of the log do not see repeats."""

from collections.abc import Iterator

from paceline.domain.operations.readers import ReaderPosition, Record
from paceline.messages.log_form import decode_effects
from paceline.messages.outbound import Effect


def effect_batches(
    records: list[Record], standing: ReaderPosition, most: int
) -> Iterator[tuple[list[Effect], ReaderPosition]]:
    """Effects from `standing` on, in batches of whole records, with the end of each batch.

    A batch has about `most` effects and outputs: one price may have closed thousands of trades.

    If two owners of a shard have both written an effect, the second is skipped. The last batch may be empty;
    it still moves the offset.
    """
    effects: list[Effect] = []
    size = 0
    position = standing.position
    for record in records:
        for effect in decode_effects(record.value):
            if effect.position >= position:
                effects.append(effect)
                size += 1 + len(effect.outputs)
                position = effect.position + 1
        if size >= most or record is records[-1]:
            yield effects, ReaderPosition(position, record.offset + 1)
            effects, size = [], 0
