"""Recorded tracks: interpolation by hand, both formats, and hostile documents."""

from __future__ import annotations

import gzip
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesim.errors import RecordingError
from edgesim.radio.motion.tracks import RecordedTrack, read_tracks

INF = math.inf

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


def windows(points, **facts):
    return RecordedTrack(points, **facts).absences.windows_s


def test_a_track_is_absent_outside_its_recorded_time() -> None:
    points = [(10.0, 0.0, 0.0), (12.0, 6.0, 8.0), (15.0, 0.0, 0.0), (20.0, 1.0, 1.0)]
    assert windows(points) == ((0.0, 10.0), (20.0, INF))
    assert windows(points, starts_at_s=10.0) == ((10.0, INF),)
    assert windows(points, starts_at_s=11.0, gaps=[1]) == ((1.0, 4.0), (9.0, INF))
    assert windows(points, starts_at_s=13.0, gaps=[1]) == ((0.0, 2.0), (7.0, INF))
    assert windows(points, starts_at_s=30.0) == ((0.0, INF),)
    assert windows(points, gaps=[0, 1]) == ((0.0, 15.0), (20.0, INF))
    assert windows(points, is_always_there=True) == ()


def sumo(present, steps) -> str:
    """Floating car data of vehicles that are there at some of the steps."""
    steps_text = "".join(
        f'<timestep time="{at_s}">'
        + "".join(
            f'<vehicle id="{id_}" x="{at_s}" y="0" speed="1"/>' for id_, at in present.items() if at_s in at
        )
        + "</timestep>"
        for at_s in steps
    )
    return f"<fcd-export>{steps_text}</fcd-export>"


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_vehicle_is_absent_wherever_a_timestep_lacks_it(tmp_path, there) -> None:
    """Against the definition: it is there between two steps if it is at both, and nowhere else."""
    present = {f"v{n}": [t for t, is_there in enumerate(own) if is_there] for n, own in enumerate(there)}
    present = {id_: at for id_, at in present.items() if at}
    if len({at_s for at in present.values() for at_s in at}) < 2:
        return  # no points, or a list of places
    (tmp_path / "a.fcd").write_text(sumo(present, range(12)))
    tracks = read_tracks(tmp_path / "a.fcd")
    assert set(tracks) == set(present)
    for id_, at in present.items():
        for step in range(-1, 13):
            is_there = step in at and step + 1 in at
            assert tracks[id_].absences.down(max(0.0, step + 0.5)) is not is_there or step < 0


def test_gaps_of_csv_are_longer_than_ten_usual_steps(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,id,x,y\n" + "".join(f"{t},a,0,0\n" for t in (0, 1, 2, 3, 4, 14, 15, 26, 27, 28)))
    assert read_tracks(path)["a"].absences.windows_s == ((15.0, 26.0), (28.0, INF))
    assert read_tracks(path, longest_step_s=9.0)["a"].absences.windows_s == (
        (4.0, 14.0),
        (15.0, 26.0),
        (28.0, INF),
    )
    assert read_tracks(path, longest_step_s=30.0)["a"].absences.windows_s == ((28.0, INF),)
    assert read_tracks(path, is_always_there=True)["a"].absences.windows_s == ()


def test_points_of_one_instant_are_a_list_of_places(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,id,x,y\n5,a,0,0\n5,b,1,0\n")
    assert [track.absences.windows_s for track in read_tracks(path).values()] == [(), ()]
    path.write_text("t,id,x,y\n5,a,0,0\n5,b,1,0\n6,b,1,0\n")
    assert read_tracks(path)["a"].absences.windows_s == ((0.0, INF),)


@pytest.mark.parametrize("name", ["trace.fcd", "trace", "trace.csv", "trace.xml", "trace.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_contents_tell_the_format_whatever_the_file_is_called(tmp_path, name: str, packed: bool) -> None:
    csv = "\n t, id, x, y\n0,veh0,5.1,98.4\n1,veh0,7.1,98.4\n"
    for text in (FCD, "\ufeff" + csv.lstrip(), csv.lstrip()):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        assert read_tracks(tmp_path / name)["veh0"].position(1.0) == (7.1, 98.4)


def test_units_may_stand_in_the_columns(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,y_m,x_km,t_ms\na,3,0.001,0\na,3,0.003,2000\n")
    assert read_tracks(path)["a"].position(1.0) == (2.0, 3.0)


GEO = (
    '<fcd-export><timestep time="0"><vehicle id="a" x="13.3888" y="52.5170" speed="0"/></timestep>'
    '<timestep time="2"><vehicle id="a" x="13.3893" y="52.5171" speed="17"/></timestep></fcd-export>'
)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE fcd [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<fcd-export><timestep time="0"><vehicle id="&b;" x="0" y="0"/></timestep></fcd-export>
"""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", BOMB, "line 2: a document type or an entity is declared"),
        ("a.xml", FCD.replace("</fcd-export>", ""), "line 11: not XML: no element found"),
        ("a.xml", FCD.replace('x="7.10" ', ""), "line 7: a vehicle without x"),
        ("a.xml", FCD.replace("7.10", "far"), "line 7: found x = 'far'"),
        ("a.xml", FCD.replace('"1.00">', '"0.00">'), "line 7: 'veh0' is at t = 0 after t = 0"),
        ("a.xml", "<fcd-export/>", "no points"),
        ("a.xml", "<fcd-export>&undeclared;</fcd-export>", "not XML: undefined entity"),
        ("a.csv", "t,id,x\n", "line 1: no column 'y'"),
        ("a.csv", "t,id,x,y,x_m\n", "line 1: two columns of x, 'x' and 'x_m'"),
        ("a.csv", "t,id,lon,lat\n", "line 1: the column 'lon' has degrees; expected x and y in metres"),
        ("a.xml", GEO, "its vehicles drive 34 m, by their coordinates 0.00051 m: these are degrees"),
        ("a.json", '{"t": 0}', "line 1: found .*; expected CSV with the columns t, id, x, y"),
        ("a.csv", "a few words\n", "line 1: no column 't' in the header; .*or SUMO's floating car data"),
        ("a.xml", "<html><p>no</p></html>", "no points; expected CSV with the columns t, id, x, y"),
        ("a.xml", sumo({"a": [1]}, [2, 1]), "line 1: a timestep at 1 after 2"),
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
    with pytest.raises(RecordingError, match="not UTF-8 text"):
        read_tracks(path)
