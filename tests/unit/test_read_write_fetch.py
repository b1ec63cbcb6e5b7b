"""Writing traces, describing them, and downloading the public dataset."""

import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from twin.core.errors import RunError
from twin.demand.describe import LinkDescription, describe
from twin.demand.fetch import fetch
from twin.demand.read import read
from twin.demand.spec import DemandSpec
from twin.demand.trace import Trace
from twin.demand.write import write_csv, write_parquet

LINKS = ("link-1", 'odd, "name"')
NAN = float("nan")


def kpis():
    rng = np.random.default_rng(2)
    internet = rng.gamma(2, 100, (40, 2)) / 3
    vpn = rng.random((40, 2)) * 1e-9
    internet[5, 0] = vpn[5, 0] = NAN
    vpn[7, 1] = NAN
    return {"internet": internet, "vpn": vpn}


@pytest.mark.parametrize(
    ("write", "source", "name"),
    [
        (write_csv, "csv", "a.csv"),
        (write_csv, "csv", "a.csv.gz"),
        (write_parquet, "parquet", "a.parquet"),
    ],
)
def test_what_is_written_reads_back_to_the_same_numbers(tmp_path, write, source, name):
    original = kpis()
    assert write(tmp_path / "new" / name, LINKS, original, 300) == tmp_path / "new" / name
    spec = DemandSpec.model_validate({"source": source, "path": f"new/{name}"})
    trace = read(spec, tmp_path, 300, 1)
    assert trace.links == LINKS
    for kpi, values in original.items():
        known = ~np.isnan(values)
        assert np.array_equal(trace.kpis[kpi][known], values[known])
    assert trace.repairs[0] == "1 gap of up to 1h (1 sample) interpolated"
    assert [file.name for file in (tmp_path / "new").iterdir()] == [name]


def test_rows_of_missing_samples_are_absent_and_a_missing_value_is_an_empty_cell(tmp_path):
    values = {"internet": np.array([[1.5, NAN], [0.1, 2.0]]), "vpn": np.array([[NAN, NAN], [3, 4]])}
    write_csv(tmp_path / "a.csv", ("a", "b"), values, 300)
    assert (tmp_path / "a.csv").read_text() == (
        "time,link,internet,vpn\n0,a,1.5,\n300,a,0.1,3\n300,b,2,4\n"
    )


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    from pyarrow import csv

    def fail(*_):
        raise OSError("disk full")

    (tmp_path / "a.csv").write_text("old")
    monkeypatch.setattr(csv, "write_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_csv(tmp_path / "a.csv", LINKS, kpis(), 300)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_a_trace_is_described_over_its_known_samples():
    internet = np.array([[1.0, NAN], [2.0, NAN], [3.0, NAN], [NAN, NAN]])
    trace = Trace(("a", "b"), {"internet": internet}, 300, origin="x.csv", repairs=("done",))
    description = describe(trace)
    assert (description.samples, description.tick_s, description.span_s) == (4, 300, 1200)
    assert (description.origin, description.kpis) == ("x.csv", ("internet",))
    assert (description.starts, description.missing) == (None, 5)
    assert description.repairs == ("done",)
    assert description.links[0] == LinkDescription("a", 2.0, pytest.approx(2.9), 3.0, 1)
    assert np.isnan(description.links[1].mean_mbps)
    assert description.links[1].missing == 4


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = tmp_path / "site"
    site.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield site, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def archive():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("data/data/data_series_info.txt", "s1 internet\n")
        out.writestr("data/data/data_series/s1.txt", "0 1\n300 2\n")
    return packed.getvalue()


def md5(data):
    return "md5:" + hashlib.md5(data).hexdigest()


def test_the_dataset_is_downloaded_once_unpacked_and_read(server, tmp_path, capfd):
    site, address = server
    (site / "data.zip").write_bytes(archive())
    into = tmp_path / "into"
    assert fetch(into, f"{address}/data.zip", md5(archive())) == into / "data"
    (site / "data.zip").unlink()
    assert fetch(into, f"{address}/data.zip", md5(archive())) == into / "data"
    assert [file.name for file in into.iterdir()] == ["data"]
    assert capfd.readouterr() == ("", "")
    trace = read(DemandSpec(source="zenodo", path="data"), into, 300, 1)
    assert trace.demand_mbps.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("served", "digest", "reason"),
    [
        (None, "md5:00", "the server answered 404 File not found"),
        (b"other", "md5:" + "0" * 32, "its digest is another one"),
        (b"no zip", md5(b"no zip"), "it is not a zip archive"),
    ],
)
def test_a_download_that_fails_says_what_to_do_and_leaves_nothing(
    server, tmp_path, served, digest, reason
):
    site, address = server
    if served is not None:
        (site / "data.zip").write_bytes(served)
    with pytest.raises(RunError) as caught:
        fetch(tmp_path / "into", f"{address}/data.zip", digest)
    assert str(caught.value) == (
        f"cannot fetch {address}/data.zip: {reason}; download it by hand "
        f"(its digest is {digest}) and unpack it to {tmp_path / 'into' / 'data'}"
    )
    assert list((tmp_path / "into").iterdir()) == []


def damaged(data: bytes, flag: int = 0, method: int | None = None, tear: bool = False) -> bytes:
    """Return an archive with the fields of its entries, local and central, changed."""
    out = bytearray(data)
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = out.find(magic)
        while place >= 0:
            out[place + at] |= flag
            if method is not None:
                out[place + at + 2] = method
            place = out.find(magic, place + 1)
    if tear:
        place = out.index(b"s1 internet")
        out[place : place + 2] = b"xx"
    return bytes(out)


def packed_tightly() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("a", b"")
    data = bytearray(packed.getvalue())
    central = data.index(b"PK\1\2")
    data[central + 24 : central + 28] = (3 * 2**30).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (damaged(archive(), flag=1), "it is encrypted"),
        (damaged(archive(), method=99), "it is packed by a method that is not known here"),
        (damaged(archive(), tear=True), "it is damaged or cut short"),
        (damaged(archive(), method=8), "it is damaged or cut short"),
        (packed_tightly(), f"it would unpack to {3 * 2**30} bytes in 1 files"),
    ],
    ids=["encrypted", "unknown method", "torn", "another method", "too large"],
)
def test_an_archive_that_cannot_be_unpacked_says_why_and_leaves_nothing(
    server, tmp_path, served, reason
):
    site, address = server
    (site / "data.zip").write_bytes(served)
    with pytest.raises(RunError) as caught:
        fetch(tmp_path / "into", f"{address}/data.zip", md5(served))
    assert f"data.zip: {reason}; download it by hand" in str(caught.value)
    assert list((tmp_path / "into").iterdir()) == []


def test_without_a_network_the_same_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(RunError, match=r"data\.zip: the server cannot be reached; download it by"):
        fetch(tmp_path, "http://127.0.0.1:9/data.zip", "md5:00")
    assert list(tmp_path.iterdir()) == []
