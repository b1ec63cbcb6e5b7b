"""Formats of telemetry: what each is read as, what is refused, and that nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_writing import field, series, snappy, varint

from twin import InputError
from twin.demand.spec import DemandSpec
from twin.live.formats import influx, json_lines, remote_write, tables
from twin.live.formats.reading import MOST_BYTES, Reading
from twin.live.samples import Samples

READING = Reading()
NOON = 1_791_374_400.0  # 2026-10-07T12:00Z


def rows(samples: Samples) -> list[tuple[str, str, float, float]]:
    return [
        (samples.links[link], samples.kpis[kpi], ms / 1000, value)
        for link, kpi, ms, value in zip(
            samples.link, samples.kpi, samples.time_ms, samples.values, strict=True
        )
    ]


def refused(read: Callable[[bytes, Reading], Samples], data: bytes) -> str:
    with pytest.raises(InputError) as refusal:
        read(data, READING)
    return str(refusal.value)


# Prometheus remote write, packed by hand as the specification says.


def test_remote_write_is_read() -> None:
    message = series({"__name__": "octets", "link": "a"}, [(NOON, 1.5), (NOON + 0.25, 2.5)])
    # An exemplar and a field that nobody knows yet.
    more = field(1, field(1, b"link") + field(2, b"a"))
    message += field(1, more + field(3, b"\x09" + bytes(8)) + varint(99 << 3) + varint(7))
    message += series({"__name__": "vpn", "link": "b"}, [(NOON, 3.0)])
    message += series({"__name__": "up", "job": "x"}, [(-1.0, float("nan"))])
    read = rows(remote_write.read(snappy(message), READING))
    assert read[:3] == [
        ("a", "internet", NOON, 1.5),
        ("a", "internet", NOON + 0.25, 2.5),
        ("b", "vpn", NOON, 3.0),
    ]
    assert read[3][:3] == ("up", "internet", -1.0)
    assert np.isnan(read[3][3])
    named = Reading("job", {"up": "sessions"})
    assert rows(remote_write.read(snappy(message), named))[3][:2] == ("x", "sessions")
    # What is stated stands for what it names alone: another metric is of no KPI of the twin.
    assert rows(remote_write.read(snappy(message), named))[0][1] == "octets"
    assert len(remote_write.read(snappy(b""), READING)) == 0


def test_what_is_no_remote_write_is_refused() -> None:
    whole = snappy(series({"link": "a"}, [(NOON, 1.0)] * 40))
    assert refused(remote_write.read, b"") == "is no snappy block: it ends in its length"
    packed = "is no snappy block, which remote write is packed in"
    assert refused(remote_write.read, whole[:-4]) == packed
    short = "is no snappy block: it is shorter than what it says it holds"
    assert refused(remote_write.read, varint(1_000_000) + b"abc") == short
    bomb = varint(2**31) + bytes(1000)
    assert "unpacks to 2147483648 bytes, more than 67108864" in refused(remote_write.read, bomb)
    message = "is no message of Prometheus remote write"
    assert refused(remote_write.read, snappy(b"\x0a\x7f\x01")) == message
    assert refused(remote_write.read, snappy(b"\x0b\x01")) == message
    assert (
        refused(
            remote_write.read, snappy(field(1, field(1, field(1, b"link") + field(2, b"\xff"))))
        )
        == message
    )
    assert refused(remote_write.read, snappy(b"\xff" * 11)) == message
    many = {f"l{i}": "" for i in range(200)}
    assert "more than 128 labels" in refused(remote_write.read, snappy(series(many, [])))


# JSON lines


def test_json_lines_are_read() -> None:
    data = b"""
{"time": "2026-10-07T12:00:00Z", "link": "a", "internet": 4, "downstream": 2.5, "vpn": null}
{"time": "2026-10-07T14:00:00+02:00", "link": "b", "internet": 1e400}
{"time": 1791374400.5, "link": "a", "internet": 0}
"""
    assert rows(json_lines.read(data, READING)) == [
        ("a", "internet", NOON, 4.0),
        ("a", "downstream", NOON, 2.5),
        ("b", "internet", NOON, float("inf")),
        ("a", "internet", NOON + 0.5, 0.0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: is no JSON: Expecting property name enclosed in double quotes: "),
        ("[1]", "line 2: must be an object, not a list"),
        ('{"link": "a", "internet": 1}', "line 2: has no 'time'"),
        ('{"time": "noon", "link": "a", "internet": 1}', "line 2: 'noon' is no time in ISO-8601"),
        ('{"time": true, "link": "a"}', "line 2: 'time' must be ISO-8601 or seconds since 1970"),
        ('{"time": 1, "internet": 1}', "line 2: 'link' must be the name of a link, not nothing"),
        ('{"time": 1, "link": "a"}', "line 2: has no KPI, such as 'internet'"),
        ('{"time": 1, "link": "a", "internet": "1"}', "line 2: 'internet' must be a number, not "),
        ('{"time": 1e300, "link": "a", "internet": 1}', "line 2: 1e+300 is no time in seconds"),
        ("[" * 60_000, "line 2: is nested too deeply"),
        ("[" * 66_000, "line 2: has more than 65,536 bytes; write one object a line"),
        ('{"time": 1, "link": "a", "internet": %s}' % ("9" * 4_301),
         "line 2: holds a whole number of more than 4,300 digits"),
    ],
)  # fmt: skip
def test_json_that_is_no_sample_is_refused_with_its_line(line: str, message: str) -> None:
    assert refused(json_lines.read, b"\n" + line.encode()).startswith(message)


# Line protocol


def test_line_protocol_is_read() -> None:
    data = rb"""# a comment
net,link=core\,\ 1,host=x internet=1.5,vpn=3i,note="a, b=c",up=t 1791374400000000000
sessions,link=b value=7u 1791374400250000000
octets,link=b value=1e3 1791374400000000000
net,host=x internet=1 1791374400000000000
"""
    assert rows(influx.read(data, READING)) == [
        ("core, 1", "internet", NOON, 1.5),
        ("core, 1", "vpn", NOON, 3.0),
        ("b", "sessions", NOON + 0.25, 7.0),
        ("b", "internet", NOON, 1000.0),
    ]
    late = influx.read(b"octets,link=b value=1", READING, now_s=NOON)
    assert rows(late) == [("b", "internet", NOON, 1.0)]
    assert influx.read(b"o,link=b value=1 1791374400", READING, "s").time_ms[0] == NOON * 1000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("net", "line 2: must be 'measurement,tag=value field=number time'"),
        ("net,link=a value", "line 2: has no 'field=number' at character 12"),
        ("net,link=a value=1x 1", "line 2: '1x' is neither a number, nor text in quotes"),
        ("net,link=a value=1 now", "line 2: 'now' is no time, a whole number"),
        ("net,link=a value=1,", "line 2: has no 'field=number' at character 20"),
        ("net,link=a value=1", "line 2: has no time"),
    ],
)
def test_what_is_no_line_protocol_is_refused_with_its_line(line: str, message: str) -> None:
    assert refused(influx.read, b"\n" + line.encode()).startswith(message)


# CSV


def test_a_table_is_read_as_a_trace_file_is() -> None:
    long = b"time,link,internet,vpn\n2026-10-07T12:00Z,a,1.5,\n2026-10-07T12:05Z,b,-2,3\n"
    assert rows(tables.read(long, READING)) == [
        ("a", "internet", NOON, 1.5),
        ("b", "internet", NOON + 300, -2.0),
        ("b", "vpn", NOON + 300, 3.0),
    ]
    wide = b"time;core 1;core 2\n1791374400;1;2\n1791374700;;4\n"
    assert rows(tables.read(wide, READING)) == [
        ("core 1", "internet", NOON, 1.0),
        ("core 2", "internet", NOON, 2.0),
        ("core 2", "internet", NOON + 300, 4.0),
    ]
    demand = DemandSpec(
        source="csv", path="x.csv", columns={"time": "when", "link": "port", "internet": "bps"},
        timezone="Europe/Berlin", decimal=",",
    )  # fmt: skip
    own = b"when,port,bps\n2026-10-07 14:00,a,1.5\n"
    assert rows(tables.read(own, Reading(demand=demand))) == [("a", "internet", NOON, 1.5)]
    assert rows(tables.read(b"time,internet\n600,5\n", READING)) == [
        ("link-1", "internet", 600.0, 5.0)
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "telemetry: is empty"),
        ("link,internet\na,1\n", "telemetry:1: no column 'time'; name the column of times 'time'"),
        ("time\n1\n", "telemetry:1: has no column beside the time"),
        ("time,link,internet\n1,a,x\n", "telemetry:2: internet: 'x' is not a number"),
        ("time,link,internet\n1,a\n", "telemetry:2: has 2 cells, but the header has 3"),
        ("time,a\nx,1\n", "telemetry:2: time: "),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(data: str, message: str) -> None:
    assert refused(tables.read, data.encode()).startswith(message)


# Anything else


GOOD = {
    json_lines.read: json.dumps({"time": NOON, "link": "a", "internet": 4}).encode(),
    influx.read: b"net,link=a internet=1.5,vpn=3i 1791374400000000000",
    tables.read: b"time,link,internet\n2026-10-07T12:00Z,a,1.5\n",
    remote_write.read: snappy(series({"__name__": "octets", "link": "a"}, [(NOON, 1.5)])),
}


@pytest.mark.parametrize("read", list(GOOD), ids=lambda read: read.__module__.split(".")[-1])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_sent_is_read_or_refused_in_a_sentence(
    read: Callable[[bytes, Reading], Samples], data: st.DataObject
) -> None:
    body = bytearray(GOOD[read])
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(body)))
        if data.draw(st.booleans()):
            body[place:place] = data.draw(st.binary(max_size=12))
        else:
            del body[place : place + data.draw(st.integers(1, 8))]
    sent = data.draw(st.sampled_from([bytes(body), snappy(bytes(body))])) or b"\0"
    taken_or_refused(read, sent)


@pytest.mark.parametrize("read", list(GOOD), ids=lambda read: read.__module__.split(".")[-1])
@settings(max_examples=100, deadline=None)
@given(sent=st.binary(max_size=300))
def test_so_is_noise(read: Callable[[bytes, Reading], Samples], sent: bytes) -> None:
    taken_or_refused(read, sent)
    if read is remote_write.read:
        taken_or_refused(read, snappy(sent))


def taken_or_refused(read: Callable[[bytes, Reading], Samples], sent: bytes) -> None:
    try:
        samples = read(sent, READING)
    except InputError:
        return
    columns = (samples.link, samples.kpi, samples.time_ms, samples.values)
    assert len({len(column) for column in columns}) == 1
    if len(samples):
        assert samples.link.max() < len(samples.links)
        assert samples.kpi.max() < len(samples.kpis)


@pytest.mark.parametrize("read", list(GOOD), ids=lambda read: read.__module__.split(".")[-1])
def test_a_body_that_is_too_large_is_not_looked_at(
    read: Callable[[bytes, Reading], Samples],
) -> None:
    said = refused(read, bytes(MOST_BYTES + 1))
    assert said == f"has {MOST_BYTES + 1} bytes, more than {MOST_BYTES}; send less at a time"
