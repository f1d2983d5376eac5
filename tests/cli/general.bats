#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
load common

@test "--version says name, version and specification as crun and runc do" {
	run krun --version
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" =~ ^"krun-gpu version "[0-9]+\.[0-9]+\.[0-9]+ ]]
	[[ "${lines[1]}" =~ ^"spec: 1." ]]
}

@test "--help lists the commands" {
	run krun --help
	[ "$status" -eq 0 ]
	for command in create start run state kill delete exec list ps pause resume features spec; do
		[[ "$output" == *"  $command "* ]]
	done
}

@test "every command has --help" {
	for command in create start run state kill delete exec list ps pause resume features spec; do
		run krun "$command" --help
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage: krun-gpu "*" $command "* ]]
	done
}

@test "no command, an unknown one, unknown options" {
	fails "no command was given" krun
	fails "unknown command frobnicate" krun frobnicate
	fails "unknown option --frobnicate" krun --frobnicate list
	fails "list: unknown option --frobnicate" krun list --frobnicate
	fails "unknown option" krun list -x
	fails "option --root needs a value" "$KRUN_GPU" --root
	fails "option --bundle needs a value" krun create --bundle
	fails "expected an absolute path" "$KRUN_GPU" --root here list
}

@test "arguments are counted" {
	for command in create start run state kill delete exec ps pause resume; do
		fails "$command: too few arguments" krun "$command"
	done
	fails "state: too many arguments" krun state a b
	fails "list: too many arguments" krun list a
	fails "kill: too many arguments" krun kill a b c
}

@test "bad values of global options" {
	fails "--cgroup-manager: expected" krun --cgroup-manager=openrc list
	fails "--log-format: expected" krun --log-format=xml list
	fails "--log-level: expected" krun --log-level=loud list
	fails "cannot open the log" krun --log=/nonexistent/log list
	fails "--log: expected a file, not journald:x" krun --log=journald:x list
	fails "--log: expected a file, not syslog:x" krun --log=syslog:x list
	fails "--rootless: expected true, false or auto, not maybe" krun --rootless=maybe list
	for answer in true false auto; do
		krun --rootless=$answer list
	done
}

@test "the log is JSON when asked for, and errors are also shown" {
	run krun --log "$work/log" --log-format=json state nobody
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	grep -q '^{"level":"error","msg":"container nobody does not exist","time":"20[^"]*Z"}$' \
		"$work/log"
}

@test "list of nothing" {
	run krun list
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ "$output" == ID*PID*STATUS*BUNDLE*CREATED*OWNER ]]
	[ "$(krun list -q)" = "" ]
	[ "$(krun list --format json | tr -d ' \n')" = "[]" ]
	fails "--format: expected table or json" krun list --format xml
	[ ! -e "$state" ]
}

@test "features are JSON of the specification's shape" {
	command -v python3 >/dev/null || skip "needs python3"
	krun features | python3 -c '
import json, sys
f = json.load(sys.stdin)
assert f["ociVersionMin"] == "1.0.0" and f["ociVersionMax"].startswith("1.")
assert "rbind" in f["mountOptions"] and "idmap" in f["mountOptions"]
assert "poststop" in f["hooks"] and "startContainer" in f["hooks"]
assert "mount" in f["linux"]["namespaces"] and "user" in f["linux"]["namespaces"]
assert "CAP_CHOWN" in f["linux"]["capabilities"]
assert "SCMP_ACT_ERRNO" in f["linux"]["seccomp"]["actions"]
assert f["linux"]["cgroup"]["v2"] is True and f["linux"]["cgroup"]["v1"] is False
assert f["linux"]["cgroup"]["systemd"] is True and f["linux"]["cgroup"]["systemdUser"] is True
'
}

@test "spec writes a configuration once" {
	krun spec --bundle "$bundle"
	grep -q '"ociVersion": "1' "$bundle/config.json"
	fails "cannot make config.json: File exists" krun spec --bundle "$bundle"
	fails "cannot open the bundle" krun spec --bundle "$work/nowhere"
}

@test "spec --rootless is for a user namespace in which the user is root" {
	command -v python3 >/dev/null || skip "needs python3"
	krun spec --rootless --bundle "$bundle"
	python3 - "$bundle/config.json" <<-END
	import json, os, sys
	c = json.load(open(sys.argv[1]))
	assert {"type": "user"} in c["linux"]["namespaces"]
	assert c["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
	assert c["linux"]["gidMappings"] == [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
	assert "resources" not in c["linux"]
	pts = [m for m in c["mounts"] if m["destination"] == "/dev/pts"][0]
	assert not [o for o in pts["options"] if o.startswith("gid=")]
	END
}

@test "exec refuses what the microVM has not, by name" {
	for option in cwd=/ env=A=b user=1 cap=CAP_KILL additional-gids=1 no-new-privs; do
		fails "--process and --${option%%=*} exclude each other" \
			krun exec --process /f "--$option" c1
	done
	for option in apparmor process-label cgroup; do
		fails "--$option: the process runs in the microVM" krun exec --$option=x c1 true
	done
	fails "--additional-gids: expected a whole number" krun exec --additional-gids=x c1 true
}

@test "what is not there yet is said in one sentence" {
	for command in checkpoint restore; do
		fails "$command is not supported" krun "$command" c1
	done
}

@test "doctor says which virglrenderer there is and what others give" {
	run krun doctor
	[[ $output != *"built without GPU support"* ]] || skip "built without GPU support"
	[[ $output == *"GPU: virglrenderer"* ]]
	[[ $output == *"virglrenderer 1."[3-9]* || $output == *"1.2       NVIDIA's driver as well"* ]]
}
