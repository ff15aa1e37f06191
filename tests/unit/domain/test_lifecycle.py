"""The one table of statuses and moves."""

from __future__ import annotations

from jobs_platform.domain.lifecycle import FINAL, LIVE, MOVES, Status, is_final, mermaid, sources_of


def test_no_move_leads_out_of_a_final_status() -> None:
    assert all(not move.sources & FINAL for move in MOVES.values())
    assert all(is_final(status) for status in FINAL)


def test_every_status_is_reached_and_every_live_one_can_be_left() -> None:
    assert {move.target for move in MOVES.values()} == set(Status)
    left = frozenset().union(*(move.sources for move in MOVES.values()))
    assert left == LIVE


def test_every_live_run_can_be_cancelled() -> None:
    assert sources_of(Status.CANCELED, by_worker=False) == LIVE


def test_only_an_executing_run_is_moved_by_its_worker() -> None:
    for move in MOVES.values():
        if move.by_worker:
            assert move.sources == {Status.EXECUTING}


def test_the_diagram_draws_every_move() -> None:
    drawn = mermaid()
    for move in MOVES.values():
        for source in move.sources or {"[*]"}:
            assert f"{source} --> {move.target}: {move.name}\n" in drawn
