"""The ledger: what is written comes back, and damage is told from a torn end."""

import pytest

from raydet.search.ledger import LEDGER, Drawn, Ended, Header, Ledger, Reported, Started, read_ledger
from raydet.search.records import Decision, Report

HEADER = Header("sweep", {"seed": 1}, "0")
OPTIONS = {"img_scale": (640, (1, 2)), "loss": {"type": "FocalLoss", "ratios": [0.5, 1.0], "_delete_": True}}


def drawn(number, **more):
    return Drawn(number, 1.0, {"lr": 0.1}, OPTIONS, 7, f"trials/{number:04d}", {"recall": 0.9}, {}, **more)


def written(folder, *events):
    ledger = Ledger(folder, HEADER)
    for event in events:
        ledger.append(event)
    ledger.close()
    return folder / LEDGER


def test_records_come_back_with_their_tuples(tmp_path):
    written(
        tmp_path,
        drawn(0),
        Started(0, 2.0),
        Reported(0, 3.0, Report(1, {"mAP": 0.5}, 3.0), Decision(1, 1, 0.5, stop=False)),
        drawn(1, rejected="lr < 0.01 does not hold"),
        Ended(0, 4.0, "complete", (0.5, 12.0)),
    )
    first, second = read_ledger(tmp_path)
    assert first.options == OPTIONS
    assert (first.state, first.values, first.attempts, first.started, first.ended) == (
        "complete",
        (0.5, 12.0),
        1,
        2.0,
        4.0,
    )
    assert first.reports == [Report(1, {"mAP": 0.5}, 3.0)]
    assert (second.state, second.reason) == ("rejected", "lr < 0.01 does not hold")


def test_torn_last_line_is_no_line_to_readers_and_cut_off_by_the_next_writer(tmp_path):
    path = written(tmp_path, drawn(0), Started(0, 2.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert [record.state for record in read_ledger(tmp_path)] == ["waiting"]
    written(tmp_path, Started(0, 2.0))
    assert path.read_bytes() == whole


def test_damage_before_the_end_names_the_line(tmp_path):
    path = written(tmp_path, drawn(0), Started(0, 2.0))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(ValueError, match=r"ledger.jsonl:2: the ledger is damaged"):
        read_ledger(tmp_path)


def test_ledger_is_written_by_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("raydet.search.ledger.PATIENCE", 0.1)
    ledger = Ledger(tmp_path, HEADER)
    with pytest.raises(ValueError, match="another process runs this sweep"):
        Ledger(tmp_path, HEADER)
    ledger.close()
    Ledger(tmp_path, HEADER).close()


def test_folder_without_ledger_is_no_sweep(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sweep folder"):
        read_ledger(tmp_path)
