#!/bin/sh
# Make .venv with everything duban needs, from the lock file. Quick when nothing has changed.
#
# Needs: Python 3.11 or newer, and a package index (PIP_INDEX_URL / UV_INDEX_URL or the machine's pip settings).
# Works as root and as an ordinary user; nothing outside this folder is touched, except that as root the Debian
# package python3-venv is installed where it is missing (it says so).
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

give_up() {
  say "$1"
  say "$2"
  exit 1
}

# --- up to date? ------------------------------------------------------------------------------------------------
# The stamp holds what the environment was made from: lock file, project file and the place it was made at
# (scripts in a virtual environment carry absolute paths, so a moved folder needs a new one).
stamp=.venv/duban-stamp
made_from="$(pwd) $(cat uv.lock pyproject.toml scripts/setup.sh | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_from" ] && .venv/bin/python -c '' 2>/dev/null; then
  exit 0
fi

# --- a Python new enough ----------------------------------------------------------------------------------------
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in "${DUBAN_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
  if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
    python="$(command -v "$candidate")"
    break
  fi
done
[ -n "$python" ] || give_up "需要 Python 3.11 或更新的版本，本机没有找到。Debian：apt-get install python3 python3-venv" \
  "Python 3.11 or newer is needed and was not found. Debian: apt-get install python3 python3-venv"

# --- uv, in a corner of its own ---------------------------------------------------------------------------------
make_venv() { # make_venv FOLDER: an empty environment with pip
  "$python" -m venv --clear "$1" >/dev/null 2>&1 && return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "缺少 python3-venv，正在安装 / python3-venv is missing, installing it: apt-get install python3-venv"
    # Another apt may be running: wait for it instead of failing.
    apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@" >&2; }
    { apt_get install -y --no-install-recommends python3-venv || { apt_get update && apt_get install -y \
      --no-install-recommends python3-venv; }; } || true
    "$python" -m venv --clear "$1" >/dev/null 2>&1 && return 0
  fi
  "$python" -m virtualenv --clear "$1" >/dev/null 2>&1 && return 0
  give_up "无法建立虚拟环境：请安装 python3-venv（Debian：apt-get install python3-venv），或 pip install virtualenv。" \
    "cannot make a virtual environment: install python3-venv (Debian: apt-get install python3-venv) or virtualenv."
}

find_uv() {
  if command -v uv >/dev/null 2>&1; then
    command -v uv
  elif [ -x .cache/uv/bin/uv ] && .cache/uv/bin/uv --version >/dev/null 2>&1; then
    printf '%s/.cache/uv/bin/uv\n' "$(pwd)"
  fi
}

uv="$(find_uv)"
if [ -z "$uv" ]; then
  say "准备 uv（只在 .cache/uv 内） / getting uv (inside .cache/uv only)"
  mkdir -p .cache
  make_venv .cache/uv
  .cache/uv/bin/python -m pip install -qq --disable-pip-version-check 'uv>=0.9' >&2 ||
    give_up "下载 uv 失败：请检查软件包索引（PIP_INDEX_URL 或 pip 配置）。" \
      "uv could not be downloaded: check the package index (PIP_INDEX_URL or pip's configuration)."
  uv="$(pwd)/.cache/uv/bin/uv"
fi

# --- the environment itself -------------------------------------------------------------------------------------
say "按 uv.lock 安装到 .venv / installing into .venv from uv.lock"
export UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE="${UV_LINK_MODE:-copy}"
unset VIRTUAL_ENV || true
"$uv" sync --frozen --all-extras --quiet --python "$python" ||
  give_up "安装失败：请检查网络与软件包索引（UV_INDEX_URL）。" \
    "installing failed: check the network and the package index (UV_INDEX_URL)."

.venv/bin/duban --version >/dev/null || give_up "装好了，但 .venv/bin/duban 不能运行。" \
  "installed, but .venv/bin/duban does not run."
printf '%s\n' "$made_from" >"$stamp"
