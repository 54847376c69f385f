package policy

import (
	"path"
	"slices"
	"strings"
)

// secretNames are files with keys, passwords and histories, by the end of their
// path.
func secretNames() []string {
	return []string{
		"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers", "/etc/krb5.keytab",
		".ssh/id_rsa", ".ssh/id_dsa", ".ssh/id_ecdsa", ".ssh/id_ed25519", ".ssh/identity",
		".aws/credentials", ".netrc", ".pgpass", ".my.cnf", ".git-credentials", ".npmrc", ".pypirc", ".docker/config.json", ".kube/config",
		".config/gh/hosts.yml", ".config/gcloud/credentials.db", ".config/gcloud/application_default_credentials.json",
		".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history", ".env", ".vault-token",
	}
}

// read judges a file that a command reads, and reports whether it found
// something.
func (w *walker) read(file word, about finding) bool {
	if !suspicious(file) {
		return false
	}
	for _, at := range w.places(file) {
		if at.nowhere || !w.secret(at) {
			continue
		}
		about.class, about.why = Secrets, "it reads what may be secret"
		w.found = append(w.found, about)
		return true
	}
	return false
}

// suspicious passes over the many words that cannot be the path of a secret.
func suspicious(file word) bool {
	return len(file.text) < 4096 && (strings.ContainsAny(file.text, "/~.") || file.globAt >= 0)
}

// secret reports whether a place outside the workspace is, or may be, a secret.
// What lies in the workspace is the agent's own.
func (w *walker) secret(at place) bool {
	if w.policy.inWorkspace(at.base) {
		return false
	}
	if at.pattern == "" {
		return w.policy.ownSecret(at.base) || secretFile(at.base)
	}
	if w.policy.ownSecret(at.base) {
		return true
	}
	if at.hole {
		return false
	}
	return slices.ContainsFunc(secretNames(), func(name string) bool {
		matched, err := path.Match(at.pattern, path.Base(name))
		inDir := path.Base(path.Dir(name)) == path.Base(at.base) || path.Dir(name) == "."
		return err == nil && matched && inDir && strings.Trim(at.pattern, "*") != "" ||
			err == nil && matched && path.Dir(name) != "." && inDir && path.Dir(name) != "/etc"
	})
}

// ownSecret reports whether the file is the agent's record or log, which hold
// what its person has told it.
func (p *Policy) ownSecret(file string) bool {
	return p.inProfile(file) && slices.ContainsFunc(p.profiles, func(dir string) bool { return below(file, dir+"/data") || below(file, dir+"/logs") })
}

func secretFile(file string) bool {
	if strings.HasPrefix(file, "/proc/") {
		switch path.Base(file) {
		case "environ", "mem", "kcore":
			return true
		}
		return false
	}
	for _, name := range secretNames() {
		if file == name || strings.HasSuffix(file, "/"+strings.TrimPrefix(name, "/")) {
			return true
		}
	}
	switch path.Base(path.Dir(file)) {
	case ".gnupg", "private-keys-v1.d":
		return true
	case ".ssh":
		return strings.HasSuffix(file, ".pem") || strings.HasPrefix(path.Base(file), "id_") && !strings.HasSuffix(file, ".pub")
	}
	return strings.HasPrefix(path.Base(file), ".env.") && !strings.HasSuffix(file, ".example") && !strings.HasSuffix(file, ".sample")
}

// readAll judges a directory that is read with all that is in it.
func (w *walker) readAll(dir word, argv []word) {
	for _, at := range w.places(dir) {
		if at.nowhere || w.policy.inWorkspace(at.base) {
			continue
		}
		switch base := path.Base(at.base); {
		case base == ".ssh", base == ".gnupg", base == ".aws", base == ".kube",
			slices.ContainsFunc(w.policy.profiles, func(dir string) bool { return within(dir, at.base) }):
			w.find(Secrets, argv, "it reads a directory with secrets in it")
			return
		}
	}
}

// secretInside reports whether a file of the workspace holds secrets by its name:
// to read it is the agent's business, to send it away is not.
func (w *walker) secretInside(file word) bool {
	if file.unknown || !strings.Contains(file.text, ".") {
		return false
	}
	name := path.Base(file.text)
	return name == ".env" || secretFile(path.Join("/x", file.text)) && !strings.HasSuffix(name, ".example")
}
