#!/bin/sh
# Make sure systemd-analyze is there: the tests check our units with it. Quick when it is. No service is started.
set -eu

command -v systemd-analyze >/dev/null 2>&1 && exit 0

say() { printf '%s\n' "$*" >&2; }

say "测试要用 systemd-analyze，正在安装软件包 systemd / installing the package systemd for its systemd-analyze"
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  say "没有权限安装：请先安装软件包 systemd。"
  say "not allowed to install: please install the package systemd first."
  exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
  say "本机没有 apt-get，请自行安装 systemd / there is no apt-get here, please install systemd"
  exit 1
fi
apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 -qq "$@" >&2; }
apt_get install -y --no-install-recommends systemd ||
  { apt_get update && apt_get install -y --no-install-recommends systemd; }
