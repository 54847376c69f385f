package policy

// Class is a kind of command that a person would want to be asked about. Its text
// is stable: rules, the log and scripts use it.
type Class string

// The classes. Those of the floor come first: they are never run, whatever the
// rules say.
const (
	// DeleteRoot is the recursive removal of /, of a system directory, of a home,
	// or of a directory that holds the workspace.
	DeleteRoot Class = "delete_recursive_root"
	// Disk is writing to, formatting or partitioning a device.
	Disk Class = "disk"
	// Power is shutting the machine down.
	Power Class = "power"
	// ForkBomb is a function or program that starts itself without end.
	ForkBomb Class = "fork_bomb"
	// KillAll is a signal to every process there is.
	KillAll Class = "kill_all"
	// Unreadable is a command that cannot be parsed, or is too long or nested too
	// deep: what it would do is not known.
	Unreadable Class = "unreadable"

	// Delete is the recursive removal of something outside the workspace.
	Delete Class = "delete_recursive_outside"
	// System is a change of system files, mounts or the kernel.
	System Class = "system"
	// Permissions is a change of owners or modes outside the workspace.
	Permissions Class = "permissions"
	// Accounts is a change of users, groups, passwords and who may log in.
	Accounts Class = "accounts"
	// Packages is the installation or removal of system packages.
	Packages Class = "packages"
	// Services is starting, stopping or changing services.
	Services Class = "services"
	// Processes is a signal to processes that the command did not start.
	Processes Class = "processes"
	// Network is a change of the firewall, of addresses or routes.
	Network Class = "network"
	// Schedules is a command that runs later, when nobody watches.
	Schedules Class = "schedules"
	// RemoteCode is running what comes from the network.
	RemoteCode Class = "remote_code"
	// Dynamic is a command whose name or text is known only while it runs.
	Dynamic Class = "dynamic"
	// Secrets is reading keys, passwords and histories, or sending them away.
	Secrets Class = "secrets"
	// OwnSetup is a change of the settings and the data of the agent itself.
	OwnSetup Class = "own_setup"
	// GitHistory is the loss of commits or of uncommitted work.
	GitHistory Class = "git_history"
	// Databases is dropping or emptying databases and tables.
	Databases Class = "databases"
	// Infrastructure is the removal of containers, volumes and cloud resources, or
	// a container that reaches the machine.
	Infrastructure Class = "infrastructure"
)

// Info describes a class to a person.
type Info struct {
	Class Class  `json:"class"`
	Floor bool   `json:"floor"` // no setting allows it
	Help  string `json:"help"`
}

// Classes lists all classes, those of the floor first.
func Classes() []Info {
	return []Info{
		{DeleteRoot, true, "recursive removal of /, a system directory, a home, or what holds the workspace"},
		{Disk, true, "writing to, formatting or partitioning a device: mkfs, dd of=/dev/…, > /dev/sda"},
		{Power, true, "shutdown, reboot, halt"},
		{ForkBomb, true, "a function that starts itself without end"},
		{KillAll, true, "a signal to every process: kill -9 -1"},
		{Unreadable, true, "a command that cannot be parsed, is too long or nested too deep"},
		{Delete, false, "recursive removal outside the workspace, or of what is not known before it runs"},
		{System, false, "change of system files, mounts or the kernel: > /etc/…, mount, sysctl -w"},
		{Permissions, false, "change of owners or modes outside the workspace: chmod -R, chown -R, setuid"},
		{Accounts, false, "users, groups, passwords, root shells, authorized_keys"},
		{Packages, false, "system packages: apt, dnf, pacman, apk, brew, npm -g"},
		{Services, false, "services: systemctl, service, launchctl"},
		{Processes, false, "signals to foreign processes: kill PID, pkill, killall"},
		{Network, false, "firewall, addresses, routes"},
		{Schedules, false, "commands that run later: crontab, at, systemd-run"},
		{RemoteCode, false, "running what comes from the network: curl … | sh"},
		{Dynamic, false, "a command whose name or text is known only while it runs: $X -rf /, base64 -d | sh"},
		{Secrets, false, "reading or sending keys, passwords, histories and .env files"},
		{OwnSetup, false, "change of the agent's own settings and data"},
		{GitHistory, false, "git push --force, reset --hard, clean -f, branch -D and the like"},
		{Databases, false, "dropping or emptying databases and tables"},
		{Infrastructure, false, "docker prune, volumes, privileged containers, kubectl delete, terraform destroy"},
	}
}

// Floor reports whether no setting allows the class.
func (c Class) Floor() bool {
	switch c {
	case DeleteRoot, Disk, Power, ForkBomb, KillAll, Unreadable:
		return true
	default:
		return false
	}
}
