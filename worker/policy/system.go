package policy

import (
	"slices"
	"strings"
)

// system judges the programs that change the machine, and reports whether it knew
// the program.
func (w *walker) system(base string, argv []word) bool {
	options, others := split(argv)
	first := ""
	if len(others) > 0 {
		first = others[0].text
	}
	asks := func(words ...string) bool { return slices.Contains(words, first) }
	if strings.HasPrefix(base, "mkfs") || strings.HasPrefix(base, "mke2fs") {
		w.find(Disk, argv, "it formats a device")
		return true
	}
	switch base {
	case "fdisk", "sfdisk", "gdisk", "sgdisk", "cfdisk", "parted", "wipefs", "blkdiscard", "mkswap", "cryptsetup", "pvremove", "vgremove",
		"lvremove", "pvcreate", "mdadm", "badblocks", "hdparm", "nvme", "zpool", "zfs", "diskutil":
		if has(options, "lp", "list", "print", "detail", "version") || asks("list", "status", "print", "get", "info", "id-ctrl", "luksDump", "isLuks") ||
			len(argv) == 1 || len(others) > 1 && others[1].text == "print" {
			return true
		}
		w.find(Disk, argv, "it changes a device")
	case "shutdown", "reboot", "halt", "poweroff", "pm-suspend", "telinit":
		if !has(options, "c", "help") {
			w.find(Power, argv, "it stops the machine")
		}
	case "init":
		if asks("0", "1", "6", "s", "S") {
			w.find(Power, argv, "it stops the machine")
		}
	case "systemctl", "service", "rc-service", "rc-update", "launchctl", "supervisorctl", "initctl", "update-rc.d", "chkconfig", "loginctl", "sv":
		w.service(argv, options, others)
	case "passwd", "chpasswd", "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "adduser", "deluser", "addgroup",
		"delgroup", "visudo", "vipw", "vigr", "chsh", "chfn", "newusers", "dscl", "ssh-copy-id", "chage":
		w.find(Accounts, argv, "it changes who may log in")
	case "su", "runuser", "machinectl":
		w.find(Accounts, argv, "it becomes another user")
		for i, arg := range argv[:len(argv)-1] {
			if arg.text == "-c" || arg.text == "--command" {
				w.runText(argv, argv[i+1], output{})
			}
		}
	case "kill":
		w.kill(argv)
	case "pkill", "killall", "killall5", "skill", "xkill", "snice":
		if !has(options, "l", "list") {
			w.find(Processes, argv, "it ends processes that it did not start")
		}
	case "fuser":
		if has(options, "k", "kill") {
			w.find(Processes, argv, "it ends processes that it did not start")
		}
	case "iptables", "ip6tables", "nft", "ufw", "firewall-cmd", "ebtables", "ifconfig", "route", "nmcli", "netplan", "ip", "tc", "iw", "wg", "wg-quick":
		w.network(base, argv, options, others)
	case "crontab":
		if !has(options, "l") {
			w.find(Schedules, argv, "it makes a command run later")
		}
	case "at", "batch", "systemd-run", "anacron":
		if !has(options, "l") {
			w.find(Schedules, argv, "it makes a command run later")
		}
	case "mount", "umount", "swapon", "swapoff", "modprobe", "insmod", "rmmod", "kexec", "update-grub", "grub-install", "losetup", "ldconfig",
		"update-alternatives", "setenforce", "timedatectl", "hostnamectl", "chroot", "pivot_root":
		if len(argv) > 1 && !has(options, "l", "list", "display", "query") && !asks("status", "show") {
			w.find(System, argv, "it changes the system")
		}
	case "sysctl":
		if has(options, "wp", "write", "load", "system") || strings.Contains(first, "=") {
			w.find(System, argv, "it changes the kernel's settings")
		}
	default:
		return w.packages(base, argv, options, others)
	}
	return true
}

func (w *walker) service(argv, options, others []word) {
	verbs := texts(others)
	for _, verb := range verbs {
		switch verb {
		case "poweroff", "reboot", "halt", "kexec", "suspend", "hibernate", "rescue", "emergency", "soft-reboot":
			w.find(Power, argv, "it stops the machine")
			return
		}
	}
	for _, verb := range verbs {
		if strings.HasPrefix(verb, "list") || strings.HasPrefix(verb, "is-") || verb == "status" || verb == "show" || verb == "cat" || verb == "print" ||
			verb == "help" || verb == "get-default" {
			return
		}
	}
	if len(others) == 0 || has(options, "", "status-all", "list") {
		return
	}
	w.find(Services, argv, "it changes a service")
}

func (w *walker) kill(argv []word) {
	signal, rest := "", argv[1:]
	for len(rest) > 0 && rest[0].flag() && signal == "" {
		switch text := rest[0].text; text {
		case "-l", "-L", "--list":
			return
		case "-s", "-n", "--signal":
			if len(rest) > 1 {
				signal = rest[1].text
				rest = rest[1:]
			}
		case "--":
			signal = "TERM"
		default:
			if text == "-1" && len(rest) == 1 {
				w.find(KillAll, argv, "it signals every process")
				return
			}
			signal = strings.TrimPrefix(text, "-")
		}
		rest = rest[1:]
	}
	for _, pid := range rest {
		text := pid.text
		switch {
		case text == "--":
		case text == "-1":
			w.find(KillAll, argv, "it signals every process")
			return
		case signal == "0":
		case pid.traits&fromPIDs != 0, strings.Trim(text, "-0123456789") == "" && text != "0" && text != "":
			w.find(Processes, argv, "it ends a process that it did not start")
			return
		}
	}
}

func (w *walker) network(base string, argv, options, others []word) {
	if len(argv) == 1 || has(options, "LSsvn", "list", "list-rules", "state", "list-all", "help") && base != "route" {
		return
	}
	for _, other := range others {
		switch other.text {
		case "show", "list", "status", "ls", "get", "dev", "device":
			return
		}
	}
	verbs := len(others)
	if base == "ip" && verbs < 2 || base == "ifconfig" && verbs < 2 || base == "route" && verbs == 0 || base == "wg" && verbs == 0 {
		return
	}
	w.find(Network, argv, "it changes the network of the machine")
}

// packages judges package managers, of the system and global ones of languages.
func (w *walker) packages(base string, argv, options, others []word) bool {
	first := ""
	if len(others) > 0 {
		first = others[0].text
	}
	changes := false
	switch base {
	case "apt", "apt-get", "aptitude", "dnf", "yum", "zypper", "microdnf", "tdnf", "apk", "brew", "snap", "flatpak", "port", "emerge", "pkg",
		"pkg_add", "xbps-install", "nix-env", "winget", "choco", "opkg", "eopkg", "swupd":
		switch first {
		case "", "list", "search", "show", "info", "policy", "depends", "rdepends", "config", "doctor", "outdated", "leaves", "deps", "changelog",
			"download", "source", "help", "repolist", "provides", "check-update", "version", "home", "cat", "desc":
		default:
			changes = !has(options, "sqQ", "simulate", "dry-run", "query", "just-print", "version", "prefix")
		}
		changes = changes || base == "pkg_add" || base == "xbps-install"
	case "pacman", "yay", "paru":
		changes = has(options, "SRU", "sync", "remove", "upgrade") && !has(options, "sQi")
	case "dpkg":
		changes = has(options, "irP", "install", "remove", "purge", "configure", "unpack")
	case "rpm":
		changes = has(options, "iUeF", "install", "upgrade", "erase", "freshen") && !has(options, "q", "query")
	case "npm", "pnpm", "yarn":
		changes = (has(options, "g", "global") || first == "global") && !slices.Contains([]string{"list", "ls", "root", "bin", "config", "prefix", ""}, first)
	case "pip", "pip3":
		changes = has(options, "", "break-system-packages")
	default:
		return false
	}
	if changes {
		w.find(Packages, argv, "it installs or removes packages of the machine")
	}
	return true
}
