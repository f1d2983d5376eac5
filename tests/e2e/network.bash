# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the network share, beside network.sh, which runs in the tested host.
# shellcheck shell=bash

# both SCRIPT - runs it for each runtime; both succeed, and say the same, which is then $output.
both() {
	local with_crun

	run host "RT=crun; . $E2E_SHARE_INSIDE/network.sh; $1"
	[ "$status" -eq 0 ]
	with_crun=$output
	run host "RT=krun-gpu; . $E2E_SHARE_INSIDE/network.sh; $1"
	[ "$status" -eq 0 ]
	[ "$output" = "$with_crun" ] || { echo "crun: $with_crun"; false; }
}

krun() {
	run host "RT=krun-gpu; . $E2E_SHARE_INSIDE/network.sh; $1"
}

# A name server in Perl, which every Debian has: every name is that of 192.0.2.7.
name_server='
	sub answer {
		my $q = shift;
		my ($asked) = substr($q, 12) =~ /^(.*?\0..)/s;
		my $is_a = $asked =~ /\0\0\x01$/ ? 1 : 0;
		return substr($q, 0, 2) . pack("n5", 0x8180, 1, $is_a, 0, 0) . "$asked\0\1" .
			($is_a ? pack("n3NnC4", 0xc00c, 1, 1, 60, 4, 192, 0, 2, 7) : "");
	}
	@at = (LocalAddr => "$ARGV[0]:53", ReuseAddr => 1);
	if (fork) {
		$s = IO::Socket::INET->new(Proto => "udp", @at) or die "$!\n";
		$s->send(answer($q)) while $s->recv($q, 512);
	}
	$s = IO::Socket::INET->new(Proto => "tcp", Listen => 5, @at) or die "$!\n";
	while ($c = $s->accept) {
		$c->read($len, 2);
		$c->read($q, unpack("n", $len));
		$c->send(pack("n/a*", answer($q)));
	}'
