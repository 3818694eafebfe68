# SPDX-License-Identifier: Apache-2.0
"""The node scripts: POSIX sh (dash, bash, busybox) for what no single tool of a bare node can say.

Each is sent as ``sh -c TEXT hakuna-NAME ARG...``. What they print is laid down in docs/architecture.md; every
script ends with its end mark, so that a cut output is seen.
"""

from __future__ import annotations

from hakuna.evidence import Command

HOSTNAME = r"""
n=$(uname -n)
echo "hostname $n"
if command -v getent >/dev/null 2>&1; then
  getent ahosts "$n" | while read -r a _; do echo "$a"; done
else
  while read -r a rest; do
    case " ${rest%%#*} " in *" $n "*) case $a in \#*) ;; *) echo "$a";; esac;; esac
  done </etc/hosts
fi | sort -u | while read -r a; do echo "address $a"; done
echo hostname-end
"""

# Inside a container nobody adds the driver's folder to PATH, as transports do on the host.
WHICH = r"""
PATH=${PATH:+$PATH:}/usr/local/Ascend/driver/tools:/usr/local/sbin:/usr/sbin:/sbin
# Not "command -v": a shell's own builtin, or busybox's applet, hides whether there is a file.
for n; do
  p=-
  IFS=:
  for d in $PATH; do
    if [ -f "$d/$n" ] && [ -x "$d/$n" ]; then p=$d/$n; break; fi
  done
  unset IFS
  echo "$n $p"
done
echo which-end
"""

# Places: those of CANN 8.3 (install info, version.cfg) and the new cann-* folders of CANN 8.5.
CANN = r"""
A=/usr/local/Ascend
for f in \
  ${ASCEND_TOOLKIT_HOME:+"$ASCEND_TOOLKIT_HOME"/*-linux/ascend_toolkit_install.info} \
  $A/ascend-toolkit/latest/*-linux/ascend_toolkit_install.info \
  $A/ascend-toolkit/latest/ascend_toolkit_install.info \
  $A/cann/*-linux/ascend_toolkit_install.info $A/cann/ascend_toolkit_install.info \
  $A/cann-*/*-linux/ascend_toolkit_install.info $A/cann-*/ascend_toolkit_install.info \
  $A/ascend-toolkit/latest/version.cfg \
  $A/nnae/latest/ascend_nnae_install.info $A/nnae/latest/*-linux/ascend_nnae_install.info \
  $A/ascend-toolkit/latest/opp/version.info $A/cann/opp/version.info
do
  [ -f "$f" ] && [ -r "$f" ] || continue
  echo "file $f"
  cat "$f"
  echo
  break
done
echo cann-end
"""

# python3 first: it tells refused from silent by errno; then bash with timeout; then nc.
TCP = r"""
t=$1; h=$2; shift 2
if command -v python3 >/dev/null 2>&1; then
  python3 -c '
import errno, socket, sys, threading
def probe(host, port, seconds):
    try:
        socket.create_connection((host, int(port)), seconds).close()
        word = "open"
    except socket.timeout:
        word = "timeout"
    except ConnectionRefusedError:
        word = "refused"
    except OSError as error:
        word = "timeout" if error.errno == errno.ETIMEDOUT else "error " + str(error.strerror or error)
    sys.stdout.write("%s %s\n" % (port, word))
    sys.stdout.flush()
seconds, host, ports = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
threads = [threading.Thread(target=probe, args=(host, p, seconds)) for p in ports]
[x.start() for x in threads]
[x.join() for x in threads]
' "$t" "$h" "$@"
else
  if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    try() { timeout "$t" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$h" "$1" 2>&1; }
  elif command -v nc >/dev/null 2>&1; then
    try() { nc -w "$t" "$h" "$1" </dev/null 2>&1; }
  else
    try() { echo "no python3, bash or nc on the node"; return 1; }
  fi
  for p; do
    (
      w=$(try "$p"); r=$?
      if [ $r = 0 ]; then echo "$p open"
      elif [ $r = 124 ] || [ $r = 143 ]; then echo "$p timeout"
      else
        w=$(printf %s "$w" | tr '\n' ' ')
        case $w in
          *efused*) echo "$p refused";;
          *imed\ out*|*timeout*) echo "$p timeout";;
          *) echo "$p error ${w##*: }";;
        esac
      fi
    ) &
  done
  wait
fi
echo tcp-end
"""

# A lease is one file whose making is atomic (a hard link). Whoever wants to end or replace a lease must first own
# the folder named after that very lease, so two of them can never both succeed. A crash in between leaves the
# folder behind for a minute at most. The expiry is reckoned by the node's own clock, which alone judges it.
LEASE = r"""
do=$1; d=$2; h=$3; e=$4
f=$d/lease
look() { H=; E=0; { read -r H E <"$f"; } 2>/dev/null; case $E in ''|*[!0-9]*) E=0;; esac; [ -n "$H" ]; }
held() { if look; then echo "lease held $H $E"; else echo 'lease free'; fi; }
own() {
  m=$d/change.$(printf %s "$H.$E" | tr -c 'A-Za-z0-9' _)
  O=$H; X=$E
  if ! mkdir "$m" 2>/dev/null; then
    find "$m" -prune -mmin +1 -exec rmdir {} \; 2>/dev/null
    mkdir "$m" 2>/dev/null || return 1
  fi
  if look && [ "$H $E" = "$O $X" ]; then return 0; fi
  rmdir "$m"; return 1
}
case $do in
  show)
    if ! look; then echo 'lease free'
    elif [ "$E" -gt "$(date +%s)" ]; then held
    else echo "lease expired $H $E"
    fi;;
  acquire)
    case $e in +*) e=$(($(date +%s) + ${e#+}));; esac
    n=$d/new.$$
    w=
    for i in 1 2 3; do
      mkdir -p "$d"; chmod 1777 "$d" 2>/dev/null
      if { printf '%s %s\n' "$h" "$e" >"$n"; } 2>/dev/null; then w=1; break; fi
    done
    if [ -z "$w" ]; then rm -f "$n"; echo "cannot write $n" >&2; exit 1; fi
    if ln "$n" "$f" 2>/dev/null; then echo "lease acquired $h $e"
    elif look && { [ "$H" = "$h" ] || [ "$E" -le "$(date +%s)" ]; } && own; then
      if mv -f "$n" "$f" 2>/dev/null; then echo "lease acquired $h $e"; else held; fi
      rmdir "$m"
    else held
    fi
    rm -f "$n";;
  release)
    if ! look; then echo 'lease free'
    else
      case $H in
        "$h"|*/"$h")
          if own; then
            if rm -f "$f"; then echo 'lease released'; else held; fi
            rmdir "$m"
            rmdir "$d" 2>/dev/null
          else held
          fi;;
        *) held;;
      esac
    fi;;
esac
exit 0
"""

# One grep reads every process; only those that match are looked at one by one. Where grep is busybox's, which stops
# at a NUL, every process is. Secrets on command lines never leave the node.
#: The variables of processes that are read, by the beginning of their names; everything else may be a secret.
LISTED = (
    "GLOO_",
    "TP_SOCKET",
    "HCCL_",
    "RAY_",
    "ASCEND_",
    "RANK_TABLE",
    "LMDEPLOY_",
    "HAKUNA_",
    "PYTORCH_NPU",
    "LD_PRELOAD",
    "OMP_NUM",
)

PROCS = r"""
unset HAKUNA_RUN
cd /proc || exit 1
nl='
'
if printf 'a\0b' | grep -q b 2>/dev/null && printf 'a\0b' | grep -aqF b 2>/dev/null; then
  sift() { k=$1; shift; grep -lsaF "$@" [0-9]*/$k 2>/dev/null | sed 's,/.*,,'; }
else
  sift() { for s in [0-9]*; do echo "$s"; done; }
fi
text() { tr '\n\000' ' \n' <"$1/$2" 2>/dev/null; }
c=0
for q; do
  case $q in HAKUNA_RUN=*) k=environ;; *) k=cmdline;; esac
  for p in $(sift $k -e "$q"); do
    case " $seen " in *" $p "*) continue;; esac
    a=$(text "$p" cmdline)
    [ -n "$a" ] || continue
    case "$nl$a$nl" in *"$nl"hakuna-procs"$nl"*) continue;; esac
    v=$(text "$p" environ)
    if [ $k = environ ]; then case "$nl$v" in *"$nl$q"*) ;; *) continue;; esac
    else case $a in *"$q"*) ;; *) continue;; esac
    fi
    { read -r s <"$p/stat"; } 2>/dev/null || continue
    set -f; set -- ${s##*) }; set +f
    [ $# -ge 20 ] && [ "$1" != Z ] || continue
    seen="$seen $p"; c=$((c+1))
    echo "process $p ${20} $2"
    printf '%s\n' "$a" | sed -e '/^--api[-_]key/,/^--/{/^--/!s/.*/***/;}' \
      -e 's/^\(--api[-_]keys\{0,1\}=\).*/\1***/' -e 's/^\(--redis[-_]password=\).*/\1***/' -e 's/^/arg /'
    printf '%s\n' "$v" |
      grep -E '^(LISTED_NAMES)' |
      grep -viE '^[^=]*(KEY|TOKEN|SECRET|PASSWORD)[^=]*=' | sed 's/^/env /'
    sed -n 's/^Max open files *\([^ ]*\).*/limit nofile \1/p' "$p/limits" 2>/dev/null
    echo end
  done
done
echo "procs-end $c"
""".replace("LISTED_NAMES", "|".join(LISTED))

ALIVE = r"""
if { read -r s <"/proc/$1/stat"; } 2>/dev/null; then
  s=${s##*) }
  case $s in [ZX]*) echo gone;; *) echo alive;; esac
else echo gone
fi
"""

WRITE = r"""
set -e
umask 022
case $1 in */*) mkdir -p "${1%/*}";; esac
n=$1.hakuna.$$
trap 'rm -f "$n"' EXIT
cat >"$n"
b=$(wc -c <"$n")
mv -f "$n" "$1"
echo "wrote $1" $b
"""

# A number can belong to another process by now: the label is looked at right before the signal. The engine's own client
# carries it as an argument of its own (--label hakuna.run=RUN).
KILL = r"""
r=$1; g=$2; shift 2
nl='
'
for p; do
  if { read -r s <"/proc/$p/stat"; } 2>/dev/null; then s=${s##*) }; else s=Z; fi
  case $s in [ZX]*) echo "gone $p"; continue;; esac
  v=$(tr '\n\000' ' \n' <"/proc/$p/environ" 2>/dev/null)
  w=$(tr '\n\000' ' \n' <"/proc/$p/cmdline" 2>/dev/null)
  case "$nl$v$nl$w$nl" in
    *"${nl}HAKUNA_RUN=$r$nl"*|*"${nl}--label${nl}hakuna.run=$r$nl"*)
      if kill -s "$g" "$p" 2>/dev/null; then echo "killed $p"
      elif [ -d "/proc/$p" ]; then echo "foreign $p"
      else echo "gone $p"
      fi;;
    *) if [ -d "/proc/$p" ]; then echo "foreign $p"; else echo "gone $p"; fi;;
  esac
done
echo kill-end
"""

# Hakuna's own folder goes when nothing is left in it, and stays for whoever else has files there.
REMOVE = r"""
o=/tmp/hakuna; w=absent
for f; do
  if [ "$f" = "$o" ]; then continue
  elif [ -L "$f" ] || [ -f "$f" ] || [ -p "$f" ]; then
    if rm -f "$f" 2>/dev/null; then echo "removed $f"; else echo "left $f"; fi
  elif [ -d "$f" ]; then
    if rmdir "$f" 2>/dev/null; then echo "removed $f"; else echo "left $f"; fi
  elif [ -e "$f" ]; then echo "left $f"
  else echo "absent $f"
  fi
done
case " $* " in *" $o "*|*" $o/"*)
  if rmdir "$o" 2>/dev/null; then w=removed; fi
esac
for f; do if [ "$f" = "$o" ]; then echo "$w $f"; fi; done
echo remove-end
"""

# Ray's and CANN's own places for logs. Of a large file: what may tell something, from its beginning (the first error is
# there), and its end.
LOGS = r"""
m=$1; b=$2
r=${RAY_TMPDIR:-/tmp}/ray/session_latest/logs
a=${ASCEND_PROCESS_LOG_PATH:-${HOME:-/root}/ascend/log}
exec 2>/dev/null
w='ERROR|E[A-Z][0-9][0-9][0-9][0-9]|[Ee]rror|ank|evice|died|dead|kill|SIG|Fatal|imed? ?out|refused|reset|memory|space'
{
  find "$a" -type f \( -path '*/plog/*.log' -o -path '*/device-*/*.log' \) -mmin "-$m" -size +0
  find "$r/" -type f \( -name 'worker-*.err' -o -name 'worker-*.out' -o -name 'raylet.*' \) -mmin "-$m" -size +0
} | sort | head -n 160 | while IFS= read -r f; do
  s=$(wc -c <"$f") || continue
  s=$((s))
  if [ "$s" -le "$b" ]; then
    echo "file $s whole $f"
    sed 's/^/|/' "$f"
  else
    echo "file $s lines $f"
    { grep -aE "$w" "$f" | head -n 160; tail -n 20 "$f"; } | cut -c1-1500 | sed 's/^/|/'
  fi
  echo
done
echo logs-end
"""

TEXTS = {
    "hostname": HOSTNAME,
    "which": WHICH,
    "cann": CANN,
    "tcp": TCP,
    "lease": LEASE,
    "procs": PROCS,
    "alive": ALIVE,
    "write": WRITE,
    "kill": KILL,
    "remove": REMOVE,
    "logs": LOGS,
}


def script(
    name: str,
    *args: str,
    id: str,  # noqa: A002  # the field of Command
    deadline: float = 20.0,
    stdin: bytes = b"",
    mutates: bool = False,
    lane: str = "",
    sudo: bool = False,
) -> Command:
    """The command that runs the node script ``hakuna-NAME`` with ``args``."""
    argv = ("sh", "-c", TEXTS[name].strip(), f"hakuna-{name}", *args)
    return Command(id, argv, deadline=deadline, lane=lane, stdin=stdin, mutates=mutates, sudo=sudo, query=not mutates)
