package unix_test

import (
	"testing"
	"unsafe"

	known "golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// What stands here twice is the same in both places.
func TestTheKernelIsTheSame(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][2]int64{
		"AT_FDCWD":                            {unix.AT_FDCWD, known.AT_FDCWD},
		"AT_RECURSIVE":                        {unix.AT_RECURSIVE, known.AT_RECURSIVE},
		"AUDIT_ARCH_AARCH64":                  {unix.AUDIT_ARCH_AARCH64, known.AUDIT_ARCH_AARCH64},
		"AUDIT_ARCH_X86_64":                   {unix.AUDIT_ARCH_X86_64, known.AUDIT_ARCH_X86_64},
		"CAP_LAST_CAP":                        {unix.CAP_LAST_CAP, known.CAP_LAST_CAP},
		"CAP_NET_ADMIN":                       {unix.CAP_NET_ADMIN, known.CAP_NET_ADMIN},
		"CAP_SETPCAP":                         {unix.CAP_SETPCAP, known.CAP_SETPCAP},
		"CAP_SYS_ADMIN":                       {unix.CAP_SYS_ADMIN, known.CAP_SYS_ADMIN},
		"CLOSE_RANGE_CLOEXEC":                 {unix.CLOSE_RANGE_CLOEXEC, known.CLOSE_RANGE_CLOEXEC},
		"IPPROTO_MPTCP":                       {unix.IPPROTO_MPTCP, known.IPPROTO_MPTCP},
		"LANDLOCK_ACCESS_FS_EXECUTE":          {unix.LANDLOCK_ACCESS_FS_EXECUTE, known.LANDLOCK_ACCESS_FS_EXECUTE},
		"LANDLOCK_ACCESS_FS_WRITE_FILE":       {unix.LANDLOCK_ACCESS_FS_WRITE_FILE, known.LANDLOCK_ACCESS_FS_WRITE_FILE},
		"LANDLOCK_ACCESS_FS_READ_FILE":        {unix.LANDLOCK_ACCESS_FS_READ_FILE, known.LANDLOCK_ACCESS_FS_READ_FILE},
		"LANDLOCK_ACCESS_FS_READ_DIR":         {unix.LANDLOCK_ACCESS_FS_READ_DIR, known.LANDLOCK_ACCESS_FS_READ_DIR},
		"LANDLOCK_ACCESS_FS_REMOVE_DIR":       {unix.LANDLOCK_ACCESS_FS_REMOVE_DIR, known.LANDLOCK_ACCESS_FS_REMOVE_DIR},
		"LANDLOCK_ACCESS_FS_REMOVE_FILE":      {unix.LANDLOCK_ACCESS_FS_REMOVE_FILE, known.LANDLOCK_ACCESS_FS_REMOVE_FILE},
		"LANDLOCK_ACCESS_FS_MAKE_DIR":         {unix.LANDLOCK_ACCESS_FS_MAKE_DIR, known.LANDLOCK_ACCESS_FS_MAKE_DIR},
		"LANDLOCK_ACCESS_FS_MAKE_REG":         {unix.LANDLOCK_ACCESS_FS_MAKE_REG, known.LANDLOCK_ACCESS_FS_MAKE_REG},
		"LANDLOCK_ACCESS_FS_MAKE_SOCK":        {unix.LANDLOCK_ACCESS_FS_MAKE_SOCK, known.LANDLOCK_ACCESS_FS_MAKE_SOCK},
		"LANDLOCK_ACCESS_FS_MAKE_FIFO":        {unix.LANDLOCK_ACCESS_FS_MAKE_FIFO, known.LANDLOCK_ACCESS_FS_MAKE_FIFO},
		"LANDLOCK_ACCESS_FS_MAKE_SYM":         {unix.LANDLOCK_ACCESS_FS_MAKE_SYM, known.LANDLOCK_ACCESS_FS_MAKE_SYM},
		"LANDLOCK_ACCESS_FS_REFER":            {unix.LANDLOCK_ACCESS_FS_REFER, known.LANDLOCK_ACCESS_FS_REFER},
		"LANDLOCK_ACCESS_FS_TRUNCATE":         {unix.LANDLOCK_ACCESS_FS_TRUNCATE, known.LANDLOCK_ACCESS_FS_TRUNCATE},
		"LANDLOCK_ACCESS_FS_IOCTL_DEV":        {unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, known.LANDLOCK_ACCESS_FS_IOCTL_DEV},
		"LANDLOCK_ACCESS_FS_RESOLVE_UNIX":     {unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX, known.LANDLOCK_ACCESS_FS_RESOLVE_UNIX},
		"LANDLOCK_CREATE_RULESET_VERSION":     {unix.LANDLOCK_CREATE_RULESET_VERSION, known.LANDLOCK_CREATE_RULESET_VERSION},
		"LANDLOCK_RULE_PATH_BENEATH":          {unix.LANDLOCK_RULE_PATH_BENEATH, known.LANDLOCK_RULE_PATH_BENEATH},
		"LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET": {unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, known.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET},
		"LANDLOCK_SCOPE_SIGNAL":               {unix.LANDLOCK_SCOPE_SIGNAL, known.LANDLOCK_SCOPE_SIGNAL},
		"LINUX_CAPABILITY_VERSION_3":          {unix.LINUX_CAPABILITY_VERSION_3, known.LINUX_CAPABILITY_VERSION_3},
		"MOUNT_ATTR_RDONLY":                   {unix.MOUNT_ATTR_RDONLY, known.MOUNT_ATTR_RDONLY},
		"MOUNT_ATTR_NOSUID":                   {unix.MOUNT_ATTR_NOSUID, known.MOUNT_ATTR_NOSUID},
		"MOUNT_ATTR_NODEV":                    {unix.MOUNT_ATTR_NODEV, known.MOUNT_ATTR_NODEV},
		"MOVE_MOUNT_F_EMPTY_PATH":             {unix.MOVE_MOUNT_F_EMPTY_PATH, known.MOVE_MOUNT_F_EMPTY_PATH},
		"O_PATH":                              {unix.O_PATH, known.O_PATH},
		"PR_CAP_AMBIENT":                      {unix.PR_CAP_AMBIENT, known.PR_CAP_AMBIENT},
		"PR_CAP_AMBIENT_CLEAR_ALL":            {unix.PR_CAP_AMBIENT_CLEAR_ALL, known.PR_CAP_AMBIENT_CLEAR_ALL},
		"PR_SET_NO_NEW_PRIVS":                 {unix.PR_SET_NO_NEW_PRIVS, known.PR_SET_NO_NEW_PRIVS},
		"SECCOMP_FILTER_FLAG_TSYNC":           {unix.SECCOMP_FILTER_FLAG_TSYNC, known.SECCOMP_FILTER_FLAG_TSYNC},
		"SECCOMP_RET_ALLOW":                   {unix.SECCOMP_RET_ALLOW, known.SECCOMP_RET_ALLOW},
		"SECCOMP_RET_DATA":                    {unix.SECCOMP_RET_DATA, known.SECCOMP_RET_DATA},
		"SECCOMP_RET_ERRNO":                   {unix.SECCOMP_RET_ERRNO, known.SECCOMP_RET_ERRNO},
		"SECCOMP_RET_KILL_PROCESS":            {unix.SECCOMP_RET_KILL_PROCESS, known.SECCOMP_RET_KILL_PROCESS},
		"SECCOMP_SET_MODE_FILTER":             {unix.SECCOMP_SET_MODE_FILTER, known.SECCOMP_SET_MODE_FILTER},
		"SYS_IO_URING_SETUP":                  {unix.SYS_IO_URING_SETUP, known.SYS_IO_URING_SETUP},
		"SYS_IO_URING_ENTER":                  {unix.SYS_IO_URING_ENTER, known.SYS_IO_URING_ENTER},
		"SYS_IO_URING_REGISTER":               {unix.SYS_IO_URING_REGISTER, known.SYS_IO_URING_REGISTER},
		"SYS_OPEN_TREE":                       {unix.SYS_OPEN_TREE, known.SYS_OPEN_TREE},
		"SYS_MOVE_MOUNT":                      {unix.SYS_MOVE_MOUNT, known.SYS_MOVE_MOUNT},
		"SYS_FSOPEN":                          {unix.SYS_FSOPEN, known.SYS_FSOPEN},
		"SYS_FSCONFIG":                        {unix.SYS_FSCONFIG, known.SYS_FSCONFIG},
		"SYS_FSMOUNT":                         {unix.SYS_FSMOUNT, known.SYS_FSMOUNT},
		"SYS_FSPICK":                          {unix.SYS_FSPICK, known.SYS_FSPICK},
		"SYS_CLONE3":                          {unix.SYS_CLONE3, known.SYS_CLONE3},
		"SYS_CLOSE_RANGE":                     {unix.SYS_CLOSE_RANGE, known.SYS_CLOSE_RANGE},
		"SYS_PIDFD_GETFD":                     {unix.SYS_PIDFD_GETFD, known.SYS_PIDFD_GETFD},
		"SYS_PROCESS_MADVISE":                 {unix.SYS_PROCESS_MADVISE, known.SYS_PROCESS_MADVISE},
		"SYS_MOUNT_SETATTR":                   {unix.SYS_MOUNT_SETATTR, known.SYS_MOUNT_SETATTR},
		"SYS_QUOTACTL_FD":                     {unix.SYS_QUOTACTL_FD, known.SYS_QUOTACTL_FD},
		"SYS_LANDLOCK_CREATE_RULESET":         {unix.SYS_LANDLOCK_CREATE_RULESET, known.SYS_LANDLOCK_CREATE_RULESET},
		"SYS_LANDLOCK_ADD_RULE":               {unix.SYS_LANDLOCK_ADD_RULE, known.SYS_LANDLOCK_ADD_RULE},
		"SYS_LANDLOCK_RESTRICT_SELF":          {unix.SYS_LANDLOCK_RESTRICT_SELF, known.SYS_LANDLOCK_RESTRICT_SELF},
		"SYS_PROCESS_MRELEASE":                {unix.SYS_PROCESS_MRELEASE, known.SYS_PROCESS_MRELEASE},
		"SYS_OPEN_TREE_ATTR":                  {unix.SYS_OPEN_TREE_ATTR, known.SYS_OPEN_TREE_ATTR},
		"SYS_NAME_TO_HANDLE_AT":               {unix.SYS_NAME_TO_HANDLE_AT, known.SYS_NAME_TO_HANDLE_AT},
		"SYS_OPEN_BY_HANDLE_AT":               {unix.SYS_OPEN_BY_HANDLE_AT, known.SYS_OPEN_BY_HANDLE_AT},
		"SYS_CLOCK_ADJTIME":                   {unix.SYS_CLOCK_ADJTIME, known.SYS_CLOCK_ADJTIME},
		"SYS_SETNS":                           {unix.SYS_SETNS, known.SYS_SETNS},
		"SYS_PROCESS_VM_READV":                {unix.SYS_PROCESS_VM_READV, known.SYS_PROCESS_VM_READV},
		"SYS_PROCESS_VM_WRITEV":               {unix.SYS_PROCESS_VM_WRITEV, known.SYS_PROCESS_VM_WRITEV},
		"SYS_KCMP":                            {unix.SYS_KCMP, known.SYS_KCMP},
		"SYS_FINIT_MODULE":                    {unix.SYS_FINIT_MODULE, known.SYS_FINIT_MODULE},
		"SYS_SCHED_SETATTR":                   {unix.SYS_SCHED_SETATTR, known.SYS_SCHED_SETATTR},
		"SYS_SECCOMP":                         {unix.SYS_SECCOMP, known.SYS_SECCOMP},
		"SYS_KEXEC_FILE_LOAD":                 {unix.SYS_KEXEC_FILE_LOAD, known.SYS_KEXEC_FILE_LOAD},
		"SYS_BPF":                             {unix.SYS_BPF, known.SYS_BPF},
		"SYS_USERFAULTFD":                     {unix.SYS_USERFAULTFD, known.SYS_USERFAULTFD},
		"MountAttr":                           {int64(unsafe.Sizeof(unix.MountAttr{})), int64(unsafe.Sizeof(known.MountAttr{}))},
		"LandlockPathBeneathAttr":             {int64(unsafe.Sizeof(unix.LandlockPathBeneathAttr{})), int64(unsafe.Sizeof(known.LandlockPathBeneathAttr{}))},
		"CapUserHeader":                       {int64(unsafe.Sizeof(unix.CapUserHeader{})), int64(unsafe.Sizeof(known.CapUserHeader{}))},
		"CapUserData":                         {int64(unsafe.Sizeof(unix.CapUserData{})), int64(unsafe.Sizeof(known.CapUserData{}))},
	} {
		if values[0] != values[1] {
			t.Errorf("%s is %#x here and %#x in golang.org/x/sys/unix", name, values[0], values[1])
		}
	}
}
