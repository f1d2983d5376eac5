# SPDX-License-Identifier: GPL-2.0-or-later
#
# What contrib's scripts share: messages, steps with progress and a time limit, places, and the
# Debian that the project is built in.
# shellcheck shell=bash

contrib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
checkout=$(cd "$contrib_dir/.." && pwd)
cache=${KRUN_GPU_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/krun-gpu}
rig=$checkout/tests/rig

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	printf '%s: error: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "needs root: it installs packages and mounts file systems"
}

# debian_release - 12, 13, …; testing and unstable, which give themselves no number, are newer.
debian_release() {
	local id version
	id=$(. /etc/os-release && printf '%s' "${ID-}")
	version=$(. /etc/os-release && printf '%s' "${VERSION_ID-}")
	[ "$id" = debian ] || die "this is made for Debian 12 or newer; /etc/os-release says \"$id\""
	printf '%s\n' "${version:-999}"
}

# builds_natively - whether this machine's own packages are new enough to build with.
builds_natively() {
	[ "$(debian_release)" -ge 13 ]
}

# host_packages PACKAGE... - installs those that are missing.
host_packages() {
	local missing=() p

	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
			missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	need_root
	say "installing on this machine: ${missing[*]}"
	apt-get -q -o DPkg::Lock::Timeout=300 update >&2
	DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y \
		--no-install-recommends "${missing[@]}" >&2
}

# listed_packages SECTION... - the packages of tests/rig/packages under the given comment lines.
listed_packages() {
	local section

	for section in "$@"; do
		awk -v want="# $section" '
			/^#/ { on = $0 == want; if (on) found = 1; next }
			on && NF { print $1 }
			END { exit !found }' "$rig/packages" ||
			die "tests/rig/packages has no section \"$section\""
	done
}

# in_debian13 DIR... -- COMMAND... - runs a command where the project is built, with DIRs writable.
in_debian13() {
	local binds=()

	while [ "$1" != -- ]; do
		binds+=(--bind "$1")
		shift
	done
	shift
	if builds_natively; then
		"$@"
	else
		"$rig/chroot" --bind "$checkout" "${binds[@]}" -- "$@"
	fi
}

# end_group PID - ends the process group that PID leads, gently and then not.
end_group() {
	local i

	kill -TERM -- "-$1" 2>/dev/null || return 0
	for ((i = 0; i < 100; i++)); do
		kill -0 -- "-$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL -- "-$1" 2>/dev/null || true
}

# step LIMIT LOG WHAT COMMAND... - runs a command with its output in LOG and no input; says how long
# it has been at it every 15 seconds; ends it after LIMIT seconds, as 124.
step() {
	local limit=$1 log=$2 what=$3 start=$SECONDS next=15 code=0 pid
	shift 3

	say "$what"
	set -m
	"$@" < /dev/null >> "$log" 2>&1 &
	pid=$!
	set +m
	step_pid=$pid
	while kill -0 $pid 2>/dev/null; do
		sleep 0.3
		if [ $((SECONDS - start)) -ge "$limit" ]; then
			end_group $pid
			say "$what: stopped after its $limit s"
			code=124
			break
		fi
		if [ $((SECONDS - start)) -ge $next ]; then
			say "$what: $((SECONDS - start)) s: $(last_line "$log")"
			next=$((next + 15))
		fi
	done
	wait $pid || [ $code -ne 0 ] || code=$?
	step_pid=
	step_seconds=$((SECONDS - start))
	return $code
}

# end_step - for a script's EXIT trap: ends the command of a step that was interrupted.
end_step() {
	[ -z "${step_pid-}" ] || end_group "$step_pid"
}

# last_line LOG - the last line with anything in it, for one line of a terminal.
last_line() {
	tail -c 4000 "$1" | tr '\r' '\n' | grep -a '[[:alnum:]]' | tail -n 1 | tr -cd '[:print:]' |
		cut -c 1-100
}
