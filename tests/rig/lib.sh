# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the rig's scripts share: messages, places, and Debian's mirror as apt knows it.
# shellcheck shell=bash

rig_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rig_cache=${KRUN_GPU_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/krun-gpu}/rig

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Ends with 125, as podman does when it is podman, and not the command, that failed.
die() {
	say "$@"
	exit 125
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "needs root: it mounts file systems and installs packages"
}

# number NAME VALUE - refuses what is not a positive whole number.
number() {
	[[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || die "$1 wants a positive whole number, not \"$2\""
}

# host_packages PACKAGE... - installs those of the host's packages that are missing.
host_packages() {
	local missing=() p

	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
			missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	need_root
	say "installing on this machine: ${missing[*]}"
	apt-get -q update >&2
	DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
		"${missing[@]}" >&2
}

# reachable URL - whether apt's own means of transport can fetch it.
reachable() {
	local to rc=0

	to=$(mktemp)
	/usr/lib/apt/apt-helper download-file "$1" "$to" >/dev/null 2>&1 || rc=1
	rm -f "$to"
	return $rc
}

# debian_sources SUITE - the machine's Debian archives, turned into one-line entries for SUITE.
#
# apt itself reads its configuration, in whichever of its two formats, and tells what each archive
# calls itself; codename, codename-updates and codename-security become those of SUITE.
debian_sources() {
	local suite=$1 uri codename origin components release main=no

	while read -r uri codename origin components; do
		[ "$origin" = Debian ] || continue
		case $codename in
		*-updates) release=$suite-updates ;;
		*-security) release=$suite-security ;;
		*-*) continue ;;
		*) release=$suite ;;
		esac
		if ! reachable "${uri%/}/dists/$release/InRelease"; then
			say "no $release in this machine's Debian archive: going without it"
			continue
		fi
		[ "$release" = "$suite" ] && main=yes
		printf 'deb [signed-by=%s] %s %s %s\n' \
			/usr/share/keyrings/debian-archive-keyring.gpg "$uri" "$release" "$components"
	done < <(apt-get indextargets \
		--format '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
		awk '$4 == "main"' | sort -u)
	[ $main = yes ] || die "this machine's apt sources name no Debian archive that has $suite"
}
