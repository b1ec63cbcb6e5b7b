#!/usr/bin/env bash
# Opens reports in headless Chromium: no error on the console, no request, the script at work,
# nothing wider than a phone, and a PDF. Pictures go to the folder named first (default: a new one).
# Further arguments are pages to open; without them, those of shipped scenarios.
set -euo pipefail
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$chromium" ] || { echo "skipped: no chromium here (apt-get install chromium)"; exit 0; }
cd "$(dirname "$0")/.."
pictures=${1:-$(mktemp -d)}
mkdir -p "$pictures"
pictures=$(cd "$pictures" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ $# -lt 2 ]; then
  python=${PYTHON:-.venv/bin/python}
  PYTHONPATH=. "$python" - "$scratch" <<'P'
import sys
from pathlib import Path

import twin
from twin.report.page import page

for name in ("surge", "link_failure", "baseline"):
    Path(sys.argv[1], f"{name}.html").write_text(page(twin.run(name)), encoding="utf-8")
P
  set -- "$pictures" "$scratch"/*.html
fi
shift

browse() { # OPTIONS... ADDRESS: all that Chromium says goes to log
  "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
    --disable-background-networking --disable-component-update --disable-sync \
    --host-resolver-rules="MAP * ~NOTFOUND" --allow-file-access-from-files --virtual-time-budget=5000 --enable-logging=stderr \
    --user-data-dir="$(mktemp -d "$scratch/profile.XXXXXX")" "$@" 2>"$scratch/log"
}
# What Chromium itself would like to know; no name is resolved, for it or for the page.
own='//(clients[0-9]*|accounts|www)\.google\.com/|//(update|optimizationguide-pa|content-autofill)\.googleapis\.com/'
fail() { echo "FAILED: $page: $1"; exit 1; }

# What a reader does: sort, go to an event, zoom, hide a policy, look at another link.
cat >"$scratch/use.js" <<'J'
<script>
const all = (selector) => [...document.querySelectorAll(selector)];
all("table.sortable thead button").forEach((button) => button.click());
all(".controls button").forEach((button) => button.click());
document.querySelector("[data-zoom=in]").click();
const boxes = all("figure:not([hidden]) [data-policy]");
boxes[0].click();
const select = document.getElementById("link");
select.value = String(select.options.length - 1);
select.dispatchEvent(new Event("change"));
const [left, , width] = document.querySelector("figure:not([hidden]) .plot")
  .getAttribute("viewBox").split(" ").map(Number);
const whole = Number(document.querySelector("figure.series").dataset.wide);
const right = document.documentElement.scrollWidth;
parent.postMessage([
  `zoomed=${width < whole && left >= 0}`,
  `sorted=${all("th[aria-sort]").length === 1}`,
  `labels=${all("figure:not([hidden]) .xs span").length > 1}`,
  `hidden=${document.querySelector(".plot .p0")?.style.display === "none"}`,
  `fits=${right <= innerWidth}`,
  `fetched=${performance.getEntriesByType("resource").length}`,
].join(" "), "*");
</script>
J

for page in "$@"; do
  page=$(realpath "$page") name=$(basename "$page" .html)
  [ "$name" != report ] || name=$(basename "$(dirname "$page")")
  browse --log-net-log="$scratch/net.json" --screenshot="$pictures/$name.png" \
    --window-size=1280,5000 "file://$page"
  ! grep CONSOLE "$scratch/log" || fail "the console is not silent"
  ! grep -oE '"url":"(https?|wss?|ftp):[^"]*"' "$scratch/net.json" | grep -vE "$own" ||
    fail "it asks the network"

  sed "/<\/body>/e cat $scratch/use.js" "$page" >"$scratch/used.html"
  cat >"$scratch/phone.html" <<H
<!doctype html><body style="margin:0"><script>
addEventListener("message", (event) => { document.body.dataset.said = event.data; });
</script><iframe src="used.html" style="border:0;width:390px;height:7000px"></iframe>
H
  browse --dump-dom "file://$scratch/phone.html" >"$scratch/dom"
  ! grep CONSOLE "$scratch/log" || fail "the script fails when used"
  said=$(grep -oE 'data-said="[^"]*"' "$scratch/dom" || true)
  [ "$said" = 'data-said="zoomed=true sorted=true labels=true hidden=true fits=true fetched=0"' ] ||
    fail "on a phone: ${said:-nothing}"
  sed -i 's/used\.html/page.html/' "$scratch/phone.html"
  cp "$page" "$scratch/page.html"
  browse --screenshot="$pictures/$name-phone.png" --window-size=500,7000 "file://$scratch/phone.html"

  browse --no-pdf-header-footer --print-to-pdf="$pictures/$name.pdf" "file://$page"
  head -c 4 "$pictures/$name.pdf" | grep -q %PDF || fail "it does not print"
  echo "passed: $name"
done
echo "Look at them: $pictures"
