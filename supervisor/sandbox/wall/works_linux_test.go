package wall_test

import (
	"os/exec"
	"strings"
	"testing"

	"hermes/supervisor/sandbox/wall"
)

// works are what people do behind the wall: a program that must be there, a script,
// and what it prints at the end.
func works() map[string][3]string {
	return map[string][3]string{
		"sh": {"sh", `for i in 1 2 3; do (echo $i) & done; wait; cat <<X | wc -l
a
b
X`, "2"},
		"bash":    {"bash", `bash -c 'set -o pipefail; diff <(echo a) <(echo a) && cat <<< done'`, "done"},
		"python":  {"/usr/bin/python3", `/usr/bin/python3 -c 'import subprocess,tempfile,threading,multiprocessing as m,sqlite3; tempfile.TemporaryFile(); a,b=m.Pipe(); p=m.Process(target=b.send,args=(7,)); p.start(); print(a.recv()); p.join()'`, "7"},
		"node":    {"node", `node -e 'const {Worker}=require("worker_threads"); require("child_process").execSync("true"); console.log(6*7)'`, "42"},
		"git":     {"git", `git init -q a && cd a && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && cd .. && git clone -q a b && git -C b log --format=%s`, "first"},
		"go":      {"go", `mkdir m && cd m && printf 'module m\ngo 1.26\n' > go.mod && printf 'package main\nfunc main() { println("built") }\n' > main.go && GOTOOLCHAIN=local GOFLAGS=-p=1 go build -o m . && ./m 2>&1`, "built"},
		"make":    {"make", `printf 'all: a b c\n\na b c:\n\t@touch $@\n' > Makefile && make -s -j4 && ls a b c | wc -l`, "3"},
		"sqlite":  {"sqlite3", `sqlite3 x.db 'pragma journal_mode=wal; create table t(a); insert into t values (5);' && sqlite3 x.db 'select a from t'`, "5"},
		"ps":      {"ps", `sleep 100 & for i in $(seq 200); do ps -o args= -p $! | grep '^sleep' && break; sleep 0.05; done; kill $!`, "sleep 100"},
		"mktemp":  {"mktemp", `f=$(mktemp) && echo kept > $f && cat $f && rm $f`, "kept"},
		"df":      {"df", `df . > /dev/null && echo seen`, "seen"},
		"self":    {"sh", `test "$(readlink /proc/self/cwd)" = "$PWD" && echo here`, "here"},
		"devices": {"sh", `head -c 8 /dev/urandom | wc -c && echo x > /dev/null && echo said > /dev/stderr`, "said"},
		"server": {"/usr/bin/python3", `/usr/bin/python3 - <<'X'
import socket, threading
s = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: s.accept()[0].sendall(b"served")).start()
print(socket.create_connection(s.getsockname()).recv(10).decode())
X`, "served"},
		"long path": {"sh", `mkdir -p a/b/c && cd a/b/c && pwd | sed 's/.*workspace//'`, "/a/b/c"},
	}
}

// variant is a way in which a command gets its wall: from its worker, or, where that
// has a wall of its own, from the shim or within the worker's.
type variant struct {
	level   wall.Level
	room    wall.Level
	without []wall.Layer
}

func variants(t *testing.T) map[string]variant {
	t.Helper()
	without := []wall.Layer{wall.LayerNamespaces}
	all := map[string]variant{"FULL": {level: wall.Full}, "REDUCED": {level: wall.Reduced, without: without}}
	if roomLevel(t) == wall.Full {
		all["FULL in a room"] = variant{level: wall.Full, room: wall.Full}
		all["REDUCED in a room"] = variant{level: wall.Reduced, room: wall.Reduced, without: without}
	}
	return all
}

func TestWorkGoesOnBehindTheWall(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	all := variants(t)
	for where, v := range all {
		for user, uid := range users() {
			for name, work := range works() {
				// The rest is the same for root, and outside of rooms where there are any.
				if (user == "root" || len(all) > 2 && v.room == "") && name != "sh" && name != "git" {
					continue
				}
				t.Run(where+"/"+user+"/"+name, func(t *testing.T) {
					t.Parallel()
					if _, err := exec.LookPath(work[0]); err != nil {
						t.Skip(err)
					}
					s := newScene(t, uid)
					out := job{Scene: s, Argv: []string{"/bin/bash", "-c", work[1]}, Without: v.without, Room: v.room}.run(t, uid)
					lines := strings.Split(strings.TrimSpace(out.Output.Text), "\n")
					if last := lines[len(lines)-1]; out.Output.ExitCode != 0 || last != work[2] || out.Report.Level != v.level {
						t.Errorf("at level %s: %s, %q, want %q", out.Report.Level, out.Output.Ending(), out.Output.Text, work[2])
					}
				})
			}
		}
	}
}

func TestTerminalBehindTheWall(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	for where, v := range variants(t) {
		for user, uid := range users() {
			t.Run(where+"/"+user, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, uid)
				out := job{Scene: s, PTY: true, Without: v.without, Room: v.room, Argv: sh(`test -t 0 && test -t 1 && stty size && echo typed > /dev/tty && (trap 'echo got it; exit 5' INT; kill -INT 0; exit 6)`)}.run(t, uid)
				got := strings.ReplaceAll(out.Output.Text, "\r", "")
				if want := "40 160\ntyped\ngot it\n"; got != want || out.Output.Signal != "SIGINT" {
					t.Errorf("%q %s, want %q", got, out.Output.Ending(), want)
				}
			})
		}
	}
}

func TestOfflineCommandsReachThemselvesOnly(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	const dial = `/usr/bin/python3 - <<'X'
import socket, threading
try:
    s = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: s.accept()[0].sendall(b"served")).start()
    print(socket.create_connection(s.getsockname()).recv(10).decode())
except OSError as e: print("refused")
try:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("192.0.2.1", 53)); print("out")
except OSError as e: print("nothing out there")
X`
	for level, want := range map[wall.Level]string{wall.Full: "served\nnothing out there\n", wall.Reduced: "refused\nnothing out there\n"} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			var without []wall.Layer
			if level == wall.Reduced {
				without = append(without, wall.LayerNamespaces)
			}
			uid := users()["ordinary user"]
			out := job{Scene: newScene(t, uid), Offline: true, Argv: sh(dial), Without: without}.run(t, uid)
			if out.Output.Text != want {
				t.Errorf("got %q, want %q", out.Output.Text, want)
			}
		})
	}
}

// A command that has a proxy finds it where its environment says, and nothing else;
// without namespaces it has the machine's network, and is told of no proxy.
func TestCommandsReachTheirProxyOnly(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	const dial = `/usr/bin/python3 - <<'X'
import os, socket
at = os.environ.get("https_proxy", "")
print(at, os.environ.get("HTTP_PROXY", "") == at)
if at:
    print(socket.create_connection(("127.0.0.1", 3128)).recv(10).decode())
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.connect(("192.0.2.1", 53)); print("out")
except OSError as e: print("nothing out there")
X`
	for level, want := range map[wall.Level]string{
		wall.Full:    "http://127.0.0.1:3128 True\nproxied\nnothing out there\n",
		wall.Reduced: " True\n",
	} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			var without []wall.Layer
			if level == wall.Reduced {
				without = append(without, wall.LayerNamespaces)
			}
			for name, uid := range users() {
				out := job{Scene: newScene(t, uid), Proxy: true, Argv: sh(dial), Without: without}.run(t, uid)
				if !strings.HasPrefix(out.Output.Text, want) {
					t.Errorf("%s got %q, want %q", name, out.Output.Text, want)
				}
			}
		})
	}
}
