"""Recorded tracks: interpolation by hand, both formats, and hostile documents."""

from __future__ import annotations

import gzip

import pytest

from edgesim.errors import RecordingError
from edgesim.radio.tracks import RecordedTrack, read_tracks

FCD = """<?xml version="1.0" encoding="UTF-8"?>
<fcd-export>
    <timestep time="0.00">
        <vehicle id="veh0" x="5.10" y="98.40" angle="90.00" type="car" speed="0.00" pos="5.10" lane="a_0"/>
    </timestep>
    <timestep time="1.00">
        <vehicle id="veh0" x="7.10" y="98.40" speed="2.00"/>
        <person id="ped0" x="0.00" y="1.00" speed="1.00"/>
    </timestep>
</fcd-export>
"""


def test_points_are_joined_by_straight_even_ways() -> None:
    track = RecordedTrack([(10.0, 0.0, 0.0), (12.0, 6.0, 8.0), (13.0, 6.0, 8.0)])
    assert track.position(0.0) == track.position(10.0) == (0.0, 0.0)
    assert track.position(10.5) == (1.5, 2.0)
    assert track.position(12.0) == track.position(1e6) == (6.0, 8.0)
    assert [track.speed(t) for t in (0.0, 10.0, 11.9, 12.0, 13.0)] == [0.0, 5.0, 5.0, 0.0, 0.0]
    assert RecordedTrack([(10.0, 0.0, 0.0), (12.0, 6.0, 8.0)], starts_at_s=11.0).position(0.0) == (3.0, 4.0)
    assert track.moves
    assert not RecordedTrack([(0.0, 1.0, 1.0), (1.0, 1.0, 1.0)]).moves


@pytest.mark.parametrize("packed", [False, True])
def test_sumo_floating_car_data(tmp_path, packed: bool) -> None:
    path = tmp_path / ("fcd.xml.gz" if packed else "fcd.xml")
    path.write_bytes(gzip.compress(FCD.encode()) if packed else FCD.encode())
    tracks = read_tracks(path)
    assert set(tracks) == {"veh0", "ped0"}
    assert tracks["veh0"].position(0.5) == (pytest.approx(6.1), 98.4)
    assert tracks["ped0"].position(0.5) == (0.0, 1.0)


def test_csv(tmp_path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("t,id,x,y,more\n0,a,0,0,?\n0,b,5,5,?\n2,a,4,2,?\n")
    tracks = read_tracks(path)
    assert tracks["a"].position(1.0) == (2.0, 1.0)
    assert tracks["b"].position(1.0) == (5.0, 5.0)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE fcd [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<fcd-export><timestep time="0"><vehicle id="&b;" x="0" y="0"/></timestep></fcd-export>
"""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", BOMB, "line 2: a document type or an entity is declared"),
        ("a.xml", FCD.replace("</fcd-export>", ""), "line 11: no XML: no element found"),
        ("a.xml", FCD.replace('x="7.10" ', ""), "line 7: a vehicle without x"),
        ("a.xml", FCD.replace("7.10", "far"), "line 7: found x = 'far'"),
        ("a.xml", FCD.replace('"1.00">', '"0.00">'), "line 7: 'veh0' is at t = 0 after t = 0"),
        ("a.xml", "<fcd-export/>", "no points"),
        ("a.xml", "<fcd-export>&undeclared;</fcd-export>", "no XML: undefined entity"),
        ("a.csv", "t,id,x\n", "line 1: no column 'y'"),
        ("a.csv", "t,id,x,y\n0,a,0,nan\n", "line 2: found y = 'nan'"),
        ("a.csv", "t,id,x,y\n1,a,0,0\n0,a,0,0\n", "line 3: 'a' is at t = 0 after t = 1"),
        ("a.csv", "t,id,x,y\n", "no points"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_tracks(path)


def test_a_file_that_is_no_text_is_refused(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"t,id,x,y\n\xff\xfe")
    with pytest.raises(RecordingError, match="no text in UTF-8"):
        read_tracks(path)
