from zlib import crc32

import pytest

from paceline.core.ids import output_id, parse_output_id, shard_of


def test_the_shard_of_an_account_is_its_crc32_modulo_shards() -> None:
    assert shard_of("a1", 4) == crc32(b"a1") % 4
    assert shard_of("ä", 7) == crc32("ä".encode()) % 7


def test_an_output_id_reads_back() -> None:
    assert parse_output_id(output_id(3, 1234567890, 2)) == (3, 1234567890, 2)


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:1:2", "-1:0:0", "1::2", "¹:0:0"])
def test_an_invalid_output_id_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="shard:position:ordinal"):
        parse_output_id(text)
