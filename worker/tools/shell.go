package tools

import (
	"cmp"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Environment is all that a command gets to see of variables, PATH first. Environ
// is where they come from, and home is HOME.
func Environment(environ []string, home string) []string {
	values := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	env := []string{
		"PATH=" + cmp.Or(values["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
		"HOME=" + home,
		"LANG=" + cmp.Or(values["LANG"], "C.UTF-8"),
		"TERM=dumb",
	}
	if zone := values["TZ"]; zone != "" {
		env = append(env, "TZ="+zone)
	}
	if who, err := user.Current(); err == nil && who.Username != "" {
		env = append(env, "USER="+who.Username, "LOGNAME="+who.Username)
	}
	return env
}

// program finds an executable file in path, or returns "".
func program(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && filepath.IsAbs(file) && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return file
		}
	}
	return ""
}
