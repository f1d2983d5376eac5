#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What people do with podman around a container's process: health checks, an init, restarts, secrets,
# sockets, events, pauses.
load helpers

@test "health checks run in the container, and what they come to is podman's" {
	run host '
		kp run -d --name health --network none --health-cmd "test -e /tmp/well" \
			--health-interval disable --health-retries 1 demo sleep 1000 > /dev/null
		podman healthcheck run health && echo "code 0" || echo "code $?"
		podman inspect -f "{{.State.Health.Status}}" health
		podman exec health touch /tmp/well
		podman healthcheck run health && echo "code 0" || echo "code $?"
		podman inspect -f "{{.State.Health.Status}}" health
		podman rm -f -t 0 health > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "unhealthy code 1 unhealthy code 0 healthy" ]
}

@test "--init: a small process 1 passes signals on and reaps" {
	run host '
		kp run -d --name inits --network none --init demo sh -c "
			trap \"echo got TERM; exit 7\" TERM; (sh -c \"sleep 0.1 & exec true\" &)
			echo ready; while :; do sleep 0.1; done" > /dev/null
		until_true 20 sh -c "podman logs inits | grep -q ready"
		podman exec inits sh -c "tr \"\\0\" \" \" < /proc/1/cmdline" | grep -o "^/run/podman-init"
		sleep 1
		podman exec inits sh -c "cat /proc/[0-9]*/stat 2> /dev/null | grep -c \") Z \"" || true
		podman stop -t 30 inits > /dev/null
		podman logs inits | tail -n 1
		podman inspect -f "{{.State.ExitCode}}" inits
		podman rm inits > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "/run/podman-init 0 got TERM 7" ]
}

@test "--restart on-failure starts it again as often as asked, with what it had written" {
	LIMIT=300 run host '
		kp run -d --name again --network none --restart on-failure:2 demo \
			sh -c "echo run >> /root/runs; cat /root/runs | wc -l; exit 3" > /dev/null
		until_true 120 sh -c "[ \$(podman logs again | wc -l) -eq 3 ]"
		until_true 30 sh -c "podman inspect -f {{.State.Status}} again | grep -q exited"
		podman logs again
		podman inspect -f "{{.RestartCount}} {{.State.ExitCode}}" again
		podman rm -f -t 0 again > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "1 2 3 2 3" ]
}

@test "secrets are files and variables of the container's" {
	run host '
		printf "open sesame" | podman secret create word - > /dev/null
		printf "another" | podman secret create other - > /dev/null
		kprun --secret word,uid=12,gid=34,mode=0440 --secret word,type=env,target=WORD \
			--secret other,target=/etc/other --user 12 demo sh -c "
			cat /run/secrets/word; echo; stat -c %a:%u:%g /run/secrets/word; echo \$WORD
			stat -c %a /etc/other; cat /etc/other; echo; echo x 2> /dev/null > /run/secrets/word || echo refused"
		podman secret rm word other > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "open sesame 440:12:34 open sesame 444 another refused" ]
}

@test "-v of a socket of the host's: both directions, under podman" {
	run host '
		socat UNIX-LISTEN:/tmp/e2e.sock,fork SYSTEM:"read -r w; echo heard \$w" \
			< /dev/null > /dev/null 2>&1 &
		until_true 10 test -S /tmp/e2e.sock
		echo hello > /tmp/e2e.in
		kprun -i -v /tmp/e2e.sock:/run/their.sock -v $e2e/unix_talk:/unix_talk:ro demo \
			/unix_talk /run/their.sock < /tmp/e2e.in
		kill %1
		rm -f /tmp/e2e.sock /tmp/e2e.in'
	[ "$status" -eq 0 ]
	[ "$output" = "heard hello" ]
}

@test "events: podman tells a container's life, the runtime its figures" {
	run host '
		since=$(date +%s)
		kp run -d --name lives --network none demo sh -c "i=0; while :; do i=\$((i+1)); done" > /dev/null
		id=$(podman inspect -f "{{.Id}}" lives)
		runtime="krun-gpu --root /run/krun-gpu"
		$runtime events --stats $id > /tmp/events.1
		sleep 2
		$runtime events --stats $id > /tmp/events.2
		jq -r "[.type, .id == \"$id\", .data.pids.current >= 1, .data.memory.usage.usage > 1000000]
			| map(tostring) | join(\" \")" /tmp/events.1
		jq -s ".[1].data.cpu.usage.total - .[0].data.cpu.usage.total > 100000000" \
			/tmp/events.1 /tmp/events.2
		podman stats --no-stream --format "{{.MemUsageBytes}} {{.PIDS}}" lives
		podman kill lives > /dev/null
		podman wait lives
		podman events --stream=false --since $since --filter container=lives \
			--format "{{.Status}}" | tr "\n" " "
		podman rm lives > /dev/null; rm /tmp/events.?'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "stats true true true" ]
	[ "${lines[1]}" = true ]
	[[ ${lines[2]} =~ ^[0-9.]+[KMG]iB\ /\ .*\ [1-9] ]]
	[ "${lines[3]}" = 137 ]
	[[ ${lines[4]} == *"create init start"*kill*died* ]]
}

@test "a paused container stands still, and goes on where it was" {
	run host '
		kp run -d --name still --network none demo sh -c "
			i=0; while :; do echo \$((i += 1)); sleep 0.05; done" > /dev/null
		until_true 20 sh -c "[ \$(podman logs still | wc -l) -gt 3 ]"
		podman pause still > /dev/null
		sleep 0.5
		before=$(podman logs still | wc -l)
		krun-gpu --root /run/krun-gpu state "$(podman inspect -f "{{.Id}}" still)" | jq -r .status
		sleep 1
		[ "$(podman logs still | wc -l)" -eq "$before" ] && echo "stands still"
		podman exec still true 2> /dev/null || echo "no exec"
		podman unpause still > /dev/null
		until_true 20 sh -c "[ \$(podman logs still | wc -l) -gt $((before + 3)) ]" && echo "goes on"
		podman logs still | sort -n | uniq -d | wc -l
		podman pause still > /dev/null
		podman rm -f -t 0 still > /dev/null && echo removed'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "paused stands still no exec goes on 0 removed" ]
}
