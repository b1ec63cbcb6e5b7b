#!/usr/bin/env bash
# Builds the wheel, installs it in an environment of its own, and uses it outside the checkout.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${VENV:-$checkout/.venv}/bin/python" -m build --wheel --outdir "$scratch/dist" "$checkout" >"$scratch/build.log" 2>&1 ||
  { cat "$scratch/build.log"; exit 1; }
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$checkout/requirements.lock"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$scratch"/dist/twin-*.whl
cd "$scratch"
venv/bin/twin --version
venv/bin/twin list >list.txt
for name in bilstm_traffic static_p95 flash_crowd link_failure; do grep -q "$name" list.txt; done
venv/bin/twin run surge --policies static_p95,bilstm --out out
venv/bin/twin run fibre_cut --no-report --out cut
venv/bin/twin data synth trace.csv.gz --facilities 2 --length 4d
mkdir policies
cat >policies/half.py <<'P'
from twin import Policy


class Half(Policy):
    """Half of the last known demand."""

    def allocate(self, observation):
        return observation.last_known_mbps / 2
P
printf 'demand: {source: csv, path: trace.csv.gz}\npolicies: [half, bilstm]\n' >mine.yaml
venv/bin/twin validate mine.yaml
venv/bin/python -m twin run ./mine.yaml
for file in manifest.json scenario.yaml summary.csv intervals.parquet events.csv report.html figures/allocation.png; do
  test -s "out/$file"
done
test "$(venv/bin/python -c 'import twin, pathlib; print(pathlib.Path(twin.__file__).parents[1].name)')" = site-packages
echo "wheel: used outside the checkout"
