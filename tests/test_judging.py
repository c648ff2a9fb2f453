"""Blind votes: sides and order are drawn, the file is append-only, and judging goes on."""

import json
from pathlib import Path

import pytest
from handmade import handmade_run

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.reading.agreement import Tally
from labkit.reading.judging import Judging, Pair, Vote
from labkit.runs import Run

WORSE, BETTER = "nothing of the kind", "Anna and Ben will meet at the park"


@pytest.fixture
def runs(tiny_data: Dialogues, tmp_path: Path) -> tuple[Run, Run]:
    """The second has the higher ROUGE-1, but for row_31, which has the same summary from both."""
    first = [WORSE, "the same", *[WORSE] * 4]
    second = [BETTER, "the same", *[BETTER] * 4]
    return handmade_run(tmp_path, "a", tiny_data, first), handmade_run(tmp_path, "b", tiny_data, second)


def judge_all(judging: Judging, better: str) -> list[Pair]:
    """Vote for one summary wherever it stands."""
    seen = []
    while pair := judging.next_pair():
        judging.vote(pair, "left" if pair.left == better else "right")
        seen.append(pair)
    return seen


def test_shows_each_pair_that_is_not_identical_once(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judging = Judging(*runs, tiny_data)
    seen = judge_all(judging, BETTER)
    assert sorted(pair.id for pair in seen) == ["row_30", "row_32", "row_33", "row_34", "row_35"]
    assert all({pair.left, pair.right} == {WORSE, BETTER} for pair in seen)
    assert judging.identical == 1


def test_draws_order_and_sides_with_the_seed(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    def drawn(seed: int) -> tuple[list[str], set[str]]:
        judging = Judging(*runs, tiny_data, seed)
        seen = judge_all(judging, BETTER)
        (runs[1].folder / "votes-a.jsonl").unlink()
        return [pair.id for pair in seen], {pair.id for pair in seen if pair.left == BETTER}

    assert drawn(0) == drawn(0)
    draws = [drawn(seed) for seed in range(5)]
    assert len({tuple(order) for order, _ in draws}) > 1
    assert len({frozenset(left) for _, left in draws}) > 1
    assert any(0 < len(left) < 5 for _, left in draws)


@pytest.mark.parametrize(("better", "wins", "losses"), [(BETTER, 5, 0), (WORSE, 0, 5)])
def test_counts_a_vote_for_the_model_and_not_for_the_side(
    runs: tuple[Run, Run], tiny_data: Dialogues, better: str, wins: int, losses: int
) -> None:
    judging = Judging(*runs, tiny_data)
    judge_all(judging, better)
    result = judging.result()
    assert result.votes == Tally(wins, losses, ties=1)
    assert result.rouge == Tally(wins=5, losses=0, ties=1)
    assert (result.judged, result.identical) == (5, 1)
    assert result.agreement == (better == BETTER)


def test_counts_the_identical_pairs_that_were_passed_so_far_only(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    passed = set()
    for seed in range(20):
        judging = Judging(*runs, tiny_data, seed)
        pair = judging.next_pair()
        assert pair
        judging.vote(pair, "tie")
        place = list(judging.cases).index("row_31")
        assert judging.result().identical == (place <= 1)
        assert judging.result().votes == Tally(0, 0, 1 + (place <= 1))
        passed.add(place <= 1)
        judging.undo()
    assert passed == {True, False}


def test_sets_votes_against_rouge(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judging = Judging(*runs, tiny_data)
    votes = ["better", "better", "worse", "tie"]
    for vote in votes:
        pair = judging.next_pair()
        assert pair
        sides: dict[bool, Vote] = {True: "left", False: "right"}
        judging.vote(pair, "tie" if vote == "tie" else sides[(pair.left == BETTER) == (vote == "better")])
    result = judging.result()
    assert result.agreement == 2 / 4
    assert result.kappa == 0  # ROUGE always says the same: they agree as often as by chance
    assert result.votes[:2] == (2, 1)


def test_goes_on_where_it_stopped(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    before = Judging(*runs, tiny_data)
    pair = before.next_pair()
    assert pair
    before.vote(pair, "left")
    after = Judging(*runs, tiny_data)
    assert after.votes == before.votes != {}
    following = after.next_pair()
    assert following
    assert following.id != pair.id


def test_keeps_the_meaning_of_a_vote_under_another_seed(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judge_all(Judging(*runs, tiny_data), BETTER)
    assert all(Judging(*runs, tiny_data, seed).result().votes == (5, 0, 1) for seed in range(5))


def test_takes_back_the_last_vote_and_shows_its_pair_again(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judging = Judging(*runs, tiny_data)
    seen = judge_all(judging, BETTER)
    judging.undo()
    judging.undo()
    assert judging.next_pair() == seen[-2]
    assert list(judging.votes) == [pair.id for pair in seen[:-2]]
    lines = (runs[1].folder / "votes-a.jsonl").read_text().splitlines()
    assert len(lines) == 7  # nothing is ever deleted
    judging.vote(seen[-2], "tie")
    assert list(judging.votes.items())[-1] == (seen[-2].id, 0)


def test_a_torn_last_line_does_not_count_and_spoils_no_other(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judging, file = Judging(*runs, tiny_data), runs[1].folder / "votes-a.jsonl"
    first = judging.next_pair()
    assert first
    judging.vote(first, "tie")
    whole = file.read_bytes()
    for torn in (b'{"id": "row_3', '{"id": "é'.encode()[:-1], whole[:-1]):
        file.write_bytes(whole + torn)
        assert list(judging.votes) == [first.id]
    second = judging.next_pair()
    assert second
    judging.vote(second, "tie")
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [first.id, second.id]


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", '{"id": "row_30", "vote": "up", "left": "a"}', '{"id": "row_30", "vote": "left"}', "3"]
)
def test_says_which_line_is_damaged(runs: tuple[Run, Run], tiny_data: Dialogues, line: str) -> None:
    file = runs[1].folder / "votes-a.jsonl"
    file.write_text('{"id": "row_30", "vote": "tie", "left": "a"}\n' + line + "\n")
    with pytest.raises(LabError, match=r"votes-a\.jsonl is damaged in line 2: delete that line"):
        _ = Judging(*runs, tiny_data).votes


def test_refuses_what_makes_no_sense(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    with pytest.raises(LabError, match="a is set against itself: choose two different runs"):
        Judging(runs[0], runs[0], tiny_data)
    judging = Judging(*runs, tiny_data)
    with pytest.raises(LabError, match="there is no vote yet"):
        judging.result()
    with pytest.raises(LabError, match="there is no vote to take back"):
        judging.undo()
    pair = judging.next_pair()
    assert pair
    with pytest.raises(LabError, match="'up' is no vote: use left, right or tie"):
        judging.vote(pair, "up")  # type: ignore[arg-type]
    assert not (runs[1].folder / "votes-a.jsonl").exists()


def test_says_that_a_vote_cannot_be_written(runs: tuple[Run, Run], tiny_data: Dialogues) -> None:
    judging = Judging(*runs, tiny_data)
    pair = judging.next_pair()
    assert pair
    (runs[1].folder / "votes-a.jsonl").mkdir()
    with pytest.raises(LabError, match="cannot be written"):
        judging.vote(pair, "left")
