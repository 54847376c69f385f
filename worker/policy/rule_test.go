package policy_test

import (
	"slices"
	"strings"
	"testing"

	"hermes/worker/policy"
)

func TestRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		approvals   string
		allow, deny []string
		command     string
		denied      bool
		rule        string
		setting     string
	}{
		{name: "no rule", command: "apt install jq", denied: true, setting: "agent.approvals"},
		{name: "allowed by words", allow: []string{"apt install *"}, command: "apt install jq", rule: "apt install *", setting: "agent.allow"},
		{name: "allowed inside a wrapper", allow: []string{"apt install *"}, command: "sudo apt install jq", rule: "apt install *", setting: "agent.allow"},
		{name: "allowed by its path", allow: []string{"apt *"}, command: "/usr/bin/apt update", rule: "apt *", setting: "agent.allow"},
		{name: "allow is the whole command", allow: []string{"apt install"}, command: "apt install jq", denied: true, setting: "agent.approvals"},
		{name: "allow of one command is not of the next", allow: []string{"apt *"}, command: "apt update; systemctl stop x", denied: true, setting: "agent.approvals"},
		{name: "allowed by class", allow: []string{"class:packages"}, command: "dnf remove x", rule: "class:packages", setting: "agent.allow"},
		{name: "pipe allowed by class", allow: []string{"class:remote_code"}, command: "curl x | sh", rule: "class:remote_code", setting: "agent.allow"},
		{name: "allow of a path", allow: []string{"rm -rf /srv/cache/*"}, command: "rm -rf /srv/cache/a", rule: "rm -rf /srv/cache/*", setting: "agent.allow"},
		{name: "allow of a path and no more", allow: []string{"rm -rf /srv/cache/*"}, command: "rm -rf /srv/cache/a /srv/b", denied: true, setting: "agent.approvals"},
		{name: "no climbing", allow: []string{"rm -rf /srv/cache/*"}, command: "rm -rf /srv/cache/../b", denied: true, setting: "agent.approvals"},
		{name: "no pattern", allow: []string{"rm -rf /srv/cache/*"}, command: "rm -rf /srv/cache/*/../x", denied: true, setting: "agent.approvals"},
		{name: "nothing unknown", allow: []string{"rm -rf /srv/cache/*"}, command: "rm -rf /srv/cache/$X", denied: true, setting: "agent.approvals"},
		{name: "the floor beats allow", allow: []string{"rm *"}, command: "rm -rf /", denied: true},
		{name: "the floor beats approvals", approvals: "allow", command: "mkfs.ext4 /dev/sda", denied: true},
		{name: "unreadable in any mode", approvals: "allow", command: "echo 'x", denied: true},
		{name: "approvals allow", approvals: "allow", command: "apt install jq", setting: "agent.approvals"},
		{name: "deny", deny: []string{"git push"}, command: "git push origin main", denied: true, rule: "git push", setting: "agent.deny"},
		{name: "deny beats allow", allow: []string{"git *"}, deny: []string{"git push --force*"}, command: "git push --force", denied: true, rule: "git push --force*", setting: "agent.deny"},
		{name: "deny beats approvals", approvals: "allow", deny: []string{"apt *"}, command: "apt update", denied: true, rule: "apt *", setting: "agent.deny"},
		{name: "deny with words between", deny: []string{"git push --force*"}, command: "git -C x push origin --force-with-lease", denied: true, rule: "git push --force*", setting: "agent.deny"},
		{name: "deny in its order", deny: []string{"git push --force*"}, command: "git status", setting: ""},
		{name: "deny a wrapper", deny: []string{"sudo *"}, command: "sudo ls", denied: true, rule: "sudo *", setting: "agent.deny"},
		{name: "deny within a wrapper", deny: []string{"docker *"}, command: "env A=1 sh -c 'docker ps'", denied: true, rule: "docker *", setting: "agent.deny"},
		{name: "deny does not read quotes", deny: []string{"docker *"}, command: "echo docker ps"},
		{name: "deny by class", approvals: "allow", deny: []string{"class:databases"}, command: "dropdb x", denied: true, rule: "class:databases", setting: "agent.deny"},
		{name: "deny alone", deny: []string{"docker *"}, command: "docker", denied: true, rule: "docker *", setting: "agent.deny"},
		{name: "stars in words", deny: []string{"*-prod deploy*"}, command: "tool-prod deploy-all", denied: true, rule: "*-prod deploy*", setting: "agent.deny"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPolicy(t, policy.Options{Approvals: test.approvals, Allow: test.allow, Deny: test.deny})
			got := p.Judge(test.command, "")
			if got.Denied != test.denied || got.Rule != test.rule || got.Setting != test.setting {
				t.Errorf("%s is %+v", test.command, got)
			}
		})
	}
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"":               "is empty",
		"  ":             "is empty",
		"*":              "names no program",
		"** x":           "names no program",
		"a | b":          "cannot hold",
		"echo 'x'":       "cannot hold",
		"rm $X":          "cannot hold",
		"a, b":           "cannot hold",
		"a\tb\nc":        "cannot hold",
		"class:nonsense": "names no class",
		"class:power":    "never run",
	} {
		for _, opts := range []policy.Options{{Allow: []string{rule}}, {Deny: []string{"ls", rule}}} {
			if _, err := policy.New(opts); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "agent.") {
				t.Errorf("%q: %v, want %q", rule, err, want)
			}
		}
	}
	if _, err := policy.New(policy.Options{Approvals: "ask"}); err == nil {
		t.Error("approvals ask is taken")
	}
}

func TestClassesAreAllListed(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, info := range policy.Classes() {
		listed = append(listed, string(info.Class))
		if info.Floor != info.Class.Floor() || info.Help == "" {
			t.Errorf("%+v", info)
		}
	}
	seen := map[string]bool{}
	for _, s := range corpus() {
		seen[s.class] = true
		if s.class != "" && !slices.Contains(listed, s.class) {
			t.Errorf("class %q is not listed", s.class)
		}
	}
	for _, class := range listed {
		if !seen[class] {
			t.Errorf("the corpus has no command of class %s", class)
		}
	}
}
