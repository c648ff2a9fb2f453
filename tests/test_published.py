"""Every published table is whole, and is laid over others as a share of its best."""

import pytest

from labkit.errors import LabError
from labkit.published import load_published

TABLES = load_published()


@pytest.mark.parametrize("name", TABLES)
def test_has_a_source_and_a_value_for_every_column(name: str) -> None:
    table = TABLES[name]
    assert table.title
    assert table.source
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.measures.keys() <= set(table.columns)
    assert set(table.measures.values()) <= {"higher", "lower"}


def test_has_tables_over_rank_over_tokens_and_over_methods() -> None:
    assert {table.dial for table in TABLES.values()} == {"rank", "tokens", "method"}


def test_gives_the_highest_value_as_all_of_it() -> None:
    table = TABLES["lora_rank_e2e"]
    shares = dict(zip(table.values, table.shares("BLEU"), strict=True))
    assert shares[4] == 100
    assert shares[1] == pytest.approx(100 * 68.72 / 70.38)


def test_gives_the_lowest_loss_as_all_of_it() -> None:
    table = TABLES["lora_rank_e2e"]
    shares = dict(zip(table.values, table.shares("validation loss"), strict=True))
    assert shares[16] == shares[512] == 100
    assert shares[1] == pytest.approx(100 * 1.16 / 1.23)


def test_says_which_measures_a_table_has() -> None:
    with pytest.raises(LabError, match="has no measure 'METEOR': it has validation loss, BLEU, ROUGE-L"):
        TABLES["lora_rank_e2e"].shares("METEOR")
