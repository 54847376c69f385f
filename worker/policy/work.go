package policy

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// work judges the programs of developers and operators, and reports whether it
// knew the program.
func (w *walker) work(base string, argv []word, in output) bool {
	switch base {
	case "git":
		w.git(argv)
	case "hermes":
		w.hermes(argv)
	case "docker", "podman", "nerdctl", "docker-compose", "kubectl", "oc", "helm", "terraform", "tofu", "terragrunt", "pulumi", "aws", "gcloud",
		"az", "gh", "glab", "doctl", "vagrant", "heroku", "fly", "flyctl", "virsh", "lxc", "crictl", "ctr":
		w.infrastructure(base, argv)
	case "psql", "mysql", "mariadb", "sqlite3", "duckdb", "clickhouse-client", "mongosh", "mongo", "redis-cli", "valkey-cli", "cqlsh", "sqlcmd",
		"cockroach", "usql", "sqlplus":
		if in.known && dropPattern().MatchString(in.text) || slices.ContainsFunc(argv[1:], func(arg word) bool { return dropPattern().MatchString(arg.text) }) ||
			strings.HasSuffix(base, "-cli") && dropPattern().MatchString(joined(argv[1:]).text) {
			w.find(Databases, argv, "it drops or empties a database or a table")
		}
	case "dropdb", "dropuser":
		w.find(Databases, argv, "it drops a database")
	case "mysqladmin":
		if slices.Contains(texts(argv), "drop") {
			w.find(Databases, argv, "it drops a database")
		}
	case "rails", "rake", "prisma", "artisan", "sequelize":
		if slices.ContainsFunc(argv[1:], func(arg word) bool { return taskPattern().MatchString(arg.text) }) || base == "prisma" && slices.Contains(texts(argv), "reset") {
			w.find(Databases, argv, "it drops or empties a database")
		}
	default:
		return false
	}
	return true
}

var (
	dropPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(drop\s+(database|schema|table|view|user|role|index|keyspace)\b|truncate\s+(table\s+)?\S|delete\s+from\s+[\w."` + "`" +
			`]+\s*(;|$)|dropDatabase\b|flushall\b|flushdb\b)`)
	})
	taskPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(db:(drop|reset|purge|wipe|truncate_all)|migrate:(fresh|reset))`)
	})
)

// git judges what loses commits or work that is not committed.
func (w *walker) git(argv []word) {
	i := 1
	for ; i < len(argv) && argv[i].flag(); i++ {
		switch argv[i].text {
		case "-c":
			if i+1 < len(argv) {
				w.gitSetting(argv[i+1])
			}
			i++
		case "-C", "--git-dir", "--work-tree", "--namespace", "--exec-path":
			i++
		}
	}
	if i >= len(argv) {
		return
	}
	verb, rest := argv[i].text, argv[i:]
	options, others := split(rest)
	first := ""
	if len(others) > 0 {
		first = others[0].text
	}
	lost := false
	switch verb {
	case "push":
		lost = has(options, "fd", "force", "force-with-lease", "force-if-includes", "mirror", "delete", "prune") ||
			slices.ContainsFunc(others, func(o word) bool {
				return strings.HasPrefix(o.text, "+") || strings.HasPrefix(o.text, ":") && len(o.text) > 1
			})
	case "reset":
		lost = has(options, "", "hard")
	case "clean":
		lost = has(options, "f", "force") && !has(options, "n", "dry-run")
	case "branch", "tag":
		lost = verb == "branch" && (has(options, "D") || has(options, "d", "delete") && has(options, "f", "force"))
	case "stash":
		lost = first == "drop" || first == "clear"
	case "reflog":
		lost = first == "expire" || first == "delete"
	case "gc":
		lost = slices.ContainsFunc(options, func(o word) bool { return o.text == "--prune=now" || o.text == "--prune=all" })
	case "checkout", "switch":
		lost = has(options, "f", "force", "discard-changes")
	case "update-ref":
		lost = has(options, "d")
	case "filter-branch", "filter-repo":
		lost = true
	case "config":
		for _, arg := range others {
			w.gitSetting(arg)
		}
		if len(others) > 1 && strings.HasPrefix(others[0].text, "alias.") {
			w.gitAlias(others[1].text)
		}
	case "submodule", "bisect", "rebase":
		if words := texts(rest); len(words) > 2 && (words[1] == "foreach" || words[1] == "run") {
			w.runText(argv, joined(rest[2:]), output{})
		}
	}
	if lost {
		w.find(GitHistory, argv, "it loses commits, or work that is not committed")
	}
}

// gitSetting judges alias.x=!command.
func (w *walker) gitSetting(arg word) {
	name, value, found := strings.Cut(arg.text, "=")
	if found && !arg.unknown && strings.HasPrefix(name, "alias.") {
		w.gitAlias(value)
	}
}

func (w *walker) gitAlias(value string) {
	if command, isShell := strings.CutPrefix(value, "!"); isShell {
		w.inScope(func() output { return w.run(command, output{}) })
	}
}

// hermes judges the agent's own program: it must not change what it may do.
func (w *walker) hermes(argv []word) {
	_, others := split(argv)
	words := texts(others)
	for i, word := range words {
		switch word {
		case "setup", "gateway", "worker":
			w.find(OwnSetup, argv, "it changes the agent's own setup")
			return
		case "config", "profile":
			next := ""
			if i+1 < len(words) {
				next = words[i+1]
			}
			switch next {
			case "set", "unset", "edit", "create", "delete", "rename", "use":
				w.find(OwnSetup, argv, "it changes the agent's own setup")
				return
			}
		}
	}
	if slices.Contains(texts(argv), "--reveal") {
		w.find(Secrets, argv, "it prints a key")
	}
}

// infrastructure judges what removes things that other people use, and containers
// that reach the machine.
func (w *walker) infrastructure(base string, argv []word) {
	options, others := split(argv)
	words := texts(others)
	verb := func(names ...string) bool {
		return slices.ContainsFunc(words[:min(4, len(words))], func(word string) bool { return slices.Contains(names, word) })
	}
	var lost bool
	switch base {
	case "docker", "podman", "nerdctl", "docker-compose", "crictl", "ctr":
		if len(words) > 1 && (runs(words[0]) || runs(words[1]) && (words[0] == "compose" || words[0] == "container")) {
			if w.escapes(argv) {
				w.find(Infrastructure, argv, "the container reaches the machine itself")
			}
			return // what runs in a container stays there
		}
		lost = verb("prune", "kill") || verb("volume", "network", "image", "container", "secret", "node", "swarm", "stack") && verb("rm", "remove", "leave") ||
			verb("rm", "rmi") && has(options, "f", "force") || verb("down") && has(options, "v", "volumes", "rmi")
	case "kubectl", "oc":
		lost = verb("delete", "drain", "cordon", "replace") && !has(options, "", "dry-run")
	case "helm":
		lost = verb("uninstall", "delete", "rollback")
	case "terraform", "tofu", "terragrunt", "pulumi", "vagrant":
		lost = verb("destroy") || slices.ContainsFunc(options, func(o word) bool { return o.text == "-destroy" || o.text == "--destroy" }) || verb("state") && verb("rm")
	case "aws":
		lost = verb("rb") || verb("rm") && has(options, "", "recursive") || slices.ContainsFunc(words, func(word string) bool {
			return strings.HasPrefix(word, "delete-") || strings.HasPrefix(word, "terminate-")
		})
	default:
		lost = verb("delete", "destroy", "undefine", "rm", "apps:destroy")
	}
	if lost {
		w.find(Infrastructure, argv, "it removes what others may use")
	}
}

func runs(verb string) bool { return verb == "run" || verb == "exec" || verb == "create" }

// escapes reports whether a container is given the machine.
func (w *walker) escapes(argv []word) bool {
	for i, arg := range argv {
		text := arg.text
		if text == "--privileged" || strings.HasPrefix(text, "--pid=host") || strings.HasPrefix(text, "--cap-add=ALL") || strings.Contains(text, "docker.sock") {
			return true
		}
		mount := ""
		switch {
		case (text == "-v" || text == "--volume" || text == "--mount") && i+1 < len(argv):
			mount = argv[i+1].text
		case strings.HasPrefix(text, "-v/") || strings.HasPrefix(text, "--volume=") || strings.HasPrefix(text, "--mount="):
			mount = strings.TrimPrefix(strings.TrimPrefix(text, "-v"), "--volume=")
		}
		source, _, _ := strings.Cut(mount, ":")
		if strings.HasPrefix(source, "/") && w.policy.fateOf(place{base: source}) == fateRoot {
			return true
		}
	}
	return false
}
