# SPDX-License-Identifier: Apache-2.0
"""The part of a batch's script that is the same for every batch, in POSIX sh (dash, bash, busybox).

How it works, for whoever has to change it:

- Everything stands inside one ``{ ... }``: a shell that got only a part of the script runs none of it.
- Each lane is one element of a pipeline, with all its streams elsewhere. Elements run side by side, and, unlike
  ``&`` jobs, they do not make their commands ignore SIGINT. The last element, ``M``, is the only one that
  keeps the channel; lanes tell it what happens through a fifo (``$D/ev``).
- A command writes into two fifos, and two readers (``head``) write at most limit + 1 bytes of them to files. When
  one has its fill, ``M`` starts a ``cat`` that throws the rest away. So nothing grows, the command is not
  killed by a broken pipe, and a full disk shows as a reader's exit status instead of as short output.
- A query (``h_``) has neither fifos nor readers: it prints into its files, whose size ``ulimit -f`` keeps. Its mark
  (``INDEX.t``), written after its end, shows that there was room.
- A command may leave something behind that keeps its output open. A second after the command's end ``M`` fills
  what its readers still wait for, and the controller cuts that off again.
- Whoever opens one end of a fifo waits for the other, and dash and busybox lose a signal that comes right after a
  fork. So no job ever opens a fifo: it is given an end that its parent has opened (both first, then the one).
- ``M`` gets a tick every half second. It ends commands at their deadline (their whole process tree, TERM, then KILL)
  and gives up on one that even KILL does not end (a process stuck in a driver): its lane goes on without it.
- A command's steps (the processes that it starts itself) have a deadline where it names one (``n_``). ``M`` looks after
  all of them: a watcher in each command would cost a fork and a ``sleep`` every second for each device of a node.
- Frames are written by a job of their own, so that a slow channel never stops the watching of deadlines.
- Files are made in memory (/dev/shm) unless TMPDIR is set: a disk's file system takes longer to make the few hundred
  small files of a batch than the commands run, and a full disk is then no obstacle.
- Forks are what a batch of short commands costs. So clocks and process ids come from /proc by the shell itself
  (``read`` takes a system call for each byte, so what it reads is short) and frames leave in groups: one ``wc`` and one
  ``cat`` for many.
- The script's own tools come from the system's folders only; the PATH in ``$K`` is for the commands.
"""

from __future__ import annotations

#: What is appended to the node's PATH for the commands (docs/architecture.md).
COMMAND_PATH = "/usr/local/Ascend/driver/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Version of the frames, in the begin mark.
FRAMES_VERSION = 1

#: Before the definitions of the batch. ``<WORD>`` is filled in by hakuna.transports.framing.
HEAD = r"""{
LC_ALL=C; export LC_ALL
K="${PATH:+$PATH:}<PATH>"
PATH=/usr/bin:/bin:/usr/sbin:/sbin; export PATH
umask 022
exec </dev/null
unset IFS
n=<COUNT>
say() { printf '\n@<NONCE> %s\n' "$*"; }
die() { say "X $*"; exit 0; }
now() { read -r T _ </proc/uptime; }
me() { set -- /proc/self/task/*; p=${1##*/}; }
T=0.00
now 2>/dev/null || { say 'B <VERSION> 0.00'; die 'no /proc on the node'; }
say "B <VERSION> $T"
for t in mktemp mkfifo head cat wc rm sleep; do
  command -v $t >/dev/null || die "the node has no $t in $PATH"
done
D=
[ -n "$TMPDIR" ] || D=$(mktemp -d /dev/shm/hakuna.XXXXXXXX 2>/dev/null) || D=
[ -n "$D" ] || D=$(mktemp -d "${TMPDIR:-/tmp}/hakuna.XXXXXXXX" 2>&1) || die "scratch $D"
trap '[ ! -d "$D" ] || rm -rf "$D"' EXIT
trap 'exit 1' HUP INT TERM PIPE
W() {
  w=$1
  case $1 in */*) [ -x "$1" ]; return;; esac
  set -f; IFS=:
  for p in $PATH; do
    [ -f "$p/$1" ] && [ -x "$p/$1" ] && { w=$p/$1; break; }
  done
  set +f; unset IFS
  case $w in */*) return 0;; esac
  return 1
}
"""

#: After the definitions of the batch; ends with the pipeline of lanes, which framing appends.
BODY = r"""
L() {
  exec </dev/null >/dev/null 2>&1
  l=$1; shift
  me
  echo "l $l $p" >&8
  for i; do
    eval "q=\${q_$i:-$Q} h=\${h_$i:-}"
    if [ -n "$h" ]; then
      (
        me
        now
        echo "s $i $l $p $T" >&8
        exec >>"$D/$i.O" 2>>"$D/$i.E" 8>&-
        ulimit -f $((q/512+1)) 2>/dev/null
        PATH=$K
        C$i
      )
      r=$?
      now
      echo "x $i $r $T" >&8
      x=1
      { printf '\n@<NONCE> ;\n' >"$D/$i.t" && [ -s "$D/$i.t" ] && x=0; } 2>/dev/null
      echo "e $i $x $x" >&8
      continue
    fi
    exec 5<>"$D/$i.o" 6<>"$D/$i.e"
    exec 3<"$D/$i.o" 4<"$D/$i.e" 7>"$D/$i.o" 9>"$D/$i.e"
    exec 5>&- 6>&-
    head -c $((q+1)) <&3 >"$D/$i.O" 3<&- 4<&- 7>&- 8>&- 9>&- &
    a=$!
    head -c $((q+1)) <&4 >"$D/$i.E" 3<&- 4<&- 7>&- 8>&- 9>&- &
    b=$!
    (
      me
      now
      echo "s $i $l $p $T $a $b" >&8
      exec >&7 2>&9 3<&- 4<&- 7>&- 8>&- 9>&-
      PATH=$K
      C$i
    )
    r=$?
    now
    echo "x $i $r $T" >&8
    exec 7>&- 9>&-
    wait $a; x=$?
    wait $b; y=$?
    exec 3<&- 4<&-
    echo "e $i $x $y" >&8
  done
}

# tree PID: PID and its descendants, as PID:START words in $F.
tree() {
  F=' '; G=" $1 "; more=1
  while [ $more = 1 ]; do
    more=0
    for p in /proc/[0-9]*/stat; do
      { read -r line <"$p"; } 2>/dev/null || continue
      p=${line%% *}
      set -- ${line##*) }
      [ $# -ge 20 ] || continue
      case $F in *" $p:"*) continue;; esac
      case $G in *" $p "*|*" $2 "*)
        F="$F$p:${20} "
        case $G in *" $p "*) ;; *) G="$G$p "; more=1;; esac;;
      esac
    done
  done
}

# hit SIGNAL INDEX: signal those of the command's tree, as it was when first hit and as it is, that still live.
hit() {
  signal=$1; root=$2
  eval "tree \$p_$root; F=\"\$f_$root\$F\"; f_$root=\$F; su=\${z_$root:-}"
  for one in $F; do
    { read -r line <"/proc/${one%%:*}/stat"; } 2>/dev/null || continue
    set -- ${line##*) }
    [ "${20}" = "${one#*:}" ] || continue
    kill -s $signal "${one%%:*}" 2>/dev/null && continue
    [ -z "$su" ] || sudo -n -- kill -s $signal "${one%%:*}" </dev/null >/dev/null 2>&1
  done
}

# emit INDEX...: write the frames of these commands; none: a sign of life.
emit() {
  cd "$D" || return 1
  [ $# -gt 0 ] || { say .; return; }
  names=; good=
  for i; do
    eval "o=\$w_$i"
    if [ "$o" = 0 ]; then good="$good $i"; names="$names $i.O $i.E"; else say "D $i" || return 1; fi
  done
  [ -n "$good" ] || return 0
  set -- $(exec wc -c $names)
  names=; again=
  for i in $good; do
    if [ "$2" = "$i.O" ] && [ "$4" = "$i.E" ] && eval "printf '\n@<NONCE> F %s %s %s %s %s %s %s\n' \
        $i \$r_$i \$g_$i \$t_$i \$u_$i $1 $3" 2>/dev/null >"$i.h"; then
      names="$names $i.h"
      [ $1 = 0 ] || names="$names $i.O"
      [ $3 = 0 ] || names="$names $i.E"
      names="$names tail"
      shift 4
    else
      again="$again $i"
      [ "$2" = "$i.O" ] && shift 2
      [ "$2" = "$i.E" ] && shift 2
    fi
  done
  for i in $again; do say "D $i" || return 1; done
  [ -z "$names" ] || cat $names || return 1
  for i in $good; do : >"$i.O"; : >"$i.E"; done
}

# finish INDEX CAPTURE-FAILED
finish() {
  eval "w_$1=$2 s_$1=d"
  rest=' '
  for one in $run; do [ $one = $1 ] || rest="$rest$one "; done
  run=$rest
  pend="$pend $1"; waiting=$((waiting+1)); left=$((left-1))
}

# abandon INDEX: not even KILL ended it. Its lane's shell is ended and another one does the rest of the lane.
abandon() {
  eval "lane=\$l_$1"
  eval "kill -KILL \$lp_$lane \$a_$1 \$b_$1 \$dr_$1"
  eval "all=\$ll_$lane; r_$1=137 u_$1=\$T"
  finish $1 0
  again=
  for j in ${all#*" $1 "}; do
    if [ -e "$D/$j.O" ]; then finish $j 1; else again="$again $j"; fi
  done
  [ -z "$again" ] || L $lane $again &
} 2>/dev/null

gone() {
  trap '' HUP INT TERM PIPE
  exec >/dev/null 2>&1
  kill $ticker
  eval "kill -KILL $lanes"
  for i in $run; do hit TERM $i; done
  [ "$run" = ' ' ] || sleep 1
  for i in $run; do hit KILL $i; eval "kill -KILL \$a_$i \$b_$i \$dr_$i"; done
  rm -rf "$D"
  exit 1
}

# drain INDEX STREAM READER: once that reader has ended, throw away what still comes.
drain() {
  eval "p=\$$3_$1; case \$dd_$1 in *$2*) return;; esac"
  [ -n "$p" ] || return 0
  if { read -r line <"/proc/$p/stat"; } 2>/dev/null; then
    set -- $1 $2 ${line##*) }
    [ $3 = Z ] || return 0
  fi
  exec 3<>"$D/$1.$2" 4<"$D/$1.$2" 3<&-
  cat >/dev/null <&4 4<&- 8>&- &
  eval "dr_$1=\"\$dr_$1 $!\" dd_$1=\$dd_$1$2"
  exec 4<&-
}

# pad INDEX STREAM: fill a stream that something left behind keeps open, so that its reader ends and writes what it
# has; the controller cuts this off again.
pad() {
  [ -p "$D/$1.$2" ] || return 0
  eval "q=\${q_$1:-$Q}"
  exec 3<>"$D/$1.$2" 4>"$D/$1.$2" 3<&-
  { printf '\n@<NONCE> p\n'; exec head -c $((q+2)) /dev/zero; } >&4 4>&- 8>&- &
  eval "dr_$1=\"\$dr_$1 $!\""
  exec 4>&-
}

# mind INDEX: kill the step that this command has been waiting for too long.
mind() {
  eval "x=\$p_$1 su=\${z_$1:-}"
  while :; do
    q=
    { read -r q <"/proc/$x/task/$x/children"; } 2>/dev/null
    q=${q##* }
    # sudo is not the command, and it may be there twice: the one that the terminal talks to, and its monitor.
    [ -n "$su" ] && [ -n "$q" ] && { read -r o <"/proc/$x/comm"; } 2>/dev/null && [ "$o" = sudo ] || break
    x=$q
  done
  eval "[ \"$q\" = \"\$m_$1\" ] || m_$1=$q v_$1=$c"
  eval "[ -n \"$q\" ] && [ $c -ge \$((v_$1+n_$1)) ]" || return 0
  kill -s KILL $q 2>/dev/null || [ -z "$su" ] || sudo -n -- kill -s KILL $q </dev/null >/dev/null 2>&1
}

tick() {
  now
  c=${T%%.*}${T#*.}
  [ $c -lt $end ] || gone
  long=
  for i in $run; do
    eval "k=\$k_$i; s=\$s_$i; m=\${n_$i:-}"
    [ -z "$m" ] || [ $s != r ] || mind $i
    [ $c -lt $k ] || case $s in
      r) eval "s_$i=T g_$i=T k_$i=$((c+200))"; hit TERM $i;;
      T) eval "s_$i=K k_$i=$((c+200))"; hit KILL $i;;
      K) abandon $i; continue;;
      x) eval "s_$i=y g_$i=\${g_$i}L k_$i=$((c+300))"; pad $i o; pad $i e;;
      y) eval "kill \$a_$i \$b_$i";;
    esac
    case $s in [rTK]) long="$long $i";; esac
  done
  # A reader that ended before its command has its limit, or no room: the rest is thrown away.
  for i in $long; do
    drain $i o a
    drain $i e b
  done
  beat=$((beat+1))
  [ $busy = 1 ] || [ $beat -lt <BEAT> ] || send
}

# send INDEX...: write frames, in a job of its own that tells when it is done.
send() {
  busy=1; beat=0
  { trap '' PIPE; emit "$@"; echo "c $?" >&8; } &
}

M() {
  exec </dev/null 2>/dev/null
  trap gone HUP INT TERM PIPE
  left=$n; run=' '; pend=; waiting=0; busy=0; beat=0; lanes=; fresh=0
  me; main=$p
  {
    exec >/dev/null 2>&1
    while sleep <TICK> || sleep 1; do
      kill -0 $main || exit
      echo t >&8
    done
  } &
  ticker=$!
  while [ $left -gt 0 ] || [ $busy = 1 ] || [ -n "$pend" ]; do
    if [ $busy = 0 ] && [ -n "$pend" ] && { [ $left = 0 ] || [ $fresh = 1 ] || [ $waiting -ge 16 ]; }; then
      send $pend
      pend=; waiting=0
    fi
    fresh=0
    read -r what i x1 x2 x3 x4 x5 <&8 || gone
    case $what in
      t) tick; fresh=1;;
      l) eval "lp_$i=$x1"; lanes="$lanes $x1";;
      s)
        c=${x3%%.*}${x3#*.}
        eval "l_$i=$x1 p_$i=$x2 t_$i=$x3 a_$i=$x4 b_$i=$x5 s_$i=r g_$i=- f_$i= m_$i= dr_$i= dd_$i="
        eval "k_$i=\$((c+\${d_$i:-$Y}))"
        run="$run$i ";;
      x)
        eval "[ \$s_$i = d ]" || {
          c=${x2%%.*}${x2#*.}
          eval "s_$i=x r_$i=$x1 u_$i=$x2 k_$i=\$((c+100)); [ -z \"\$dr_$i\" ] || kill \$dr_$i"
        };;
      e)
        eval "[ \$s_$i = d ] || { [ -z \"\$dr_$i\" ] || kill \$dr_$i; v=1; [ $x1$x2 != 00 ] || v=0; finish $i \$v; }";;
      c) [ "$i" = 0 ] || gone; busy=0;;
    esac
  done
  kill $ticker
  rm -rf "$D"
  say "E $n"
}
"""
