"""The command line, as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Maker

from twin.cli.main import call
from twin.core import content

Capture = pytest.CaptureFixture[str]


def test_run_prints_a_table_and_writes_a_folder(
    make: Maker, tmp_path: Path, capsys: Capture
) -> None:
    path = make(np.random.default_rng(0).uniform(1, 9, (80, 2)), ["static_p95", "last_value"])
    assert call(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "test: 2 links, 40 intervals of 5min (3h 20min) replayed" in out
    assert "static_p95" in out
    assert "over-prov." in out
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert (tmp_path / "out" / "figures" / "allocation.png").is_file()


def test_run_writes_to_out_name_by_default(make, tmp_path, monkeypatch, capsys) -> None:
    path = make(np.full(40, 2.0))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert call(["run", str(path), "--no-report"]) == 0
    assert sorted(p.name for p in (work / "out" / "test").iterdir()) == [
        "events.csv", "hours.csv", "intervals.parquet", "manifest.json", "scenario.yaml",
        "summary.csv",
    ]  # fmt: skip
    assert call(["run", str(path)]) == 2
    assert "holds another run" in capsys.readouterr().err
    assert call(["run", str(path), "--force"]) == 0


def test_overrides_reach_any_key(make: Maker, tmp_path: Path, capsys: Capture) -> None:
    surge = {"kind": "surge", "start": "5min", "duration": "10min", "factor": 2}
    path = make(np.full(40, 2.0), ["static_p95", "rolling_max"], events=[surge])
    overrides = ["events.0.factor=3", "policies.1.margin=50%", "sla.target=5%", "name=other"]
    out = tmp_path / "out"
    arguments = [word for override in overrides for word in ("--set", override)]
    assert call(["run", str(path), *arguments, "--seed", "11", "--out", str(out)]) == 0
    resolved = yaml.safe_load((out / "scenario.yaml").read_text())
    assert resolved["events"][0]["factor"] == 3
    assert resolved["policies"][1] == {
        "name": "rolling_max", "use": "rolling_max", "window": "1h", "margin": 0.5
    }  # fmt: skip
    assert (resolved["sla"]["target"], resolved["name"], resolved["seed"]) == (0.05, "other", 11)


def test_a_failing_policy_exits_1_and_writes_nothing(make, tmp_path, capsys) -> None:
    (tmp_path / "broken.py").write_text(
        "from twin import Policy\n\n\nclass Broken(Policy):\n"
        "    def allocate(self, observation):\n        raise ValueError('no idea')\n"
    )
    path = make(np.full(40, 2.0), ["broken"])
    assert call(["run", str(path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error == (
        f"policy broken: tick 0 (0s): ValueError: no idea ({tmp_path / 'broken.py'}:6)\n"
    )
    assert not (tmp_path / "out").exists()


def test_validate_tells_what_is_there(make: Maker, capsys: Capture) -> None:
    path = make(np.full(40, 2.0))
    assert call(["validate", str(path), "surge"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        f"{path}: valid: 1 link, 20 samples of history, 20 intervals to replay, 1 policy, 0 events"
    )
    assert out[1].startswith("surge: valid: 4 links")


def test_validate_takes_overrides_of_scenarios(
    make: Maker, tmp_path: Path, capsys: Capture
) -> None:
    path = make(np.full(40, 2.0))
    assert call(["validate", str(path), "--set", "demand.train=0.25"]) == 0
    assert "10 samples of history, 30 intervals" in capsys.readouterr().out
    assert call(["validate", str(path), "--set", "sla.targt=1%"]) == 2
    assert capsys.readouterr().err == "--set:sla.targt: unknown key; did you mean 'target'?\n"
    (tmp_path / "sweep.yaml").write_text(f"scenario: {path}\nreplications: 2\n")
    assert call(["validate", str(tmp_path / "sweep.yaml"), "--set", "seed=3"]) == 2
    assert "--set: is for scenarios; write it under 'set' in the sweep" in capsys.readouterr().err


def test_a_name_is_printed_as_it_is(make: Maker, tmp_path: Path, capsys: Capture) -> None:
    path = make(np.full(40, 2.0), [{"name": "finance", "use": "last_value"}])
    assert call(["run", str(path), "--out", str(tmp_path / "out"), "--no-report"]) == 0
    assert "\n finance " in capsys.readouterr().out


@pytest.mark.parametrize("name", content.shipped("scenarios"))
def test_every_shipped_scenario_is_valid(name: str, capsys: Capture) -> None:
    assert call(["validate", name]) == 0


def test_list_names_everything_that_is_shipped(capsys: Capture) -> None:
    assert call(["list"]) == 0
    out = capsys.readouterr().out
    for kind in ("policies", "scenarios", "models"):
        for name in content.shipped(kind):
            assert f"  {name} " in out
    assert "rolling_max" in out
    assert "[window=1h, margin=0.1]" in out
    assert call(["list", "events"]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line.split()[0] for line in lines]
    assert kinds == sorted(kinds)
    assert len(kinds) == 19
    assert {"surge", "link_failure", "random_failures", "policy_freeze"} <= set(kinds)


def test_schema_accepts_what_is_shipped_and_refuses_unknown_keys(capsys: Capture) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert call(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    for path in content.shipped("scenarios").values():
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    for wrong in ({"policies": ["a"], "evnts": []}, {"policies": ["a"], "demand": {"pth": "x"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_synthetic_data_replays_as_the_synthetic_source_does(tmp_path, capsys) -> None:
    file = tmp_path / "trace.csv.gz"
    assert call(["data", "synth", str(file), "--seed", "3", "--facilities", "2"]) == 0
    scenario = tmp_path / "mine.yaml"
    scenario.write_text("demand: {source: csv, path: trace.csv.gz}\npolicies: [static_p95]\n")
    assert call(["run", str(scenario), "--out", str(tmp_path / "read"), "--no-report"]) == 0
    scenario.write_text("seed: 3\ndemand: {facilities: 2}\npolicies: [static_p95]\n")
    assert call(["run", str(scenario), "--out", str(tmp_path / "made"), "--no-report"]) == 0
    tables = [pd.read_csv(tmp_path / name / "summary.csv") for name in ("read", "made")]
    pd.testing.assert_frame_equal(*tables)
    assert call(["data", "synth", str(file)]) == 2
    assert "is there already; add --force" in capsys.readouterr().err


def test_info_describes_a_trace_and_its_repairs(make: Maker, tmp_path, capsys) -> None:
    demand = np.full(40, 2.0)
    demand[3:6] = np.nan
    path = make(demand)
    assert call(["data", "info", str(tmp_path / "trace.parquet")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("trace.parquet: 1 link, 40 samples of 5min (3h 20min)")
    assert "Read: 1 gap of up to 1h (3 samples) interpolated" in out
    assert call(["data", "info", str(path), "--set", "tick=10min"]) == 0
    assert "20 samples of 10min" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["-m", "twin"], ["-c", "from twin.cli.main import main; main()"]]
)
def test_both_ways_to_start_it_give_version_and_exit_codes(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "twin")
    done = subprocess.run(
        [sys.executable, *command, "run", "baselin"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "no shipped scenario 'baselin'; did you mean 'baseline'?\n"


def test_a_closed_pipe_does_not_lose_the_run(make: Maker, tmp_path: Path) -> None:
    path, out = make(np.full(40, 2.0)), tmp_path / "out"
    command = f"{sys.executable} -m twin run {path} --out {out} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (out / "manifest.json").is_file()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_number_of_the_table_is_cut(make, monkeypatch, capsys, width: int) -> None:
    import twin
    from twin.results import table

    monkeypatch.setattr(table, "_PIPE_WIDTH", width)
    table.print_table(twin.run(make(np.full(40, 2e6), ["static_mean2sigma", "rolling_max"])))
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith((" static_mean2sigma ", " rolling_max "))]
    assert len(rows) == 2
    assert "…" not in "".join(lines)


def test_a_link_called_all_is_refused(make: Maker, capsys: Capture) -> None:
    assert call(["validate", str(make(np.full((40, 2), 2.0), links=["all", "b"]))]) == 2
    assert (
        "demand: a link cannot be called 'all'; rename it in the trace" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "words",
    [
        "list",
        "list policies",
        "schema",
        "--help",
        "run --help",
        "data info baseline",
        "check-policy x",
    ],
)
@pytest.mark.parametrize("streams", ["|", "2>&1 |"])
def test_a_closed_pipe_ends_a_command_quietly(words: str, streams: str) -> None:
    # The reader is gone before anything is written.
    command = f"{{ sleep 0.1; {sys.executable} -m twin {words}; echo $? >&3; }} 3>&1 {streams} true"
    shell = f"exec 4>&1; {{ {command.replace('3>&1', '3>&4')}; }}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stdout == ("2\n" if words.endswith("x") else "0\n")
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_disk_behind_the_output_is_told() -> None:
    command = f"{sys.executable} -m twin list > /dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "twin: [Errno 28] No space left on device\n"
