# SPDX-License-Identifier: GPL-2.0-or-later
#
# An emulated host as the scripts up, run and down see it: a name, a folder with its state, its QEMU.
# shellcheck shell=bash
#
# The folder: options (how it was started), port (its sshd's, on 127.0.0.1), pid (QEMU's),
# console.log, qemu.log, seed/ (what the host reads at boot), key and known_hosts (what run needs
# to get in), ssh (the socket of the connection that runs share).
# shellcheck disable=SC2034

# vm_defaults - the options that up and run take, unset.
vm_defaults() {
	vm_name=${KRUN_GPU_RIG:-default}
	vm_named=${KRUN_GPU_RIG:+yes}
	vm_mem=4
	vm_cpus=2
	vm_share=''
	vm_overlays=()
	vm_icount=no
	vm_append=''
	vm_boot_options=no
}

# vm_option OPTION VALUE - takes one option of those; 1 when it is none, else vm_shift arguments of
# the command line are done with.
vm_option() {
	vm_shift=2
	case $1 in
	--name) vm_name=${2-} vm_named=yes ;;
	--mem) vm_mem=${2-} vm_boot_options=yes ;;
	--cpus) vm_cpus=${2-} vm_boot_options=yes ;;
	--share) vm_share=${2-} vm_boot_options=yes ;;
	--overlay) vm_overlays+=("${2-}") vm_boot_options=yes ;;
	--append) vm_append=${2-} vm_boot_options=yes ;;
	--icount) vm_icount=yes vm_boot_options=yes vm_shift=1 ;;
	*) return 1 ;;
	esac
}

# vm_check - refuses options that cannot be; makes their paths absolute; sets vm_dir.
vm_check() {
	local i base

	[[ $vm_name =~ ^[a-zA-Z0-9][a-zA-Z0-9-]{0,31}$ ]] ||
		die "--name wants letters, digits and \"-\", not \"$vm_name\""
	number --mem "$vm_mem"
	number --cpus "$vm_cpus"
	if [ -n "$vm_share" ]; then
		[ -d "$vm_share" ] || die "--share: there is no folder \"$vm_share\""
		vm_share=$(realpath "$vm_share")
	fi
	for i in "${!vm_overlays[@]}"; do
		vm_check_overlay "${vm_overlays[i]}"
		vm_overlays[i]=$(realpath "${vm_overlays[i]}")
	done
	base=${XDG_RUNTIME_DIR:-/tmp}/krun-gpu-rig-$(id -u)
	[ -d "$base" ] || mkdir -m 700 "$base"
	if [ ! -O "$base" ] || [ -L "$base" ]; then
		die "$base belongs to somebody else"
	fi
	vm_dir=$base/$vm_name
}

# In Debian's root bin, lib and sbin are links into usr; a folder laid over one would hide it.
vm_check_overlay() {
	local d

	[ -d "$1" ] || die "--overlay: there is no folder \"$1\""
	for d in bin sbin lib lib32 lib64; do
		[ ! -d "$1/$d" ] || [ -L "$1/$d" ] ||
			die "--overlay: $1/$d would hide the root's; install with --prefix=/usr"
	done
}

# vm_running - whether this emulated host's QEMU is there.
vm_running() {
	local pid

	pid=$(cat "$vm_dir/pid" 2>/dev/null) || return 1
	grep -qsazxF "krun-gpu-rig-$vm_name" "/proc/$pid/cmdline"
}

# vm_options_text - the boot options in one form, to compare.
vm_options_text() {
	printf '%s\n' "mem=$vm_mem" "cpus=$vm_cpus" "share=$vm_share" "icount=$vm_icount" "append=$vm_append" \
		"${vm_overlays[@]/#/overlay=}"
}

# vm_keys - keys for both ends, made anew for each emulated host.
vm_keys() {
	mkdir "$vm_dir/seed"
	ssh-keygen -q -t ed25519 -N '' -C rig -f "$vm_dir/seed/host_key"
	ssh-keygen -q -t ed25519 -N '' -C rig -f "$vm_dir/key"
	mv "$vm_dir/key.pub" "$vm_dir/seed/authorized_keys"
	printf 'rig %s\n' "$(cat "$vm_dir/seed/host_key.pub")" > "$vm_dir/known_hosts"
}

# vm_share_folder TAG DIR [,OPTIONS] - adds a folder of the root's to vm_args, for the host's 9p.
vm_share_folder() {
	vm_args+=(-virtfs "local,mount_tag=$1,path=$2,security_model=none,multidevs=remap${3-}")
}

# vm_alone COMMAND... - becomes the command, with none of the caller's fds but the first three: whoever
# waits for the other end of one must not wait for what stays.
vm_alone() {
	local fd

	for fd in /proc/"$BASHPID"/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-"
	done
	exec "$@"
}

# vm_qemu PORT ROOT BOOT - starts QEMU in the background, out of the root.
vm_qemu() {
	local port=$1 i binds line vm_args=() accel=tcg,thread=multi

	line="console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check audit=0"
	# nohz=off: a processor that was not woken for what it has to do wakes up at its next tick.
	line+=" nohz=off"
	line+=" cryptomgr.notests rcupdate.rcu_expedited=1 apparmor=0 net.ifnames=0"
	line+=" rig.name=$vm_name rig.overlays=${#vm_overlays[@]}"
	line+=" rig.share=$([ -z "$vm_share" ] || echo 1) $vm_append"

	binds=(--bind "$2:/rig/root" --bind "$3:/rig/boot" --bind "$vm_dir:/rig/vm")
	vm_share_folder root /rig/root ,readonly=on
	vm_share_folder seed /rig/vm/seed ,readonly=on
	for i in "${!vm_overlays[@]}"; do
		binds+=(--bind "${vm_overlays[i]}:/rig/overlay$i")
		vm_share_folder "overlay$i" "/rig/overlay$i" ,readonly=on
	done
	if [ -n "$vm_share" ]; then
		binds+=(--bind "$vm_share:/rig/share")
		vm_share_folder share /rig/share
	fi
	if [ "$vm_icount" = yes ]; then
		accel=tcg,thread=single
		vm_args+=(-icount "shift=0,sleep=off")
	fi
	vm_alone setsid "$rig_dir/chroot" "${binds[@]}" -- qemu-system-x86_64 \
		-name "krun-gpu-rig-$vm_name" -pidfile /rig/vm/pid \
		-nodefaults -no-user-config -no-reboot -display none -M q35 \
		-accel "$accel" -cpu max,la57=off -smp "$vm_cpus" -m "${vm_mem}G" \
		-kernel /rig/boot/vmlinux -initrd /rig/boot/initramfs -append "$line" \
		-serial file:/rig/vm/console.log -device virtio-rng-pci \
		-netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" \
		-device virtio-net-pci,netdev=net,romfile= \
		"${vm_args[@]}" < /dev/null > "$vm_dir/qemu.log" 2>&1 &
}

# vm_free_port - a port of 127.0.0.1 that nothing listens on now.
vm_free_port() {
	local port

	while :; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		(: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo $port
}

# vm_connect - sets vm_ssh to the ssh client's command line, with no configuration but ours.
vm_connect() {
	vm_ssh=(ssh -F none -p "$(cat "$vm_dir/port")" -i "$vm_dir/key"
		-o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR
		-o UserKnownHostsFile="$vm_dir/known_hosts" -o GlobalKnownHostsFile=/dev/null
		-o HostKeyAlias=rig -o StrictHostKeyChecking=yes -o ConnectTimeout=60
		-o ServerAliveInterval=15 -o ServerAliveCountMax=12
		-o ControlPath="$vm_dir/ssh" -l root)
}

# vm_wait SECONDS CHILD - until the emulated host says that it is ready; 1 when it never will.
vm_wait() {
	local end=$((SECONDS + $1)) child=$2

	while ! grep -qs '^rig: ready' "$vm_dir/console.log"; do
		kill -0 "$child" 2>/dev/null || return 1
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
	# shared by all runs: each is a channel in it, and saves itself the handshake
	vm_connect
	(vm_alone "${vm_ssh[@]}" -o ControlMaster=yes -o ControlPersist=yes -f -N 127.0.0.1) \
		< /dev/null >> "$vm_dir/qemu.log" 2>&1
}

# vm_complain - what its QEMU and its console have to say about why it failed.
vm_complain() {
	tail -n 20 "$vm_dir/qemu.log" >&2 || true
	tail -n 40 "$vm_dir/console.log" >&2 || true
}

# vm_died - whether it came up once and ended by itself; then says what is known of that.
vm_died() {
	grep -qs "^rig: ready" "$vm_dir/console.log" && ! vm_running || return 1
	say "the emulated host \"$vm_name\" died:"
	vm_complain
}

# vm_start - boots it, unless it is up already with the same options.
vm_start() {
	local root boot port

	host_packages openssh-client
	root=$("$rig_dir/root")
	boot=$("$rig_dir/boot-files" "$root")
	exec 9> "$vm_dir.lock"
	flock 9
	if vm_running; then
		[ "$vm_boot_options" = no ] || [ "$(vm_options_text)" = "$(cat "$vm_dir/options")" ] ||
			die "\"$vm_name\" is up with other options; see tests/rig/down, or --name"
		exec 9>&-
		return
	fi
	vm_died || true
	rm -rf "$vm_dir"
	mkdir -m 700 "$vm_dir"
	vm_options_text > "$vm_dir/options"
	vm_keys
	port=$(vm_free_port)
	echo "$port" > "$vm_dir/port"
	say "booting the emulated host \"$vm_name\" (${vm_mem} GiB, $vm_cpus processors)"
	vm_qemu "$port" "$root" "$boot"
	if ! vm_wait 300 $!; then
		vm_complain
		vm_stop
		die "the emulated host \"$vm_name\" did not come up"
	fi
	exec 9>&-
}

# vm_stop - ends it and removes its folder. Nothing in it outlives it but what is in the share.
vm_stop() {
	local pid i

	if [ -S "$vm_dir/ssh" ]; then
		vm_connect
		"${vm_ssh[@]}" -O exit 127.0.0.1 2>/dev/null || true
	fi
	if ! vm_died && vm_running; then
		pid=$(cat "$vm_dir/pid")
		kill "$pid" 2>/dev/null || true
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		! vm_running || kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -rf "$vm_dir"
}
