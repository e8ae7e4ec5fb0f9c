#!/bin/sh
# Play our Twilio channel against a mock server made from Twilio's own API description (OpenAPI), on loopback:
#   sh scripts/twilio-contract.sh twilio_api_v2010.json
# The description is at https://github.com/twilio/twilio-oai (spec/json/twilio_api_v2010.json, MIT); it is not kept here.
# Needs Node.js: npx fetches Prism (90 MB, once). Not part of the tests that run every time.
set -eu

say() { printf '%s\n' "$*" >&2; }

spec="${1:-}"
if [ ! -f "$spec" ]; then
  say "用法：sh scripts/twilio-contract.sh twilio_api_v2010.json（Twilio 的 OpenAPI 文件）"
  say "usage: sh scripts/twilio-contract.sh twilio_api_v2010.json (Twilio's OpenAPI file)"
  exit 2
fi
if ! command -v npx >/dev/null 2>&1; then
  say "没有 npx，请先安装 Node.js / there is no npx, please install Node.js"
  exit 2
fi
python="${DUBAN_PYTHON:-$(dirname "$0")/../.venv/bin/python}"
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"

setsid npx -y @stoplight/prism-cli@5 mock -h 127.0.0.1 -p "$port" -d false "$spec" >/dev/null 2>&1 &
prism=$!
trap 'kill -- "-$prism" 2>/dev/null || true' EXIT INT TERM
waited=0
until "$python" -c "import socket; socket.create_connection(('127.0.0.1', $port), 1).close()" 2>/dev/null; do
  waited=$((waited + 1))
  if [ "$waited" -gt 180 ] || ! kill -0 "$prism" 2>/dev/null; then
    say "Prism 没有起来 / Prism did not start"
    exit 1
  fi
  sleep 1
done
DUBAN_TWILIO_MOCK="http://127.0.0.1:$port" "$python" -m pytest -q -s "$(dirname "$0")/../tests/contracts/published_twilio.py"
